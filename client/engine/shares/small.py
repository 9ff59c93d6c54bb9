"""Many small shared files found at once: a unit for the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from client.engine.beneath import Stamp
from client.engine.shares.offers import FILES
from client.engine.small_files import SmallFile
from p2pshare.errors import Reason
from p2pshare.hashing import FileId
from p2pshare.limits import SMALL_FILE_BYTES_MAX

_SELECT = (
    "SELECT s.path, d.path, f.name, f.size, f.mtime_ns, f.identity, f.file_id"
    f" FROM {FILES} WHERE {{}} AND NOT f.rotten AND NOT s.away LIMIT 1"
)
_BY_FILE_ID = _SELECT.format("f.file_id = ?")
_BY_OFFER = _SELECT.format("f.id = ?")


def find_small(
    db: sqlite3.Connection, files: Sequence[FileId], offers: Sequence[int]
) -> list[SmallFile | Reason]:
    """Where each of the files lies, then each of the offers, or why there is none to be had."""
    execute = db.execute
    rows = [execute(_BY_FILE_ID, (file,)).fetchone() for file in files]
    rows += [execute(_BY_OFFER, (offer,)).fetchone() for offer in offers]
    return [_small_file(row) for row in rows]


def _small_file(row: tuple[str, str, str, int, int, str, bytes | None] | None) -> SmallFile | Reason:
    if row is None:
        return Reason.NO_SUCH_FILE
    root, folder, name, size, mtime_ns, identity, file = row
    if size > SMALL_FILE_BYTES_MAX:
        return Reason.TOO_MUCH
    stamp = Stamp(size, mtime_ns, identity)
    return SmallFile(root, folder, name, stamp, None if file is None else FileId(file))
