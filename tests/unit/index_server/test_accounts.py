"""Accounts on disk: looked up together, and noted together."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from index_server.accounts import SEEN_WITHIN_S, Accounts
from index_server.admin.registration import Mode, Registration
from index_server.store import MIGRATIONS
from p2pshare.database import Database, open_database
from p2pshare.errors import Reason, Refused
from p2pshare.identity import NodeId

NOW = 1_000_000


def node(name: str) -> NodeId:
    return NodeId(name.encode().ljust(32))


class Counted:
    """A database that counts how often it is asked, and waits for `ready` before it answers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = self.writes = 0
        self.ready = trio.Event()

    async def read(self, unit: Callable[..., Any], *args: Any) -> Any:
        self.reads += 1
        await self.ready.wait()
        return await self._database.read(unit, *args)

    async def write(self, unit: Callable[..., Any], *args: Any) -> Any:
        self.writes += 1
        return await self._database.write(unit, *args)


@asynccontextmanager
async def accounts(*names: str) -> AsyncIterator[tuple[Accounts, Counted]]:
    async with open_database(":memory:", MIGRATIONS, threads=False) as database:
        counted = Counted(database)
        registration = Registration(database, Mode.OPEN, random_bytes=bytes, unix_now=lambda: NOW)
        them = Accounts(counted, registration, unix_now=lambda: NOW + 500)  # type: ignore[arg-type]
        for name in names:
            await them.register(node(name), name, "")
        yield them, counted


async def test_a_crowd_is_looked_up_in_two_goes() -> None:
    names = [f"person{number}" for number in range(100)]
    found: dict[str, str] = {}
    async with accounts(*names) as (them, counted):

        async def look(name: str) -> None:
            found[name] = (await them.login(node(name))).nick

        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(look, name)
            await trio.testing.wait_all_tasks_blocked()
            counted.ready.set()
        assert counted.reads <= 2
    assert found == {name: name for name in names}


async def test_whoever_gives_up_takes_nobody_along() -> None:
    async with accounts("alice", "bob") as (them, counted), trio.open_nursery() as nursery:
        first = trio.CancelScope()

        async def give_up() -> None:
            with first:
                await them.find(node("alice"))

        nursery.start_soon(give_up)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(them.find, node("alice"))
        await trio.testing.wait_all_tasks_blocked()
        first.cancel()
        counted.ready.set()
        found = await them.find(node("bob"))
        assert found is not None and found.nick == "bob"


async def test_a_key_without_an_account_is_told_to_register() -> None:
    async with accounts() as (them, counted):
        counted.ready.set()
        with pytest.raises(Refused) as caught:
            await them.login(node("nobody"))
        assert caught.value.reason is Reason.NOT_REGISTERED


async def test_who_was_seen_is_written_down_together_and_soon(mock_clock: trio.testing.MockClock) -> None:
    async with accounts("alice", "bob") as (them, counted), trio.open_nursery() as nursery:
        counted.ready.set()
        nursery.start_soon(them.keep_seen)
        before = counted.writes
        for name in ("alice", "bob"):
            account = await them.find(node(name))
            assert account is not None
            them.note_seen(account.number)
        await trio.testing.wait_all_tasks_blocked()
        assert counted.writes == before
        mock_clock.jump(SEEN_WITHIN_S + 1)
        await trio.testing.wait_all_tasks_blocked()
        assert counted.writes == before + 1
        assert await counted.read(_seen) == [NOW + 500] * 2
        nursery.cancel_scope.cancel()


def _seen(connection: sqlite3.Connection) -> list[int]:
    return [at for (at,) in connection.execute("SELECT seen_at FROM account")]
