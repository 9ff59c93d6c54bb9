"""Who has an account here, and under which nick. The key is the account: no password to lose."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import trio

from index_server import store
from index_server.admin.registration import Registration
from index_server.store import Account
from p2pshare.database import Database
from p2pshare.errors import Reason, Refused
from p2pshare.identity import NodeId
from p2pshare.names import nick_problem, nick_skeleton

SEEN_WITHIN_S = 5.0


class Accounts:
    """All calls raise `Refused` when the answer is no."""

    def __init__(
        self, database: Database, registration: Registration, *, unix_now: Callable[[], float]
    ) -> None:
        self._database = database
        self._registration = registration
        self._unix_now = unix_now
        self._lookup = _Lookup()
        self._looking = trio.Lock()
        self._seen: dict[int, int] = {}
        self._noted = trio.Event()

    async def find(self, node: NodeId) -> Account | None:
        """The account of this key, if it has one. Those asked for at the same time are looked up together."""
        lookup = self._lookup
        lookup.nodes.append(node)
        async with self._looking:
            if lookup.found is None:
                if lookup is self._lookup:
                    self._lookup = _Lookup()  # for those who come while this one is on its way
                lookup.found = await self._database.read(_find, lookup.nodes)
        return lookup.found.get(node)

    async def register(self, node: NodeId, nick: str, code: str) -> Account:
        """A new account for this key, which has none; `code` is that of the invite, if there is one."""
        _check_nick(nick)
        return await self._registration.register(node, nick, code)

    async def login(self, node: NodeId) -> Account:
        """The account of this key."""
        account = await self.find(node)
        if account is None:
            raise Refused(Reason.NOT_REGISTERED)
        return account

    async def rename(self, node: NodeId, nick: str) -> None:
        """Give the account of this key another nick."""
        _check_nick(nick)
        await self._database.write(store.rename_account, node, nick, nick_skeleton(nick))

    async def by_node(self, node: NodeId) -> Account:
        """Who has this key?"""
        return _known(await self.find(node))

    async def by_nick(self, nick: str) -> Account:
        """Who has this nick, or one that looks like it?"""
        return _known(await self._database.read(store.account_by_skeleton, nick_skeleton(nick)))

    def note_seen(self, account: int) -> None:
        """The account was online until now. It is written soon, together with others."""
        self._seen[account] = int(self._unix_now())
        self._noted.set()

    async def write_seen(self) -> None:
        """Write down what was noted; all of it when this returns."""
        seen, self._seen, self._noted = self._seen, {}, trio.Event()
        if seen:
            await self._database.write(_write_seen, seen)

    async def keep_seen(self) -> None:
        """Write it down every now and then, until cancelled."""
        while True:
            await self._noted.wait()
            await trio.sleep(SEEN_WITHIN_S)
            await self.write_seen()


@dataclass(slots=True)
class _Lookup:
    """Accounts that are looked up in one go."""

    nodes: list[NodeId] = field(default_factory=list)
    found: dict[NodeId, Account] | None = None


def _find(connection: sqlite3.Connection, nodes: Sequence[NodeId]) -> dict[NodeId, Account]:
    found = (store.account_by_node(connection, node) for node in nodes)
    return {account.node: account for account in found if account is not None}


def _write_seen(connection: sqlite3.Connection, seen: Mapping[int, int]) -> None:
    for account, at in seen.items():
        store.note_seen(connection, account, at)


def _check_nick(nick: str) -> None:
    if (problem := nick_problem(nick)) is not None:
        raise Refused(Reason.NICK_BAD, problem)


def _known(account: Account | None) -> Account:
    if account is None:
        raise Refused(Reason.NO_SUCH_PERSON)
    return account
