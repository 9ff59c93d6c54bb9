"""What happens on a connection: set it up, run units in transactions, say what went wrong.

All of it is synchronous and runs whole on the thread of the connection it is given.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import outcome

from p2pshare.errors import LocalTrouble, Misuse

Unit = Callable[[sqlite3.Connection], Any]

BUSY_TIMEOUT_S = 5  # how long another program may hold the file, e.g. a backup


def connect_arguments(path: Path | str) -> dict[str, Any]:
    """What `sqlite3.connect` is called with. Creates the file, readable by its owner alone."""
    if str(path) != ":memory:":
        # It holds what a person shares and says; SQLite gives its log files the same mode.
        with suppress(OSError):  # whatever is wrong here, SQLite meets it next and names it
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    return {
        "database": str(path),
        "isolation_level": None,  # transactions begin and end below, and nowhere else
        "timeout": BUSY_TIMEOUT_S,
        "cached_statements": 512,
    }


def prepare(path: Path | str, migrations: Sequence[str], connection: sqlite3.Connection) -> None:
    """Make the file ready to be written by this connection: settings, check, migrations."""
    # SQLite removes the write-ahead log when the last connection closes; one that is there is from a crash.
    log = Path(f"{path}-wal")
    stopped_uncleanly = log.exists() and log.stat().st_size > 0
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    if stopped_uncleanly:
        findings = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
        if findings != ["ok"]:
            raise sqlite3.DatabaseError(*findings)
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(migrations):
        raise LocalTrouble(
            f"{path} was written by a newer version of this program (format {version}, known up to "
            f"{len(migrations)}). Install the newer version, or choose another file."
        )
    for number, script in enumerate(migrations[version:], start=version + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE;\n{script}\n;PRAGMA user_version = {number};\nCOMMIT;")
        finally:
            _roll_back(connection)
    # Only now: a migration may rebuild a table that others point to.
    connection.execute("PRAGMA foreign_keys = ON")


def run_read(unit: Unit, connection: sqlite3.Connection) -> Any:
    """Run one unit on one snapshot, and undo whatever it may have changed."""
    connection.execute("BEGIN")
    changes = connection.total_changes
    try:
        result = _finish(unit, connection)
    finally:
        changed = connection.total_changes != changes
        try:
            _roll_back(connection)
        except sqlite3.OperationalError as error:
            if not is_interrupt(error):
                raise
            _roll_back(connection)  # the interrupt was meant for the unit and came too late
    if changed:
        raise Misuse("a unit run by read() changes the database; use write()")
    return result


def run_writes(units: Sequence[Unit], connection: sqlite3.Connection) -> list[outcome.Outcome[Any]]:
    """Run the units in one transaction, each all or nothing. Never raises: the outcomes say who failed."""
    outcomes: list[outcome.Outcome[Any]] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
        for unit in units:
            connection.execute("SAVEPOINT unit")
            result = outcome.capture(_finish, unit, connection)
            if not connection.in_transaction:
                # SQLite gives up the whole transaction when a disk fails or is full; a unit never may.
                result.unwrap()
                raise Misuse("a unit ended the transaction it runs in")
            if isinstance(result, outcome.Error):
                connection.execute("ROLLBACK TO unit")
            connection.execute("RELEASE unit")
            outcomes.append(result)
        connection.execute("COMMIT")
    except BaseException as error:
        _roll_back(connection)
        return [outcome.Error(error) for _ in units]
    return outcomes


def _finish(unit: Unit, connection: sqlite3.Connection) -> Any:
    result = unit(connection)
    if isinstance(result, sqlite3.Cursor):
        raise Misuse(
            "a unit returned a cursor, which must not leave its thread; fetch the rows inside the unit"
        )
    return result


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def is_interrupt(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT


_SENTENCES = {
    sqlite3.SQLITE_FULL: "The disk that holds {path} is full. Free some space, then try again.",
    sqlite3.SQLITE_IOERR: "Reading or writing {path} failed. Check that the disk is well and has space left.",
    sqlite3.SQLITE_CORRUPT: "{path} is damaged. Put back a backup, or move the file away to start anew.",
    sqlite3.SQLITE_NOTADB: "{path} is not a database of this program. Choose another file.",
    sqlite3.SQLITE_CANTOPEN: "{path} cannot be opened. Check that its folder exists and may be written to.",
    sqlite3.SQLITE_PERM: "{path} may not be opened. Check who owns the file and its folder.",
    sqlite3.SQLITE_READONLY: "{path} may not be written to. Check who owns the file and its folder.",
    sqlite3.SQLITE_BUSY: "{path} is in use by another program. Close that one, then try again.",
}


def explain(path: Path | str, error: sqlite3.Error) -> LocalTrouble | None:
    """The sentence for the person, or None if the error is about the statement and so about our own code."""
    # The check after an unclean stop raises an error of its own, without a code of SQLite.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if type(error) not in (sqlite3.OperationalError, sqlite3.DatabaseError) or code not in _SENTENCES:
        return None
    return LocalTrouble(_SENTENCES[code].format(path=path))
