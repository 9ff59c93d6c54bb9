"""Who has an account here, and under which nick. The key is the account: no password to lose."""

from __future__ import annotations

from collections.abc import Callable

from index_server import store
from index_server.store import Account
from p2pshare.database import Database
from p2pshare.errors import Reason, Refused
from p2pshare.identity import NodeId
from p2pshare.names import nick_problem, nick_skeleton


class Accounts:
    """All calls raise `Refused` when the answer is no."""

    def __init__(self, database: Database, *, is_open: bool, unix_now: Callable[[], float]) -> None:
        self._database = database
        self._is_open = is_open
        self._unix_now = unix_now

    async def find(self, node: NodeId) -> Account | None:
        """The account of this key, if it has one."""
        return await self._database.read(store.account_by_node, node)

    async def register(self, node: NodeId, nick: str) -> Account:
        """A new account for this key; if it has one already, that one with its own nick."""
        if not self._is_open:
            raise Refused(Reason.REGISTRATION_CLOSED)
        _check_nick(nick)
        return await self._database.write(
            store.add_account, node, nick, nick_skeleton(nick), int(self._unix_now())
        )

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

    async def note_seen(self, account: int) -> None:
        """The account was online until now."""
        await self._database.write(store.note_seen, account, int(self._unix_now()))


def _check_nick(nick: str) -> None:
    if (problem := nick_problem(nick)) is not None:
        raise Refused(Reason.NICK_BAD, problem)


def _known(account: Account | None) -> Account:
    if account is None:
        raise Refused(Reason.NO_SUCH_PERSON)
    return account
