"""Groups, queue tickets, quotas and previews, as a downloader sees them over real channels."""

from __future__ import annotations

import dataclasses
from functools import partial

import pytest
import trio
import trio.testing

from client.engine.groups import Group
from client.engine.settings import GROUPS, GroupRules
from client.engine.uploads.previews import HOUR_BYTES
from client.engine.uploads.slots import GRACE_S
from p2pshare.errors import Reason
from p2pshare.hashing import FileId
from p2pshare.limits import MIB, QUEUE_TICKET_BYTES
from p2pshare.queue_tickets import issue_queue_ticket, joined_untrusted
from p2pshare.wire.peer import Browse, FileOpened, Listing, OpenFile, QueueMoved
from tests.channel_pair import endpoint
from tests.unit.client.engine.uploads.test_uploads import (
    PIECE,
    UNIX_START,
    UPLOADER,
    FileInMemory,
    Visitor,
    received,
    refused,
    world,
)

pytestmark = pytest.mark.timeout(20)


async def shows(visitor: Visitor, file: FileInMemory, ticket: bytes) -> FileOpened:
    """Opens a file with a queue ticket."""
    request = visitor.channel.next_request()
    opened = await visitor.channel.ask(OpenFile(request=request, file=file.file, queue_ticket=ticket))
    assert isinstance(opened, FileOpened)
    return opened


async def looks(visitor: Visitor, file: FileInMemory, first: int, count: int = 1) -> bytes:
    """Fetches a preview."""
    fetch = dataclasses.replace(visitor.fetching(file, first, count), preview=True)
    async with visitor.channel.request(fetch) as answers:
        return await received(answers, file, first)


# --- queue tickets ---------------------------------------------------------------------------------------


async def test_a_queue_ticket_puts_somebody_back_who_was_forgotten(
    mock_clock: trio.testing.MockClock,
) -> None:
    async with world(slots=1) as here, here.visitor(1) as alice:
        song = here.put("song", PIECE)
        assert (await alice.open(song)).queue_ticket == b"", "who holds a slot needs none"
        async with here.visitor(2) as bob:
            ticket = (await bob.open(song)).queue_ticket
            assert len(ticket) == QUEUE_TICKET_BYTES
        while here.uploads.serves(endpoint(2).node):  # in steps, so that the others do not fall silent
            mock_clock.jump(20.0)
            await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() >= GRACE_S
        async with here.visitor(3) as carol, here.visitor(2) as bob:
            assert (await carol.open(song)).position == 0, "her turn was a long one"
            await trio.testing.wait_all_tasks_blocked()
            assert alice.position == 1
            assert (await shows(bob, song, ticket)).position == 1
            await trio.testing.wait_all_tasks_blocked()
            assert alice.position == 2


@pytest.mark.parametrize("what", ["somebody else's", "forged", "of another uploader", "junk", "none"])
async def test_a_ticket_that_is_not_theirs_helps_nobody(
    what: str, mock_clock: trio.testing.MockClock
) -> None:
    async with world(slots=1) as here, here.visitor(1) as alice, here.visitor(2) as bob:
        song = here.put("song", PIECE)
        await alice.open(song)
        theirs = (await bob.open(song)).queue_ticket
        me, now = endpoint(3).identity, int(UNIX_START)
        long_ago = issue_queue_ticket(me, asker=me.node_id, joined=now - 9_000, issued=now)
        ticket = {
            "somebody else's": theirs,
            "forged": UPLOADER.node + long_ago[32:],
            "of another uploader": long_ago,
            "junk": b"junk",
            "none": b"",
        }[what]
        mock_clock.jump(5.0)
        async with here.visitor(3) as mallory:
            assert (await shows(mallory, song, ticket)).position == 2


async def test_a_ticket_is_void_once_its_turn_began(mock_clock: trio.testing.MockClock) -> None:
    async with world(slots=1) as here, here.visitor(1) as alice, here.visitor(2) as bob:
        song = here.put("song", 4 * PIECE)
        await alice.open(song)
        ticket = (await bob.open(song)).queue_ticket
        mock_clock.jump(5.0)
        await alice.drop(song)
        await trio.testing.wait_all_tasks_blocked()
        await bob.fetch(song, 0)
        await bob.drop(song)
        await alice.open(song)
        async with here.visitor(3) as carol:
            await carol.open(song)
            for _ in range(3):
                mock_clock.jump(1.0)
                assert (await shows(bob, song, ticket)).position == 2, "it jumps no line again"
                await bob.drop(song)


async def test_a_turn_that_ends_gives_a_new_ticket(mock_clock: trio.testing.MockClock) -> None:
    async with world(slots=1) as here, here.visitor(1) as alice, here.visitor(2) as bob:
        song = here.put("song", PIECE)
        await alice.open(song)
        await bob.open(song)
        mock_clock.jump(60.0)
        await trio.testing.wait_all_tasks_blocked()
        moved = alice.notices[-1]
        assert isinstance(moved, QueueMoved) and moved.position == 1
        now = UNIX_START + trio.current_time()
        joined = joined_untrusted(
            moved.queue_ticket, uploader=UPLOADER.node, asker=endpoint(1).node, unix_now=now
        )
        assert joined == int(now)


