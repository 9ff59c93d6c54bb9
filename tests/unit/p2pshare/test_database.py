"""The database adapter, with threads and inline, and what a crash leaves of it."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import aiosqlite
import pytest
import trio
import trio.testing

from p2pshare import database
from p2pshare.database import Database, open_database, units
from p2pshare.errors import LocalTrouble, Misuse

NOTES = ["CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)"]
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
A_WHILE = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 500000) SELECT count(*) FROM n"
)


def add(connection: sqlite3.Connection, text: str) -> int:
    return int(connection.execute("INSERT INTO note (text) VALUES (?) RETURNING id", (text,)).fetchone()[0])


def texts(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT text FROM note ORDER BY id")]


def execute(connection: sqlite3.Connection, statement: str) -> None:
    connection.execute(statement)


@pytest.fixture(params=["file, threads", "memory, threads", "file, inline", "memory, inline"])
async def notes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    where, how = request.param.split(", ")
    path = ":memory:" if where == "memory" else tmp_path / "notes.db"
    async with open_database(path, NOTES, threads=how == "threads") as opened:
        yield opened


@pytest.fixture
async def threaded(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(tmp_path / "notes.db", NOTES) as opened:
        yield opened


class Gate:
    """A unit that tells when it runs, and stays on the thread of the database until it is let go."""

    def __init__(self) -> None:
        self._running = threading.Event()
        self._let_go = threading.Event()

    def __call__(self, connection: sqlite3.Connection, text: str | None = None) -> str:
        if text is not None:
            add(connection, text)
        self._running.set()
        assert self._let_go.wait(10)
        return "through"

    async def is_running(self) -> None:
        await trio.to_thread.run_sync(self._running.wait, 10)

    def let_go(self) -> None:
        self._let_go.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.let_go()  # whatever failed: the thread must not be left waiting


# --- what every way of running keeps ---------------------------------------------------------------------


async def test_a_write_returns_the_result_of_its_unit_and_a_read_sees_it(notes: Database) -> None:
    assert await notes.write(add, "one") == 1
    assert await notes.write(add, text="two") == 2
    assert await notes.read(texts) == ["one", "two"]


async def test_a_unit_that_raises_leaves_nothing_behind_and_its_error_comes_out(notes: Database) -> None:
    def half(connection: sqlite3.Connection) -> None:
        add(connection, "half")
        raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        await notes.write(half)
    with pytest.raises(sqlite3.IntegrityError):
        await notes.write(lambda connection: (add(connection, "twice"), add(connection, "twice")))
    assert await notes.read(texts) == []


async def test_a_read_that_changes_something_is_misuse_and_is_undone(notes: Database) -> None:
    with pytest.raises(Misuse, match="use write"):
        await notes.read(add, "smuggled")
    assert await notes.read(texts) == []


async def test_a_unit_may_not_end_its_transaction(notes: Database) -> None:
    with pytest.raises(Misuse, match="ended the transaction"):
        await notes.write(execute, "COMMIT")
    assert await notes.write(add, "still works") == 1


async def test_a_unit_may_not_return_a_cursor_for_another_thread_to_drop(notes: Database) -> None:
    with pytest.raises(Misuse, match="fetch the rows inside"):
        await notes.write(lambda connection: connection.execute("INSERT INTO note (text) VALUES ('one')"))
    with pytest.raises(Misuse, match="fetch the rows inside"):
        await notes.read(lambda connection: connection.execute("SELECT * FROM note"))
    assert await notes.read(texts) == []


async def test_a_write_under_a_cancelled_scope_does_not_happen(notes: Database) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await notes.write(add, "never")
    assert scope.cancelled_caught
    assert await notes.read(texts) == []


async def test_foreign_keys_hold(tmp_path: Path) -> None:
    tables = "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a INTEGER REFERENCES a(id))"
    async with open_database(tmp_path / "a.db", [tables]) as opened:
        with pytest.raises(sqlite3.IntegrityError):
            await opened.write(execute, "INSERT INTO b VALUES (7)")


@pytest.mark.parametrize("threads", [True, False])
async def test_a_closed_database_says_so(tmp_path: Path, threads: bool) -> None:
    async with open_database(tmp_path / "notes.db", NOTES, threads=threads) as opened:
        pass
    with pytest.raises(Misuse, match="closed"):
        await opened.read(texts)
    with pytest.raises(Misuse, match="closed"):
        await opened.write(add, "late")


async def test_closing_leaves_one_file_that_only_its_owner_reads_and_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    async with open_database(tmp_path / "notes.db", NOTES) as opened:
        await opened.write(add, "kept")
        started = [thread for thread in threading.enumerate() if thread not in before]
        assert len([thread for thread in started if not thread.name.startswith("Trio")]) == 3
    left = [thread for thread in threading.enumerate() if thread not in before]
    assert [thread for thread in left if not thread.name.startswith("Trio")] == []
    assert [path.name for path in tmp_path.iterdir()] == ["notes.db"]
    assert stat.S_IMODE((tmp_path / "notes.db").stat().st_mode) == 0o600


# --- many at once ----------------------------------------------------------------------------------------


async def test_writes_that_wait_together_share_a_transaction_and_one_that_fails_undoes_only_itself(
    threaded: Database, gate: Gate
) -> None:
    commits: list[str] = []
    await threaded.write(lambda connection: connection.set_trace_callback(commits.append))
    results: dict[str, int | str] = {}

    async def write(text: str) -> None:
        try:
            results[text] = await threaded.write(add, text)
        except sqlite3.IntegrityError:
            results[text] = "refused"

    async with trio.open_nursery() as nursery:
        nursery.start_soon(threaded.write, gate, "first")
        await gate.is_running()
        for text in ("a", "first", "b", "c"):
            nursery.start_soon(write, text)
        await trio.testing.wait_all_tasks_blocked()
        gate.let_go()
    assert results == {"a": results["a"], "first": "refused", "b": results["b"], "c": results["c"]}
    assert sorted(await threaded.read(texts)) == ["a", "b", "c", "first"]
    assert commits.count("COMMIT") == 3  # of setting the callback, of the gate, and one of the four together


async def test_a_write_that_waits_can_be_cancelled_and_then_has_not_happened(
    threaded: Database, gate: Gate
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(threaded.write, gate, "first")
        await gate.is_running()
        with trio.CancelScope() as scope:
            nursery.start_soon(cancel_when_blocked, scope)
            await threaded.write(add, "withdrawn")
        assert scope.cancelled_caught
        gate.let_go()
    assert await threaded.read(texts) == ["first"]


async def test_a_write_that_has_begun_finishes_although_it_is_cancelled(
    threaded: Database, gate: Gate
) -> None:
    def slow(connection: sqlite3.Connection) -> str:
        gate(connection, "happened")
        connection.execute(A_WHILE).fetchall()  # long enough to notice an interrupt
        return "finished"

    result = ""
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancel_when_running, scope, gate)
            result = await threaded.write(slow)
            with pytest.raises(trio.Cancelled):
                await trio.lowlevel.checkpoint()
    assert result == "finished"
    assert await threaded.read(texts) == ["happened"]


@pytest.mark.parametrize("notes", ["file, threads", "memory, threads"], indirect=True)
async def test_a_cancelled_read_is_interrupted_and_the_next_one_works(notes: Database) -> None:
    running = threading.Event()

    def endless(connection: sqlite3.Connection) -> None:
        running.set()  # so the cancellation may well come before the query begins
        connection.execute(ENDLESS).fetchall()

    with trio.fail_after(10):
        for _ in range(20):
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(notes.read, endless)
                    await trio.to_thread.run_sync(running.wait)
                    scope.cancel()
            assert scope.cancelled_caught
            running.clear()
            assert await notes.read(texts) == []


async def test_cancelling_a_read_that_waits_leaves_the_one_that_runs_alone(
    threaded: Database, gate: Gate
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(threaded.read, gate)
        await gate.is_running()
        with trio.CancelScope() as scope:
            nursery.start_soon(cancel_when_blocked, scope)
            await threaded.read(texts)
        assert scope.cancelled_caught
        gate.let_go()  # the first read now returns; were it interrupted, the nursery would raise


async def test_reads_go_on_while_a_write_is_under_way_and_see_what_was_before(
    threaded: Database, gate: Gate
) -> None:
    await threaded.write(add, "before")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(threaded.write, gate, "during")
        await gate.is_running()
        assert await threaded.read(texts) == ["before"]
        gate.let_go()


async def test_a_read_sees_one_snapshot(threaded: Database) -> None:
    between = threading.Event()
    go_on = threading.Event()

    def twice(connection: sqlite3.Connection) -> tuple[list[str], list[str]]:
        first = texts(connection)
        between.set()
        assert go_on.wait(10)
        return first, texts(connection)

    async def change() -> None:
        await trio.to_thread.run_sync(between.wait)
        await threaded.write(add, "in between")
        go_on.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(change)
        assert await threaded.read(twice) == ([], [])


async def test_opening_can_be_cancelled_in_the_middle_of_a_migration(tmp_path: Path) -> None:
    with trio.fail_after(10), trio.move_on_after(0.05) as scope:
        async with open_database(tmp_path / "notes.db", [*NOTES, f"CREATE TABLE n AS {ENDLESS}"]):
            raise AssertionError("opened")
    assert scope.cancelled_caught
    async with open_database(tmp_path / "notes.db", NOTES) as opened:
        assert await opened.write(add, "fine") == 1


async def cancel_when_blocked(scope: trio.CancelScope) -> None:
    await trio.testing.wait_all_tasks_blocked()
    scope.cancel()


async def cancel_when_running(scope: trio.CancelScope, gate: Gate) -> None:
    await gate.is_running()
    scope.cancel()
    gate.let_go()


# --- formats, damage, trouble ----------------------------------------------------------------------------


async def test_migrations_run_once_each_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    async with open_database(path, NOTES) as opened:
        await opened.write(add, "old")
    newer = [*NOTES, "ALTER TABLE note ADD COLUMN mark TEXT; UPDATE note SET mark = 'seen'"]
    for _ in range(2):
        async with open_database(path, newer) as opened:
            rows = await opened.read(lambda connection: connection.execute("SELECT * FROM note").fetchall())
            assert rows == [(1, "old", "seen")]


async def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    async with open_database(path, NOTES) as opened:
        await opened.write(add, "old")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        async with open_database(path, [*NOTES, "DELETE FROM note; DELETE FROM nowhere"]):
            raise AssertionError("opened")
    async with open_database(path, NOTES) as opened:
        assert await opened.read(texts) == ["old"]


@pytest.mark.parametrize("threads", [True, False])
async def test_a_file_of_a_newer_program_is_refused(tmp_path: Path, threads: bool) -> None:
    async with open_database(tmp_path / "notes.db", [*NOTES, "SELECT 1"]):
        pass
    with pytest.raises(LocalTrouble, match=r"newer version .* \(format 2, known up to 1\)"):
        async with open_database(tmp_path / "notes.db", NOTES, threads=threads):
            raise AssertionError("opened")


@pytest.mark.parametrize("threads", [True, False])
async def test_a_file_that_is_no_database_and_a_folder_that_is_not_there_get_a_sentence(
    tmp_path: Path, threads: bool
) -> None:
    (tmp_path / "song.mp3").write_bytes(b"ID3" * 1000)
    for path, sentence in (
        (tmp_path / "song.mp3", "is not a database of this program"),
        (tmp_path / "nowhere" / "notes.db", "cannot be opened"),
    ):
        with pytest.raises(LocalTrouble, match=sentence):
            async with open_database(path, NOTES, threads=threads):
                raise AssertionError("opened")


async def test_opening_what_cannot_be_opened_leaves_no_thread_behind(tmp_path: Path) -> None:
    before = threading.active_count()
    for _ in range(30):  # a thread that outlives its loop fails now and then, and pytest tells
        with pytest.raises(LocalTrouble, match="cannot be opened"):
            async with open_database(tmp_path / "nowhere" / "notes.db", NOTES):
                raise AssertionError("opened")
    assert threading.active_count() <= before + 1  # trio keeps one of its own for a while


async def test_a_full_disk_gets_a_sentence_and_the_database_stays_usable(
    threaded: Database, gate: Gate
) -> None:
    await threaded.write(add, "before")
    await threaded.write(execute, "CREATE TABLE big (data)")
    await threaded.write(set_page_limit, 8)
    failures: list[str] = []

    def fill(connection: sqlite3.Connection, text: str) -> None:
        connection.execute(f"INSERT INTO big VALUES ('{text}' || zeroblob(100000))")

    async def write(unit: Callable[[sqlite3.Connection, str], object], text: str) -> None:
        try:
            await threaded.write(unit, text)
        except LocalTrouble as trouble:
            failures.append(str(trouble))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(threaded.write, gate)
        await gate.is_running()
        nursery.start_soon(write, add, "shares the transaction")
        nursery.start_soon(write, fill, "too much")
        await trio.testing.wait_all_tasks_blocked()
        gate.let_go()
    assert len(failures) == 2  # SQLite gave up the transaction they shared; neither was acknowledged
    assert all("is full. Free some space" in failure for failure in failures)
    await threaded.write(set_page_limit, 1_000_000)
    await threaded.write(add, "after")
    assert await threaded.read(texts) == ["before", "after"]


def set_page_limit(connection: sqlite3.Connection, pages: int) -> None:
    execute(connection, f"PRAGMA max_page_count = {pages}")


async def test_a_file_held_by_another_program_gets_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "BUSY_TIMEOUT_S", 0)
    async with open_database(tmp_path / "notes.db", NOTES) as opened:
        with closing(sqlite3.connect(tmp_path / "notes.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LocalTrouble, match="in use by another program"):
                await opened.write(add, "too late")
        assert await opened.write(add, "now") == 1


# --- crashes, in processes of their own ------------------------------------------------------------------

WRITER = """
import sys, trio
from p2pshare.database import open_database

