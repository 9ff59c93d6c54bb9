"""How a unit gets from a trio task to the thread of a connection, and its result back.

trio task -- job --> asyncio loop, two lanes -- aiosqlite --> thread of a connection -- result --> trio task

A job can be withdrawn until the thread of its connection begins it. A read that has begun can be interrupted,
a write that has begun cannot. `_Job.stage` is what the threads agree on, always under the lock.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite
import outcome
import trio

from p2pshare.database.units import Unit, connect_arguments, is_interrupt, run_read, run_writes
from p2pshare.errors import Misuse

BATCH_UNITS_MAX = 64  # units in one transaction: past some thirty the commit is no longer what costs
INTERRUPT_EVERY_S = 0.005  # SQLite forgets an interrupt that falls between two statements, so it is repeated


class _Stage(Enum):
    WAITING = "can be withdrawn"
    RUNNING = "can only be interrupted"
    ENDED = "ran, or was withdrawn"


@dataclass(eq=False)
class _Job:
    """One unit, and the trio task that waits for it."""

    unit: Unit
    task: trio.lowlevel.Task = field(default_factory=trio.lowlevel.current_task)
    stage: _Stage = _Stage.WAITING
    connection: sqlite3.Connection | None = None
    result: outcome.Outcome[Any] | None = None


_Run = Callable[[sqlite3.Connection, Sequence[_Job]], None]


class Threaded:
    """An asyncio loop on its own thread, one aiosqlite connection that writes and one that reads.

    aiosqlite gives each connection a thread. All are daemons (a thread inherits that from its starter), so
    a program that ends without closing is not held up; to SQLite that is a crash, and it survives.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = path
        self._token = trio.lowlevel.current_trio_token()
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._reads: asyncio.Queue[_Job | None] = asyncio.Queue()
        self._writes: asyncio.Queue[_Job | None] = asyncio.Queue()
        self._thread: threading.Thread | None = None
        self._is_open = False
        self._failure: BaseException | None = None

    async def open(self, prepare: Unit) -> None:
        job = _Job(prepare)
        self._thread = threading.Thread(target=self._run_loop, args=(job,), name="database", daemon=True)
        self._thread.start()
        await self._wait(job, interruptible=True)
        self._is_open = True

    async def close(self) -> None:
        """Let what was handed over run to its end, then close both connections and the loop."""
        self._is_open = False
        if self._thread is None:
            self._loop.close()
            return
        for jobs in (self._reads, self._writes):
            with suppress(RuntimeError):  # the loop has ended by itself, because opening failed
                self._loop.call_soon_threadsafe(jobs.put_nowait, None)
        await trio.to_thread.run_sync(self._thread.join)
        if self._failure is not None:
            raise self._failure

    async def read(self, unit: Unit) -> Any:
        return await self._hand_over(self._reads, partial(run_read, unit), interruptible=True)

    async def write(self, unit: Unit) -> Any:
        return await self._hand_over(self._writes, unit, interruptible=False)

    # --- on the thread of trio

    async def _hand_over(self, jobs: asyncio.Queue[_Job | None], unit: Unit, *, interruptible: bool) -> Any:
        if not self._is_open:
            raise Misuse("the database was closed")
        await trio.lowlevel.checkpoint_if_cancelled()
        job = _Job(unit)
        self._loop.call_soon_threadsafe(jobs.put_nowait, job)
        return await self._wait(job, interruptible=interruptible)

    async def _wait(self, job: _Job, *, interruptible: bool) -> Any:
        raise_cancelled: Callable[[], Any] | None = None

        def abort(raise_cancel: Callable[[], Any]) -> trio.lowlevel.Abort:
            nonlocal raise_cancelled
            with self._lock:
                if job.stage is _Stage.WAITING:
                    job.stage = _Stage.ENDED
                    return trio.lowlevel.Abort.SUCCEEDED
                if interruptible and job.stage is _Stage.RUNNING:
                    raise_cancelled = raise_cancel
                    # Under the lock: what still runs keeps the loop from being closed.
                    self._loop.call_soon_threadsafe(self._interrupt, job)
            return trio.lowlevel.Abort.FAILED

        try:
            return await trio.lowlevel.wait_task_rescheduled(abort)
        except sqlite3.OperationalError as error:
            if raise_cancelled is not None and is_interrupt(error):
                raise_cancelled()
            raise

    # --- on the thread of the loop

    def _run_loop(self, opening: _Job) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve(opening))
        except BaseException as error:
            self._failure = error

    async def _serve(self, opening: _Job) -> None:
        """Open both connections, serve both lanes until each is told to end, close."""
        arguments = connect_arguments(self._path)
        async with AsyncExitStack() as connections:
            try:
                writer = await _connect(arguments, connections)
                reader = writer  # what is in memory is seen by one connection alone
                if arguments["database"] != ":memory:":
                    reader = await _connect(arguments, connections)
            except sqlite3.Error as error:
                if self._begin(opening):
                    self._end([opening], [outcome.Error(error)])
                return
            await _on_thread(writer, self._run_each, [opening])
            if isinstance(opening.result, outcome.Value):
                async with asyncio.TaskGroup() as lanes:
                    lanes.create_task(self._serve_lane(self._reads, reader, self._run_each))
                    lanes.create_task(self._serve_lane(self._writes, writer, self._run_together))

    async def _serve_lane(
        self, jobs: asyncio.Queue[_Job | None], connection: aiosqlite.Connection, run: _Run
    ) -> None:
        closing = False
        while not closing:
            batch: list[_Job] = []
            # Take along whatever came while the last batch was under way.
            while not batch or (len(batch) < BATCH_UNITS_MAX and not jobs.empty()):
                if (job := await jobs.get()) is None:
                    closing = True
                    break
                batch.append(job)
            await _on_thread(connection, run, batch)

    def _interrupt(self, job: _Job) -> None:
        """Interrupt the job, and no other, until it has ended."""
        with self._lock:
            if job.stage is not _Stage.RUNNING or job.connection is None:
                return
            job.connection.interrupt()
        self._loop.call_later(INTERRUPT_EVERY_S, self._interrupt, job)

    # --- on the thread of a connection

    def _run_each(self, connection: sqlite3.Connection, jobs: Sequence[_Job]) -> None:
        for job in jobs:
            if self._begin(job, connection):
                self._end([job], [outcome.capture(job.unit, connection)])

    def _run_together(self, connection: sqlite3.Connection, jobs: Sequence[_Job]) -> None:
        begun = [job for job in jobs if self._begin(job, connection)]
        if begun:
            self._end(begun, run_writes([job.unit for job in begun], connection))

    def _begin(self, job: _Job, connection: sqlite3.Connection | None = None) -> bool:
        """From now on the job can no longer be withdrawn. False if it was."""
        with self._lock:
            if job.stage is not _Stage.WAITING:
                return False
            job.stage, job.connection = _Stage.RUNNING, connection
        return True

    def _end(self, jobs: Sequence[_Job], results: Sequence[outcome.Outcome[Any]]) -> None:
        with self._lock:
            for job, result in zip(jobs, results, strict=True):
                job.stage, job.result = _Stage.ENDED, result
        with suppress(trio.RunFinishedError):  # nobody waits any more
            self._token.run_sync_soon(_wake, jobs)


# --- the places that lean on private names of aiosqlite; a test fails if they go away


async def _connect(arguments: dict[str, Any], connections: AsyncExitStack) -> aiosqlite.Connection:
    connection = aiosqlite.connect(**arguments)
    try:
        await connection
    except sqlite3.Error:
        connection._thread.join()  # aiosqlite does not wait for it, and it may report to a closed loop
        raise
    connections.push_async_callback(_disconnect, connection)
    return connection


async def _disconnect(connection: aiosqlite.Connection) -> None:
    await connection.close()
    connection._thread.join()  # its last answer is here, but the thread may not be at its end yet


async def _on_thread(connection: aiosqlite.Connection, run: _Run, jobs: Sequence[_Job]) -> None:
    await connection._execute(run, connection._conn, jobs)  # type: ignore[no-untyped-call]


def _wake(jobs: Sequence[_Job]) -> None:
    for job in jobs:
        assert job.result is not None
        trio.lowlevel.reschedule(job.task, job.result)
