"""What was ever hashed: units for the database. An entry holds as long as the file's stamp does.

It is kept apart from the shares: neither a restart nor taking a folder out and in again costs hashing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from client.engine.beneath import Stamp
from p2pshare.hashing import FileId, PieceHashes, piece_size_for

KEEP_UNSHARED_S = 180 * 86_400  # for a folder that comes back after half a year; a song costs 2 KiB
SETTLED_S = 120.0  # a system writes what a program changed in memory to the disk within 35 s, usually

_REMEMBER = (
    "INSERT OR REPLACE INTO hash_cache(path, size, mtime_ns, identity, file_id, hashed_at, checked_at,"
    " settled, hashes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
THIS = "path = ? AND size = ? AND mtime_ns = ? AND identity = ?"


@dataclass(frozen=True)
class Known:
    """What the file at some path is."""

    file: FileId
    rotten: bool  # the disk does not give all of it back any more


@dataclass(frozen=True)
class Hashed:
    """The same with its pieces."""

    hashes: PieceHashes
    good: bytes | None  # bitmap of the pieces that the disk gives back as they were; None for all
    settled: bool
    """Whether nobody can have been writing the file when it was hashed. A program that maps a file may write
    for a while without a trace in its stamp."""


def find(db: sqlite3.Connection, path: str, stamp: Stamp) -> Known | None:
    """The file at an absolute path, if it was hashed as it is now."""
    row = db.execute(
        f"SELECT file_id, good IS NOT NULL FROM hash_cache WHERE {THIS}", this(path, stamp)
    ).fetchone()
    return Known(FileId(row[0]), bool(row[1])) if row else None


def pieces(db: sqlite3.Connection, path: str, stamp: Stamp) -> Hashed | None:
    """The same with all piece hashes."""
    row = db.execute(
        f"SELECT hashes, good, settled FROM hash_cache WHERE {THIS}", this(path, stamp)
    ).fetchone()
    if row is None:
        return None
    return Hashed(PieceHashes(stamp.size, piece_size_for(stamp.size), row[0]), row[1], bool(row[2]))


def remember(
    db: sqlite3.Connection,
    path: str,
    stamp: Stamp,
    hashes: PieceHashes,
    unix_now: float,
    *,
    ours: bool = False,
) -> None:
    """`ours`: we wrote it ourselves, so nobody else was writing it when it was hashed."""
    settled = ours or unix_now - stamp.changed_at > SETTLED_S
    db.execute(
        _REMEMBER,
        (*this(path, stamp), hashes.file_id, unix_now, unix_now, settled, hashes.hashes),
    )


def remember_ours(
    db: sqlite3.Connection, files: Iterable[tuple[str, Stamp, PieceHashes]], unix_now: float
) -> None:
    """Many files that we wrote ourselves."""
    db.executemany(
        _REMEMBER,
        [
            (*this(path, stamp), hashes.file_id, unix_now, unix_now, True, hashes.hashes)
            for path, stamp, hashes in files
        ],
    )


def forget(db: sqlite3.Connection, path: str) -> None:
    """It must be hashed anew."""
    db.execute("DELETE FROM hash_cache WHERE path = ?", (path,))


def prune(db: sqlite3.Connection, unix_now: float) -> int:
    """Forget what has long been hashed and is not shared any more. Returns how many entries."""
    return db.execute(
        "DELETE FROM hash_cache WHERE hashed_at < ?"
        " AND file_id NOT IN (SELECT file_id FROM file WHERE file_id IS NOT NULL)",
        (unix_now - KEEP_UNSHARED_S,),
    ).rowcount


def this(path: str, stamp: Stamp) -> tuple[str, int, int, str]:
    """The values for THIS."""
    return path, stamp.size, stamp.mtime_ns, stamp.identity