def add(connection, writer, number):
    connection.execute("INSERT INTO pair VALUES (?, ?)", (writer, number))
    connection.execute("UPDATE total SET pairs = pairs + 1")

async def write(database, writer):
    number = 0
    while True:
        await database.write(add, writer, number)
        print(writer, number, flush=True)
        number += 1

async def main():
    tables = "CREATE TABLE pair (writer, number); CREATE TABLE total (pairs); INSERT INTO total VALUES (0)"
    async with open_database(sys.argv[1], [tables]) as database, trio.open_nursery() as nursery:
        for writer in range(4):
            nursery.start_soon(write, database, writer)

trio.run(main)
"""


@pytest.mark.parametrize("acknowledged", [1, 40, 700])
async def test_after_kill_9_every_acknowledged_write_is_there_and_every_write_is_whole(
    tmp_path: Path, acknowledged: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pairs.db"
    with subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(acknowledged)]
        process.send_signal(signal.SIGKILL)
        told += process.stdout.readlines()
    assert Path(f"{path}-wal").stat().st_size > 0
    checks: list[str] = []
    monkeypatch.setattr(database, "prepare", traced(units.prepare, checks))
    async with open_database(path, ["was run by the writer"]) as opened:
        there = set(await opened.read(lambda connection: connection.execute("SELECT * FROM pair").fetchall()))
        total = await opened.read(lambda connection: connection.execute("SELECT * FROM total").fetchone())
    assert {tuple(map(int, line.split())) for line in told if line.endswith("\n")} <= there
    assert total == (len(there),)
    assert any("quick_check" in statement for statement in checks)
    checks.clear()
    async with open_database(path, ["was run by the writer"]):
        assert not any("quick_check" in statement for statement in checks)  # the last stop was a clean one


def traced(prepare: Callable[..., None], statements: list[str]) -> Callable[..., None]:
    def prepare_and_trace(path: Path, migrations: Sequence[str], connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(statements.append)
        prepare(path, migrations, connection)

    return prepare_and_trace


async def test_damage_found_after_an_unclean_stop_is_told_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "pairs.db"
    with subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(400):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.stdout.read()
    with closing(sqlite3.connect(path)) as whole:
        whole.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page, root = whole.execute(
            "SELECT page_size, rootpage FROM pragma_page_size, sqlite_schema WHERE name = 'pair'"
        ).fetchone()
    with path.open("r+b") as damaged:
        damaged.seek((root - 1) * page)
        damaged.write(os.urandom(page))
    Path(f"{path}-wal").write_bytes(b"left by a crash")
    with pytest.raises(LocalTrouble, match=r"is damaged\. Put back a backup"):
        async with open_database(path, ["was run by the writer"]):
            raise AssertionError("opened")


@pytest.mark.parametrize("ending", ["raise SystemExit(3)", "os._exit(3)", "sys.exit(3)"])
def test_a_program_that_ends_without_closing_is_not_held_up(tmp_path: Path, ending: str) -> None:
    program = f"""
import os, sys, trio
from p2pshare.database import open_database

async def main():
    opened = open_database(sys.argv[1], [])
    await opened.__aenter__()
    keep.append(opened)

keep = []
trio.run(main)
{ending}
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "a.db"], timeout=20, check=False)
    assert done.returncode == 3


# --- what we lean on -------------------------------------------------------------------------------------


def test_the_private_names_of_aiosqlite_that_we_use_are_there() -> None:
    assert callable(aiosqlite.Connection._execute)
    assert isinstance(aiosqlite.Connection._conn, property)
    assert isinstance(aiosqlite.connect(":memory:")._thread, threading.Thread)  # not started by this
