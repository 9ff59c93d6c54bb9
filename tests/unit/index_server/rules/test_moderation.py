"""What moderators do holds, is written down, outlives a restart, and is told to whom it concerns."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from index_server import store
from index_server.accounts import Accounts
from index_server.admin.registration import Mode, Registration
from index_server.online import Online
from index_server.rules import moderation as moderation_module
from index_server.rules.door import TOLD_PER_MINUTE, Door
from index_server.rules.moderation import Moderation
from index_server.rules.roles import OPERATOR, Actor
from index_server.search.catalogue import Catalogue
from p2pshare.database import Database, open_database
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import FileId, format_file_id
from p2pshare.identity import NodeId, format_node_id
from p2pshare.wire.fields import Rule, RuleAction, RuleList, ServerRole, Subject

NAMES = ("owner", "moderator", "helper", "mallory")
KEYS = {name: NodeId(name.encode().ljust(32)) for name in NAMES}
FILE = FileId(b"f" * 32)
START, DAY_S = 1_800_000_000, 86_400
ADDRESS = "203.0.113.7"


@dataclass
class Here:
    rules: Moderation
    database: Database
    hidden: list[tuple[frozenset[str], frozenset[FileId]]]
    now: list[float] = field(default_factory=lambda: [float(START)])

    def by(self, name: str, host: str = "198.51.100.1") -> Actor:
        return self.rules.actor(KEYS[name], host)

    def is_out(self, name: str, host: str = "198.51.100.1") -> str:
        """What they are told; empty if they may come in."""
        try:
            self.rules.check_person(KEYS[name], host)
        except Refused as refused:
            assert refused.reason is Reason.BANNED
            return refused.text
        return ""

    async def list(self, which: RuleList) -> list[Rule]:
        total, rules = await self.rules.page(OPERATOR, which, limit=40)
        assert total == len(rules)
        return rules


class Watched(Catalogue):
    """Remembers what it was told to hide."""

    def __init__(self, told: list[tuple[frozenset[str], frozenset[FileId]]]) -> None:
        super().__init__(random.Random(1))
        self._told = told

    def hide(self, words: frozenset[str], files: frozenset[FileId]) -> None:
        self._told.append((words, files))
        super().hide(words, files)


@asynccontextmanager
async def here(path: Path | str = ":memory:", now: float = START) -> AsyncIterator[Here]:
    """A server's rules with four accounts, three of which have a role."""
    clock, told = [now], list[tuple[frozenset[str], frozenset[FileId]]]()
    async with open_database(path, store.MIGRATIONS, threads=False) as database:
        registration = Registration(database, Mode.OPEN, random_bytes=bytes, unix_now=lambda: clock[0])
        rules = Moderation(
            database,
            Accounts(database, registration, unix_now=lambda: clock[0]),
            Watched(told),
            Online(),
            owners=[KEYS["owner"]],
            appeal="write to ops@example.org",
            unix_now=lambda: clock[0],
        )
        for name, key in KEYS.items():
            await database.write(store.add_account, key, name, name, 0)
        await rules.start()
        if rules.role_of(KEYS["helper"]) is ServerRole.NOBODY:
            await rules.give_role(OPERATOR, "helper", ServerRole.HELPER)
            await rules.give_role(OPERATOR, format_node_id(KEYS["moderator"]), ServerRole.MODERATOR)
        yield Here(rules, database, told, clock)


async def refused(call: Awaitable[object]) -> Refused:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value


async def test_a_ban_holds_for_its_time_and_says_why() -> None:
    async with here() as at:
        done = await at.rules.ban(
            at.by("moderator"), Subject.ACCOUNT, "mallory", for_s=DAY_S, reason="floods"
        )
        assert (done.nick, done.by_nick, done.until - done.at) == ("mallory", "moderator", DAY_S)
        assert at.is_out("mallory") == (
            "You are banned from this server until 2027-01-16 08:00 UTC: floods"
            " (to appeal: write to ops@example.org)."
        )
        assert not at.is_out("helper")
        at.now[0] += DAY_S
        assert not at.is_out("mallory")
        await at.rules.tidy()
        assert await at.list(RuleList.BANS) == []


async def test_addresses_are_banned_by_range_but_not_ones_own() -> None:
    async with here() as at:
        by = at.by("moderator", host=ADDRESS)
        await at.rules.ban(by, Subject.ADDRESS, "198.51.100.0/24", reason="bots")
        assert at.is_out("mallory").startswith("Your address is banned")
        assert at.rules.host_is_banned("198.51.100.9") and not at.rules.host_is_banned(ADDRESS)
        wrong = await refused(at.rules.ban(by, Subject.ADDRESS, "203.0.113.0/24", reason="bots"))
        assert wrong.text == "Your own address lies in that range. Ban a smaller one."
        assert not at.is_out("owner"), "who is named in the settings is never locked out"