async def test_who_moves_up_is_told_so_without_another_ticket() -> None:
    async with world(slots=1) as here, here.visitor(1) as alice, here.visitor(2) as bob:
        song = here.put("song", PIECE)
        await alice.open(song)
        await bob.open(song)
        async with here.visitor(3) as carol:
            await carol.open(song)
            await bob.drop(song)
            await trio.testing.wait_all_tasks_blocked()
            moved = carol.notices[-1]
            assert isinstance(moved, QueueMoved)
            assert (moved.position, moved.queue_ticket) == (1, b"")


# --- groups ----------------------------------------------------------------------------------------------


async def test_to_somebody_blocked_it_is_as_if_nothing_were_shared() -> None:
    async with world() as here, here.visitor(1) as alice:
        song = here.put("song", 2 * PIECE)
        await alice.open(song)
        here.uploads.patrons.put(endpoint(1).node, Group.BLOCKED)
        await here.uploads.regroup(endpoint(1).node)
        assert song.users == 0
        assert (await refused(lambda: alice.fetch(song, 0))).reason is Reason.NO_SUCH_FILE

        async def answer(file: FileId | None) -> tuple[Reason, str]:
            question = OpenFile(request=alice.channel.next_request(), file=file, offer=0)
            refusal = await refused(lambda: alice.channel.ask(question))
            return refusal.reason, refusal.text

        absent = await answer(FileId(bytes(32)))
        assert await answer(song.file) == absent
        assert await answer(None) == absent
        page = await alice.channel.ask(Browse(request=alice.channel.next_request(), folder=""))
        assert isinstance(page, Listing) and (page.folders, page.offers, page.files) == ((), (), 0)
        none = Browse(request=alice.channel.next_request(), folder="Music")
        assert (await refused(lambda: alice.channel.ask(none))).reason is Reason.NO_SUCH_FILE
        assert here.uploads.views() == () and not here.uploads.serves(endpoint(1).node)


async def test_people_of_a_group_may_have_fewer_files_open() -> None:
    groups = dataclasses.replace(GROUPS, everyone=GroupRules(open_files=1))
    async with world(groups=groups) as here, here.visitor(1) as alice:
        one, two = here.put("one", PIECE), here.put("two", PIECE)
        await alice.open(one)
        refusal = await refused(lambda: alice.open(two))
        assert refusal.reason is Reason.TOO_MUCH and "At most 1 files" in refusal.text


async def test_whose_quota_is_used_up_waits_until_midnight_and_others_go_on() -> None:
    groups = dataclasses.replace(GROUPS, everyone=GroupRules(daily_quota=1))
    async with world(slots=1, groups=groups) as here, here.visitor(1) as alice, here.visitor(2) as bob:
        song = here.put("song", 2 * MIB)
        await alice.open(song)
        await bob.open(song)
        assert (await refused(lambda: alice.fetch(song, 0, 32))).reason is Reason.NO_SLOT
        await trio.testing.wait_all_tasks_blocked()
        sent = {view.nick: view.sent_bytes for view in here.uploads.views()}
        assert sent == {"person 1": MIB, "person 2": 0}
        moved = alice.notices[-1]
        assert isinstance(moved, QueueMoved) and moved.position == 1 and moved.wait_s > 3600
        assert bob.position == 0
        assert (await refused(lambda: looks(alice, song, 0))).reason is Reason.TOO_MUCH
        assert await bob.fetch(song, 0) == song.data[:PIECE]


# --- previews --------------------------------------------------------------------------------------------


async def test_without_a_slot_one_may_look_at_both_ends_of_a_file() -> None:
    async with world(slots=1) as here, here.visitor(1) as alice, here.visitor(2) as bob:
        film = here.put("film", 8 * MIB)
        await alice.open(film)
        await bob.open(film)
        assert await looks(bob, film, 0, 1) == film.data[:PIECE]
        assert await looks(bob, film, 127) == film.data[127 * PIECE :]
        assert (await refused(lambda: looks(bob, film, 60))).reason is Reason.NO_SLOT
        assert bob.position is None, "the place in line is as it was"
        assert await looks(alice, film, 60) == film.data[60 * PIECE :][:PIECE], "who holds a slot"


async def test_previews_come_one_at_a_time_and_not_without_end() -> None:
    async with world(slots=1) as here, here.visitor(1) as alice, here.visitor(2) as bob:
        film = here.put("film", 8 * MIB)
        await alice.open(film)
        await bob.open(film)
        film.gate = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(looks, bob, film, 0))
            while not film.reads:
                await trio.lowlevel.checkpoint()
            assert (await refused(lambda: looks(bob, film, 1))).reason is Reason.TOO_MUCH
            film.gate.set()
        here.uploads._previews.begin(endpoint(2).node, HOUR_BYTES - PIECE, trio.current_time())
        enough = await refused(lambda: looks(bob, film, 1))
        assert enough.reason is Reason.TOO_MUCH and enough.retry_after_s > 0
