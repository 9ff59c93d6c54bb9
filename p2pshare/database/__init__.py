"""One SQLite file, used from trio.

aiosqlite awaits asyncio futures, so it cannot run on trio. It gets an asyncio loop on its own thread, and the
trio side hands over *units*: plain functions that are given the connection and do all that one question or
one change needs. The hop between threads costs more than ten statements do, so one unit makes one hop.

Rule 1: a write that returned has happened, whole; one that raised, even Cancelled, has not happened at all.
Rule 2: what waits together is committed together, yet a unit that fails undoes only itself.
Rule 3: a unit runs on another thread and owns nothing but its arguments: no trio, no shared objects.

units.py holds what happens on a connection, threads.py how a unit gets there and its result back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import trio

from p2pshare.database.threads import Threaded
from p2pshare.database.units import Unit, connect_arguments, explain, prepare, run_read, run_writes
from p2pshare.errors import Misuse

__all__ = ["Database", "open_database"]

P = ParamSpec("P")
T = TypeVar("T")


class Database:
    """What `open_database` yields. Both calls may be made from any number of tasks at once.

    Errors of a unit come out as they are; what is wrong with the disk comes out as LocalTrouble.
    """

    def __init__(self, path: Path | str, runner: _Runner) -> None:
        self.path = path
        self._runner = runner

    async def read(
        self, unit: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `unit(connection, ...)` on one consistent snapshot. Cancelling interrupts the query."""
        return await self._run(self._runner.read, lambda connection: unit(connection, *args, **kwargs))

    async def write(
        self, unit: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `unit(connection, ...)` in a transaction; returns what the unit did, after the commit.

        Only a write that has not begun can be cancelled; one that has begun finishes and returns.
        """
        return await self._run(self._runner.write, lambda connection: unit(connection, *args, **kwargs))

    async def _run(self, run: Callable[[Unit], Awaitable[Any]], unit: Callable[[sqlite3.Connection], T]) -> T:
        with _explained(self.path):
            result: T = await run(unit)
        return result


@asynccontextmanager
async def open_database(
    path: Path | str, migrations: Sequence[str], *, threads: bool = True
) -> AsyncIterator[Database]:
    """Open or create the database at `path` (or ":memory:") and bring it up to date.

    `migrations[i]` is the SQL that leads from version i to i + 1; one that was ever released never changes.
    `threads=False` runs everything inline, for simulations.

    Raises LocalTrouble if the file is damaged, newer than this program, or cannot be used.
    """
    runner: _Inline | Threaded = Threaded(path) if threads else _Inline(path)
    try:
        with _explained(path):
            await runner.open(partial(prepare, path, migrations))
        yield Database(path, runner)
    finally:
        with trio.CancelScope(shield=True), _explained(path):
            await runner.close()


@contextmanager
def _explained(path: Path | str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if (trouble := explain(path, error)) is not None:
            raise trouble from error
        raise


class _Runner(Protocol):
    async def read(self, unit: Unit) -> Any: ...

    async def write(self, unit: Unit) -> Any: ...


class _Inline:
    """Runs units where they are called. A simulated clock stands still meanwhile, and runs are repeatable."""

    def __init__(self, path: Path | str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    async def open(self, prepare: Unit) -> None:
        self._connection = sqlite3.connect(**connect_arguments(self._path))
        prepare(self._connection)

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def read(self, unit: Unit) -> Any:
        return run_read(unit, await self._turn())

    async def write(self, unit: Unit) -> Any:
        return run_writes([unit], await self._turn())[0].unwrap()

    async def _turn(self) -> sqlite3.Connection:
        await trio.lowlevel.checkpoint()  # before, not after: what is cancelled has not happened
        if self._connection is None:
            raise Misuse("the database was closed")
        return self._connection