async def test_files_and_words_are_hidden_from_search_and_shown_again() -> None:
    async with here() as at:
        text = format_file_id(FILE)
        await at.rules.hide(at.by("moderator"), Subject.WORD, "Spam!", reason="nobody wants it")
        await at.rules.hide(at.by("helper"), Subject.FILE, text, reason="a fake")
        assert at.hidden[-1] == ({"spam"}, {FILE})
        at.rules.check_file(FILE)
        await at.rules.ban(at.by("moderator"), Subject.FILE, text, for_s=60, reason="a virus")
        assert at.rules.count_banned([FILE, None, FileId(b"g" * 32)]) == 1
        with pytest.raises(Refused, match="This file is banned"):
            at.rules.check_file(FILE)
        await at.rules.unhide(at.by("helper"), Subject.FILE, text)
        await at.rules.unhide(at.by("moderator"), Subject.WORD, "spam")
        assert at.hidden[-1] == (set(), {FILE}), "the ban still hides it"
        at.now[0] += 60
        await at.rules.tidy()
        assert at.hidden[-1] == (set(), set())


async def test_everything_is_in_the_log_newest_first_and_outlives_a_restart(tmp_path: Path) -> None:
    async with here(tmp_path / "db") as at:
        await at.rules.ban(at.by("helper"), Subject.ACCOUNT, "mallory", for_s=60, reason="rude")
        await at.rules.hide(at.by("moderator"), Subject.WORD, "spam", reason="spam")
        await at.rules.ban(OPERATOR, Subject.ADDRESS, ADDRESS, reason="bots", appeal="none")
        await at.rules.unban(at.by("helper"), Subject.ACCOUNT, "mallory", reason="said sorry")
    async with here(tmp_path / "db") as at:
        log = await at.list(RuleList.LOG)
        assert [(rule.action, rule.by_nick or rule.by, rule.reason) for rule in log[:4]] == [
            (RuleAction.UNBAN, "helper", "said sorry"),
            (RuleAction.BAN, "operator", "bots"),
            (RuleAction.HIDE, "moderator", "spam"),
            (RuleAction.BAN, "helper", "rude"),
        ]
        assert [rule.number for rule in log] == [6, 5, 4, 3, 2, 1]
        assert at.rules.host_is_banned(ADDRESS) and not at.is_out("mallory")
        assert at.hidden[-1] == ({"spam"}, set())
        assert at.rules.role_of(KEYS["moderator"]) is ServerRole.MODERATOR
        assert (await at.rules.page(OPERATOR, RuleList.LOG, after=4, limit=1))[1] == [log[4]]


@pytest.mark.parametrize("statement", ["DELETE FROM moderation", "UPDATE moderation SET reason = ''"])
async def test_nobody_changes_the_log(statement: str) -> None:
    async with here() as at:

        def tamper(connection: sqlite3.Connection) -> None:
            connection.execute(statement)

        with pytest.raises(sqlite3.IntegrityError, match="only grows"):
            await at.database.write(tamper)
        assert len(await at.list(RuleList.LOG)) == 2


async def test_roles_are_given_by_owners_and_taken_back() -> None:
    async with here() as at:
        await at.rules.give_role(at.by("owner"), "mallory", ServerRole.OWNER)
        roles = {rule.nick: rule.role for rule in await at.list(RuleList.ROLES)}
        assert roles == {
            "owner": ServerRole.OWNER,
            "mallory": ServerRole.OWNER,
            "moderator": ServerRole.MODERATOR,
            "helper": ServerRole.HELPER,
        }
        equals = await refused(at.rules.give_role(at.by("owner"), "mallory", ServerRole.NOBODY))
        assert equals.reason is Reason.NOT_YOUR_ROLE
        await at.rules.give_role(OPERATOR, "mallory", ServerRole.NOBODY)
        assert at.rules.role_of(KEYS["mallory"]) is ServerRole.NOBODY
        for call in (
            at.rules.give_role(OPERATOR, "owner", ServerRole.NOBODY),
            at.rules.ban(OPERATOR, Subject.ACCOUNT, "owner", reason="coup"),
        ):
            assert "settings of the server" in (await refused(call)).text


