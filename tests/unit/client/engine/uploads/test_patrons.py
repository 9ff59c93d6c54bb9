"""What the uploader remembers of people, and what a ticket is worth."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

from client.engine.bandwidth import Clock
from client.engine.groups import Group, put_into_group
from client.engine.library import MIGRATIONS
from client.engine.network.waiting import Waiting
from client.engine.remembering import Remembering
from client.engine.settings import GROUPS, GroupRules, OwnSlots, Settings
from client.engine.uploads.patrons import RENEW_AFTER_S, Patrons
from client.engine.uploads.quota import Quota
from p2pshare.database import Database, open_database
from p2pshare.errors import LocalTrouble
from p2pshare.identity import Identity
from p2pshare.limits import MIB, QUEUE_TICKET_LIFETIME_S

BOB, ALICE, CAROL = (Identity.from_seed(bytes([n]) * 32) for n in range(3))
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()


class Times:
    """A clock to be set."""

    def __init__(self) -> None:
        self.unix = NOON
        self.clock = Clock(lambda: self.unix, lambda at: datetime.fromtimestamp(at, UTC).replace(tzinfo=None))


def patrons(times: Times, settings: Settings | None = None) -> Patrons:
    return Patrons(BOB, settings or Settings(), times.clock)


def test_a_ticket_shows_how_long_somebody_waited() -> None:
    times = Times()
    here = patrons(times)
    ticket = here.ticket(ALICE.node_id, 300.0)
    times.unix += 2 * 86_400
    assert here.waited_s_untrusted(ALICE.node_id, ticket) == 300 + 2 * 86_400
    assert patrons(times).waited_s_untrusted(ALICE.node_id, ticket) == 300 + 2 * 86_400, "after a restart"
    assert here.waited_s_untrusted(CAROL.node_id, ticket) == 0.0
    assert here.waited_s_untrusted(ALICE.node_id, b"") == 0.0
    times.unix += QUEUE_TICKET_LIFETIME_S
    assert here.waited_s_untrusted(ALICE.node_id, ticket) == 0.0


def test_a_ticket_is_worth_one_turn() -> None:
    times = Times()
    here = patrons(times)
    old = here.ticket(ALICE.node_id, 300.0)
    times.unix += 60
    here.served(ALICE.node_id)
    assert here.waited_s_untrusted(ALICE.node_id, old) == 0.0
    times.unix += 60
    new = here.ticket(ALICE.node_id, 0.0)
    times.unix += 60
    assert here.waited_s_untrusted(ALICE.node_id, new) == 60.0
    assert here.waited_s_untrusted(ALICE.node_id, old) == 0.0


def test_a_new_ticket_is_given_when_the_old_one_will_not_do() -> None:
    times = Times()
    here = patrons(times)
    assert here.ticket(ALICE.node_id, 10.0)
    times.unix += 50
    assert here.ticket(ALICE.node_id, 60.4) == b""
    assert here.ticket(ALICE.node_id, 60.4, again=True), "a new connection is told anyhow"
    assert here.ticket(ALICE.node_id, 0.0), "the waiting began anew"
    times.unix += RENEW_AFTER_S
    assert here.ticket(ALICE.node_id, float(RENEW_AFTER_S))
    here.gone(ALICE.node_id)
    assert here.ticket(ALICE.node_id, float(RENEW_AFTER_S))


def test_a_clock_that_was_put_back_makes_nobody_wait_from_the_future() -> None:
    times = Times()
    here = patrons(times)
    ticket = here.ticket(ALICE.node_id, 5.0)
    times.unix -= 60
    assert here.waited_s_untrusted(ALICE.node_id, ticket) == 0.0
    times.unix = 3.0
    assert here.ticket(ALICE.node_id, 500.0)


def test_quotas_are_those_of_the_group_and_end_at_midnight() -> None:
    times = Times()
    groups = dataclasses.replace(
        GROUPS,
        everyone=GroupRules(daily_quota=10, weekly_quota=15),
        trusted=OwnSlots(daily_quota=0),
    )
    here = patrons(times, Settings(groups=groups))
    here.put(CAROL.node_id, Group.TRUSTED)
    for person in (ALICE, CAROL):
        here.sent(person.node_id, 10 * MIB - 1)
        assert here.rests_s(person.node_id) == 0.0
        here.sent(person.node_id, 1)
    assert here.rests_s(ALICE.node_id) == 12 * 3600
    assert here.rests_s(CAROL.node_id) == 0.0
    times.unix += 12 * 3600
    assert here.rests_s(ALICE.node_id) == 0.0
    here.sent(ALICE.node_id, 5 * MIB)
    assert here.rests_s(ALICE.node_id) == timedelta(days=6).total_seconds(), (
        "until the first day is a week ago"
    )
    here.set(Settings())
    assert here.rests_s(ALICE.node_id) == 0.0


def test_slots_are_those_of_the_settings() -> None:
    groups = dataclasses.replace(GROUPS, trusted=OwnSlots(slots=7))
    here = patrons(Times(), Settings(upload_slots=3, groups=groups))
    assert here.slots() == {Group.EVERYONE: 3, Group.CONTACTS: 2, Group.TRUSTED: 7}
    assert here.rules(ALICE.node_id) is groups.everyone
    here.put(ALICE.node_id, Group.BLOCKED)
    assert here.group(ALICE.node_id) is Group.BLOCKED


async def test_what_matters_survives_a_restart(tmp_path: Path) -> None:
    times = Times()
    settings = Settings(groups=dataclasses.replace(GROUPS, everyone=GroupRules(daily_quota=1)))
    async with open_database(tmp_path / "library.sqlite", MIGRATIONS, threads=False) as database:
        before, waiting = patrons(times, settings), Waiting()
        await database.write(put_into_group, CAROL.node_id, "carol", Group.CONTACTS)
        ticket = before.ticket(ALICE.node_id, 30.0)
        before.served(ALICE.node_id)
        before.sent(ALICE.node_id, MIB)
        waiting.keep(CAROL.node_id, b"their ticket")
        waiting.keep(CAROL.node_id, b"")
        await Remembering(database, before, waiting).write(times.unix)

        after, again = patrons(times, settings), Waiting()
        await Remembering(database, after, again).load(times.unix)
        assert after.waited_s_untrusted(ALICE.node_id, ticket) == 0.0
        assert after.rests_s(ALICE.node_id) > 0
        assert after.sent_lately(ALICE.node_id) == Quota(MIB, MIB)
        assert after.group(CAROL.node_id) is Group.CONTACTS
        assert again.ticket(CAROL.node_id) == b"their ticket"
        assert again.ticket(ALICE.node_id) == b""

        late = Waiting()
        await Remembering(database, after, late).load(times.unix + QUEUE_TICKET_LIFETIME_S + 1)
        assert late.ticket(CAROL.node_id) == b""


class FullDisk:
    """A database that takes nothing for now."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.full = True

    async def write(self, *unit: object) -> object:
        if self.full:
            raise LocalTrouble("The disk is full.")
        return await self.database.write(*unit)  # type: ignore[arg-type]


async def test_what_could_not_be_kept_is_kept_later() -> None:
    times = Times()
    async with open_database(":memory:", MIGRATIONS, threads=False) as database:
        disk = FullDisk(database)
        here, waiting = patrons(times), Waiting()
        remembering = Remembering(disk, here, waiting)  # type: ignore[arg-type]
        here.sent(ALICE.node_id, MIB)
        here.served(ALICE.node_id)
        waiting.keep(CAROL.node_id, b"their ticket")
        await remembering.write(times.unix)
        disk.full = False
        await remembering.write(times.unix)
        after, again = patrons(times), Waiting()
        await Remembering(database, after, again).load(times.unix)
        assert after.sent_lately(ALICE.node_id).daily_bytes == MIB
        assert again.ticket(CAROL.node_id) == b"their ticket"
