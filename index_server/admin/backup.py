"""One file that holds a whole server: its database and its key.

A backup is a copy of the database, made by SQLite while the server runs, with the key in a table of its own.
No part of the server needs to run for either, so both also work while it does not.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from index_server.server import DATABASE_FILE, IDENTITY_FILE, SNAPSHOT_FILE, claim_folder
from index_server.store import MIGRATIONS
from p2pshare.database.units import explain
from p2pshare.errors import LocalTrouble
from p2pshare.identity import load_identity

KEY_TABLE = "server_key"


@dataclass(frozen=True)
class Kept:
    """What a backup holds."""

    accounts: int
    bytes: int


def back_up(folder: Path, file: Path) -> Kept:
    """Copy the server in `folder`, running or not, to a new `file`. Raises `LocalTrouble`."""
    database, identity = folder / DATABASE_FILE, folder / IDENTITY_FILE
    if not (database.exists() and identity.exists()):
        raise LocalTrouble(f"There is no index server in {folder}. Name its folder with --server-data.")
    if file.exists():
        raise LocalTrouble(f"{file} exists already, and a backup never replaces a file. Choose another name.")
    draft = file.with_name(file.name + ".part")
    with _in_words(draft):
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            with closing(sqlite3.connect(draft)) as copy:
                with closing(sqlite3.connect(database)) as original:
                    original.backup(copy)  # at once: a snapshot, however many write meanwhile
                copy.execute("PRAGMA journal_mode = DELETE")  # so that it is one file
                with copy:
                    copy.execute(f"CREATE TABLE {KEY_TABLE} (content BLOB NOT NULL)")
                    copy.execute(f"INSERT INTO {KEY_TABLE} VALUES (?)", (identity.read_bytes(),))
                kept = _kept(copy, draft)
            _to_disk(draft)
            draft.rename(file)
        finally:
            draft.unlink(missing_ok=True)
    return kept


def restore(file: Path, folder: Path, *, replace: bool) -> Kept:
    """Put a backup into the folder of a server that does not run. Raises `LocalTrouble`.

    `replace`: what is there is set aside, with ".old" at the end of its name.
    """
    if not file.is_file():
        raise LocalTrouble(f"There is no file {file}.")
    with claim_folder(folder), _in_words(file), closing(sqlite3.connect(_read_only(file), uri=True)) as copy:
        key = _checked_key(copy, file)
        there = [path for path in (folder / DATABASE_FILE, folder / IDENTITY_FILE) if path.exists()]
        if there and not replace:
            raise LocalTrouble(
                f"{folder} has a server already. To put the backup in its place, say --replace; what is there"
                ' is kept, with ".old" at the end of its name.'
            )
        drafts = (folder / f"{DATABASE_FILE}.new", folder / f"{IDENTITY_FILE}.new")
        for draft in drafts:
            draft.unlink(missing_ok=True)
            os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(drafts[0])) as database:
            copy.backup(database)
            with database:
                database.execute(f"DROP TABLE {KEY_TABLE}")
            kept = _kept(database, drafts[0])
        drafts[1].write_bytes(key)
        load_identity(drafts[1], None)  # a key that cannot be used replaces none
        for draft in drafts:
            _to_disk(draft)
        _set_aside(folder)
        drafts[0].rename(folder / DATABASE_FILE)
        drafts[1].rename(folder / IDENTITY_FILE)
    return kept


def _checked_key(copy: sqlite3.Connection, file: Path) -> bytes:
    """The key in a backup that is whole. Raises `LocalTrouble`."""
    findings = [row[0] for row in copy.execute("PRAGMA quick_check(1)")]
    if findings != ["ok"]:
        raise LocalTrouble(f"{file} is damaged: {findings[0]}. Use another backup.")
    if not copy.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (KEY_TABLE,)).fetchone():
        raise LocalTrouble(f"{file} is no backup of an index server: it holds no key.")
    [(version,)] = copy.execute("PRAGMA user_version")
    if version > len(MIGRATIONS):
        raise LocalTrouble(f"{file} is from a newer version of this program. Install that first.")
    [(key,)] = copy.execute(f"SELECT content FROM {KEY_TABLE}")
    return bytes(key)


def _set_aside(folder: Path) -> None:
    (folder / SNAPSHOT_FILE).unlink(missing_ok=True)  # made anew, from the database that comes
    for name in (DATABASE_FILE, f"{DATABASE_FILE}-wal", f"{DATABASE_FILE}-shm", IDENTITY_FILE):
        with suppress(FileNotFoundError):
            (folder / name).replace(folder / f"{name}.old")


def _kept(database: sqlite3.Connection, file: Path) -> Kept:
    [(accounts,)] = database.execute("SELECT count(*) FROM account")
    return Kept(accounts, file.stat().st_size)


def _read_only(file: Path) -> str:
    return f"{file.absolute().as_uri()}?mode=ro"


def _to_disk(file: Path) -> None:
    with open(file, "rb") as opened:
        os.fsync(opened.fileno())


@contextmanager
def _in_words(file: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise explain(file, error) or LocalTrouble(f"{file} cannot be used: {error}.") from None
    except OSError as error:
        raise LocalTrouble(f"{error.filename or file} cannot be used: {error.strerror}.") from None
