"""What was ever hashed: units for the database. An entry holds as long as the file's stamp does.

It is kept apart from the shares: neither a restart nor taking a folder out and in again costs hashing.
"""

from __future__ import annotations

import sqlite3

from client.engine.beneath import Stamp
from p2pshare.hashing import FileId, PieceHashes, piece_size_for

KEEP_UNSHARED_S = 180 * 86_400  # for a folder that comes back after half a year; a song costs 2 KiB


def find(db: sqlite3.Connection, path: str, stamp: Stamp) -> FileId | None:
    """The id of the file at an absolute path, if it was hashed as it is now."""
    row = db.execute(
        "SELECT file_id FROM hash_cache WHERE path = ? AND size = ? AND mtime_ns = ? AND inode = ?",
        (path, stamp.size, stamp.mtime_ns, stamp.inode),
    ).fetchone()
    return FileId(row[0]) if row else None


def piece_hashes(db: sqlite3.Connection, path: str, stamp: Stamp) -> PieceHashes | None:
    """The same with all piece hashes."""
    row = db.execute(
        "SELECT hashes FROM hash_cache WHERE path = ? AND size = ? AND mtime_ns = ? AND inode = ?",
        (path, stamp.size, stamp.mtime_ns, stamp.inode),
    ).fetchone()
    return PieceHashes(stamp.size, piece_size_for(stamp.size), row[0]) if row else None


def remember(db: sqlite3.Connection, path: str, stamp: Stamp, hashes: PieceHashes, unix_now: float) -> None:
    db.execute(
        "INSERT OR REPLACE INTO hash_cache(path, size, mtime_ns, inode, file_id, hashed_at, hashes)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (path, stamp.size, stamp.mtime_ns, stamp.inode, hashes.file_id, unix_now, hashes.hashes),
    )


def prune(db: sqlite3.Connection, unix_now: float) -> int:
    """Forget what has long been hashed and is not shared any more. Returns how many entries."""
    return db.execute(
        "DELETE FROM hash_cache WHERE hashed_at < ?"
        " AND file_id NOT IN (SELECT file_id FROM file WHERE file_id IS NOT NULL)",
        (unix_now - KEEP_UNSHARED_S,),
    ).rowcount