Call = Callable[[Moderation, Actor], Awaitable[object]]
FORBIDDEN: dict[str, tuple[str, Call]] = {
    "nobody reads": ("mallory", lambda rules, by: rules.page(by, RuleList.LOG, limit=1)),
    "nobody bans": (
        "mallory",
        lambda rules, by: rules.ban(by, Subject.ACCOUNT, "helper", for_s=9, reason="x"),
    ),
    "a helper bans for long": (
        "helper",
        lambda rules, by: rules.ban(by, Subject.ACCOUNT, "mallory", reason="x"),
    ),
    "a helper bans a moderator": (
        "helper",
        lambda rules, by: rules.ban(by, Subject.ACCOUNT, "moderator", for_s=9, reason="x"),
    ),
    "a helper hides a word": ("helper", lambda rules, by: rules.hide(by, Subject.WORD, "a", reason="x")),
    "a moderator bans themselves": (
        "moderator",
        lambda rules, by: rules.ban(by, Subject.ACCOUNT, "moderator", for_s=9, reason="x"),
    ),
    "a moderator gives a role": (
        "moderator",
        lambda rules, by: rules.give_role(by, "mallory", ServerRole.HELPER),
    ),
}


@pytest.mark.parametrize("name", FORBIDDEN)
async def test_who_may_not_is_told_and_nothing_happens(name: str) -> None:
    who, call = FORBIDDEN[name]
    async with here() as at:
        before = await at.list(RuleList.LOG)
        assert (await refused(call(at.rules, at.by(who)))).reason is Reason.NOT_YOUR_ROLE
        assert await at.list(RuleList.LOG) == before
        assert not any(map(at.is_out, NAMES))


async def test_a_helper_takes_back_and_replaces_only_their_own_bans() -> None:
    async with here() as at:
        await at.rules.ban(at.by("moderator"), Subject.ACCOUNT, "mallory", reason="x")
        by = at.by("helper")
        for call in (
            at.rules.unban(by, Subject.ACCOUNT, "mallory"),
            at.rules.ban(by, Subject.ACCOUNT, "mallory", for_s=1, reason="mild"),
        ):
            assert "Somebody else did that" in (await refused(call)).text
        assert at.is_out("mallory")


MISTAKES: dict[str, tuple[Call, str]] = {
    "no reason": (lambda rules, by: rules.ban(by, Subject.ACCOUNT, "mallory", reason=" "), "Say why"),
    "no reason to hide": (lambda rules, by: rules.hide(by, Subject.WORD, "a", reason=""), "Say why"),
    "for a century": (
        lambda rules, by: rules.ban(by, Subject.ACCOUNT, "mallory", for_s=2**31 - 1, reason="x"),
        "ten years",
    ),
    "nobody of that nick": (
        lambda rules, by: rules.ban(by, Subject.ACCOUNT, "nobody", reason="x"),
        "Nobody of that nick",
    ),
    "not banned": (lambda rules, by: rules.unban(by, Subject.ACCOUNT, "mallory"), "is not banned"),
    "not hidden": (lambda rules, by: rules.unhide(by, Subject.WORD, "spam"), "spam is not hidden"),
    "an account cannot be hidden": (
        lambda rules, by: rules.hide(by, Subject.ACCOUNT, "mallory", reason="x"),
        "cannot be done",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
async def test_a_mistake_is_answered_by_a_sentence(name: str) -> None:
    call, text = MISTAKES[name]
    async with here() as at:
        assert text in (await refused(call(at.rules, OPERATOR))).text


async def test_how_much_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moderation_module, "BANS_MAX", 1)
    monkeypatch.setattr(moderation_module, "HIDDEN_MAX", 1)
    async with here() as at:
        for _ in range(2):  # the same again takes the place of the first
            await at.rules.ban(OPERATOR, Subject.ADDRESS, ADDRESS, reason="x")
            await at.rules.hide(OPERATOR, Subject.WORD, "spam", reason="x")
        assert (
            "Take some back"
            in (await refused(at.rules.ban(OPERATOR, Subject.ACCOUNT, "mallory", reason="x"))).text
        )
        assert (
            "hidden already"
            in (await refused(at.rules.hide(OPERATOR, Subject.WORD, "eggs", reason="x"))).text
        )


# --- at the door ----------------------------------------------------------------------------------------


async def test_a_flood_from_a_banned_address_is_turned_away_and_a_person_may_read_why() -> None:
    async with here() as at:
        await at.rules.ban(OPERATOR, Subject.ADDRESS, "203.0.113.0/24", reason="bots")
        clock = [0.0]
        door = Door(at.rules, total_max=10_000, per_address_max=64, clock=lambda: clock[0])
        let_in = sum(door.enter("203.0.113.7") for _ in range(1_000))
        assert let_in == door.total == TOLD_PER_MINUTE
        assert door.enter("198.51.100.1")
        everybody = sum(door.enter(f"203.0.113.{last}") for last in range(100, 250))
        assert everybody < 15, "however many addresses are banned, few handshakes are spent on them"
        clock[0] += 60
        assert door.enter("203.0.113.7")
        await at.rules.unban(OPERATOR, Subject.ADDRESS, "203.0.113.0/24")
        assert all(door.enter("203.0.113.8") for _ in range(10))
