"""Shared files as others see them: units that turn rows into wire offers, and find them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from client.engine.beneath import Stamp
from client.engine.shares import hash_cache
from client.engine.shares.hash_cache import Hashed
from client.engine.shares.inventory import NO_TAGS_PACKED, absolute
from p2pshare.hashing import FileId
from p2pshare.wire.fields import NO_TAGS, Offer, Tags
from p2pshare.wire.schema import load_untrusted, unpack_untrusted

DOWNLOAD_OFFERS_FROM = 1 << 31  # below are rows of `file`, above the files that are still being downloaded
UNIX_TIME_MAX = 1 << 40
COPIES_MAX = 8  # tried when a file is asked for; the same cover picture may lie in a thousand folders

COLUMNS = "f.id, s.name, d.path, f.name, f.size, f.mtime_ns, f.file_id, f.rotten, f.tags"
FILES = "file f JOIN folder d ON d.id = f.folder JOIN share s ON s.id = d.share"
Row = tuple[int, str, str, str, int, int, bytes | None, int, bytes | None]


def offer_of(row: Row) -> Offer:
    """The offer of one row of COLUMNS."""
    offer, share, folder, name, size, mtime_ns, file_id, rotten, tags = row
    return Offer(
        offer=offer,
        path=f"{share}/{folder}/{name}" if folder else f"{share}/{name}",
        size=size,
        file=None if file_id is None else FileId(file_id),
        partial=bool(rotten),
        changed=min(max(mtime_ns // 1_000_000_000, 0), UNIX_TIME_MAX),
        tags=NO_TAGS if tags in (None, NO_TAGS_PACKED) else load_untrusted(Tags, unpack_untrusted(tags)),
    )


def find_offer(db: sqlite3.Connection, offer: int) -> Offer | None:
    """By number."""
    row = db.execute(f"SELECT {COLUMNS} FROM {FILES} WHERE f.id = ? AND NOT s.away", (offer,)).fetchone()
    return offer_of(row) if row else None


def find_offer_at(db: sqlite3.Connection, share: int, folder: str, name: str) -> Offer | None:
    """By place."""
    row = db.execute(
        f"SELECT {COLUMNS} FROM {FILES}"
        " WHERE d.share = ? AND d.path = ? AND f.sort_key = ? AND f.name = ? AND NOT s.away",
        (share, folder, name.casefold(), name),
    ).fetchone()
    return offer_of(row) if row else None


def offers_among(db: sqlite3.Connection, numbers: Iterable[int]) -> list[Offer]:
    """Those of the numbered offers that exist and are not away."""
    rows = db.execute(
        f"SELECT {COLUMNS} FROM {FILES} WHERE f.id IN (SELECT value FROM json_each(?)) AND NOT s.away",
        (json.dumps(list(numbers)),),
    )
    return [offer_of(row) for row in rows]


def held_among(db: sqlite3.Connection, files: Iterable[FileId]) -> frozenset[FileId]:
    """Those of the files that are shared here."""
    query = "SELECT 1 FROM file WHERE file_id = ? LIMIT 1"
    return frozenset(file for file in files if db.execute(query, (file,)).fetchone())


@dataclass(frozen=True)
class OnDisk:
    """Where a shared file lies and what it was when it was last looked at."""

    offer: int
    share: int
    root: str
    folder: str  # within the share
    name: str
    stamp: Stamp
    file: FileId | None

    @property
    def parts(self) -> tuple[str, ...]:
        """Below the root."""
        return (*self.folder.split("/"), self.name) if self.folder else (self.name,)

    @property
    def path(self) -> str:
        return absolute(self.root, self.folder, self.name)


ON_DISK = "f.id, s.id, s.path, d.path, f.name, f.size, f.mtime_ns, f.identity, f.file_id"


def on_disk_of(row: tuple[int, int, str, str, str, int, int, str, bytes | None]) -> OnDisk:
    """One row of ON_DISK."""
    offer, share, root, folder, name, size, mtime_ns, identity, file_id = row
    stamp = Stamp(size, mtime_ns, identity)
    return OnDisk(offer, share, root, folder, name, stamp, None if file_id is None else FileId(file_id))


def find_on_disk(db: sqlite3.Connection, offer: int) -> OnDisk | None:
    row = db.execute(f"SELECT {ON_DISK} FROM {FILES} WHERE f.id = ? AND NOT s.away", (offer,)).fetchone()
    return on_disk_of(row) if row else None


def copies_of(db: sqlite3.Connection, file: FileId) -> list[tuple[OnDisk, Hashed]]:
    """Shared copies of a file, COPIES_MAX at most, whole ones first, with its piece hashes."""
    rows = db.execute(
        f"SELECT {ON_DISK} FROM {FILES} WHERE f.file_id = ? AND NOT s.away ORDER BY f.rotten LIMIT ?",
        (file, COPIES_MAX),
    )
    copies = [on_disk_of(row) for row in rows.fetchall()]
    hashed = [(copy, hash_cache.pieces(db, copy.path, copy.stamp)) for copy in copies]
    return [(copy, hashes) for copy, hashes in hashed if hashes is not None]
