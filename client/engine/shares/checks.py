"""What was checked, and what had rotted: units for `Database.read` and `Database.write`."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from client.engine.shares import hash_cache, inventory
from client.engine.shares.hash_cache import Hashed
from client.engine.shares.inventory import Change, Share
from client.engine.shares.offers import FILES, ON_DISK, OnDisk, find_on_disk, on_disk_of
from client.engine.shares.scan import Top

CHECK_TOGETHER = 64  # files found by one question

_PATH = "rtrim(s.path, '/') || '/' || iif(d.path = '', '', d.path || '/') || f.name"  # as inventory.absolute


@dataclass(frozen=True)
class Place:
    """What a person named: everything, a share, or what lies in one."""

    share: int | None = None  # None: every share
    inside: str = ""  # path of a folder or a file in it; "" for all of it


def due(db: sqlite3.Connection, before: float) -> list[int]:
    """Offers whose files were last checked before `before`, those that wait longest first."""
    rows = db.execute(
        f"SELECT f.id FROM hash_cache h INDEXED BY hash_cache_by_check CROSS JOIN {FILES}"
        " WHERE h.checked_at < ? AND f.file_id = h.file_id AND NOT s.away AND f.size = h.size"
        f" AND f.mtime_ns = h.mtime_ns AND f.identity = h.identity AND h.path = {_PATH}"
        " ORDER BY h.checked_at LIMIT ?",
        (before, CHECK_TOGETHER),
    )
    return [offer for (offer,) in rows]


def beneath(db: sqlite3.Connection, place: Place) -> list[tuple[int, int]]:
    """(offer, size) of every hashed file there, in the order of folders."""
    folder, _, name = place.inside.rpartition("/")
    # "/" is followed by "0", so the range holds all that begins with the path and a slash, and nothing else.
    return db.execute(
        f"SELECT f.id, f.size FROM {FILES} WHERE f.file_id IS NOT NULL AND NOT s.away"
        " AND (?1 IS NULL OR s.id = ?1)"
        " AND (?2 = '' OR d.path = ?2 OR (d.path > ?2 || '/' AND d.path < ?2 || '0')"
        "      OR (d.path = ?3 AND f.name = ?4))"
        " ORDER BY d.id, f.sort_key",
        (place.share, place.inside, folder, name),
    ).fetchall()


def find_hashed(db: sqlite3.Connection, offer: int) -> tuple[OnDisk, Hashed] | None:
    """A file with what is known of its pieces; None if it is gone, away or not hashed as it is now."""
    target = find_on_disk(db, offer)
    if target is None or target.file is None:
        return None
    hashed = hash_cache.pieces(db, target.path, target.stamp)
    return (target, hashed) if hashed is not None else None


def rotten(db: sqlite3.Connection, place: Place) -> list[tuple[OnDisk, Hashed]]:
    """What is known to have rotted there."""
    offers = [offer for offer, _ in beneath(db, place)]
    rows = db.execute(f"SELECT {ON_DISK} FROM {FILES} WHERE f.rotten AND NOT s.away").fetchall()
    targets = [target for target in map(on_disk_of, rows) if target.offer in set(offers)]
    found = [find_hashed(db, target.offer) for target in targets]
    return [one for one in found if one is not None]


def note(db: sqlite3.Connection, target: OnDisk, good: bytes | None, settled: bool, unix_now: float) -> bool:
    """A check found these pieces of a file good. Whether that makes another offer of it."""
    db.execute(
        f"UPDATE hash_cache SET checked_at = ?, settled = ?, good = ? WHERE {hash_cache.THIS}",
        (unix_now, settled, good, *hash_cache.this(target.path, target.stamp)),
    )
    changed = db.execute(
        "UPDATE file SET rotten = ?1, offer_hash = NULL WHERE id = ?2 AND size = ?3 AND mtime_ns = ?4"
        " AND identity = ?5 AND rotten <> ?1",
        (good is not None, target.offer, target.stamp.size, target.stamp.mtime_ns, target.stamp.identity),
    )
    return changed.rowcount == 1


def put_off(db: sqlite3.Connection, target: OnDisk, unix_now: float) -> None:
    """It could not be checked now: the others first."""
    db.execute("UPDATE hash_cache SET checked_at = ? WHERE path = ?", (unix_now, target.path))


def hash_again(db: sqlite3.Connection, target: OnDisk) -> list[int]:
    """What was hashed was not what the file came to be. Returns the offers this changes."""
    hash_cache.forget(db, target.path)
    if find_on_disk(db, target.offer) is None:
        return []
    share = Share(target.share, Top(target.root, ""))
    return inventory.apply(db, share, [Change(target.folder, target.name, target.stamp)])


def come_back(db: sqlite3.Connection, unix_now: float) -> None:
    """Times that lie ahead are from a clock that was wrong: count from now."""
    db.execute("UPDATE hash_cache SET checked_at = ?1 WHERE checked_at > ?1", (unix_now,))
