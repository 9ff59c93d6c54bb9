"""What is shared, as rows: shares, their folders and files. Units for `Database.read` and `Database.write`.

A folder's totals are changed by the very transaction that changes its files, so they always add up, and a
folder of a million files is counted by reading one row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from client.engine.beneath import Stamp
from client.engine.shares import hash_cache
from client.engine.shares.scan import FoundFolder, Top
from p2pshare.hashing import FileId
from p2pshare.kinds import FileKind, kind_of
from p2pshare.names import safe_leaf_name
from p2pshare.wire.fields import NO_TAGS, Tags
from p2pshare.wire.schema import dump, pack

NO_TAGS_PACKED = pack(dump(NO_TAGS))
REMOVE_AT_ONCE = 5_000  # rows, some 50 ms
MEDIA = (FileKind.AUDIO, FileKind.VIDEO, FileKind.PICTURE)


@dataclass(frozen=True)
class Share:
    """A shared folder."""

    id: int
    top: Top


@dataclass(frozen=True)
class Standing:
    """What a share holds, at any depth."""

    files: int
    bytes: int
    hashed: int
    away: bool  # not on disk just now; its files are kept, but not offered
    rotten: int = 0  # files that the disk does not give back as they were


# --- shares ------------------------------------------------------------------------------------------


def shares(db: sqlite3.Connection) -> list[tuple[Share, Standing]]:
    """All shares, in the order of their names."""
    rows = db.execute(
        "SELECT s.id, s.path, s.name, s.away, d.files, d.bytes, d.hashed,"
        " (SELECT count(*) FROM file f JOIN folder i ON i.id = f.folder WHERE f.rotten AND i.share = s.id)"
        " FROM share s JOIN folder d ON d.share = s.id AND d.path = '' ORDER BY s.name"
    )
    return [
        (Share(id, Top(path, name)), Standing(files, size, hashed, bool(away), rotten))
        for id, path, name, away, files, size, hashed, rotten in rows
    ]


def add_share(db: sqlite3.Connection, root: str, wanted_name: str, unix_now: float) -> Share:
    """A new share under a name like the wanted one, which no other has, in upper or lower case."""
    taken = {name.casefold() for (name,) in db.execute("SELECT name FROM share")}
    name, count = wanted_name, 1
    while name.casefold() in taken:
        count += 1
        name = safe_leaf_name(f"{wanted_name} ({count})")
    cursor = db.execute("INSERT INTO share(path, name, added_at) VALUES (?, ?, ?)", (root, name, unix_now))
    share = Share(cursor.lastrowid or 0, Top(root, name))
    _folder(db, share.id, "", {})
    return share


def remove_share(db: sqlite3.Connection, share: int) -> bool:
    """Forget a share, REMOVE_AT_ONCE files at a time: others want to write, too. True once it is gone."""
    db.execute(
        "DELETE FROM file WHERE id IN"
        " (SELECT f.id FROM file f JOIN folder d ON d.id = f.folder WHERE d.share = ? LIMIT ?)",
        (share, REMOVE_AT_ONCE),
    )
    if offers_of_share(db, share, limit=1):
        return False
    db.execute("DELETE FROM share WHERE id = ?", (share,))
    return True


def set_away(db: sqlite3.Connection, share: int, away: bool) -> list[int]:
    """Keep the files of a share back, or offer them again. Returns the offers this changes."""
    changed = db.execute("UPDATE share SET away = ?1 WHERE id = ?2 AND away <> ?1", (away, share)).rowcount
    return offers_of_share(db, share) if changed else []


def offers_of_share(db: sqlite3.Connection, share: int, limit: int = -1) -> list[int]:
    rows = db.execute(
        "SELECT f.id FROM file f JOIN folder d ON d.id = f.folder WHERE d.share = ? LIMIT ?", (share, limit)
    )
    return [offer for (offer,) in rows]


# --- what changed on disk ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """A file that is new or different, or gone."""

    folder: str
    name: str
    stamp: Stamp | None  # None: gone


@dataclass(frozen=True)
class Differences:
    """How the disk differs from the rows."""

    changes: tuple[Change, ...]
    gone_folders: tuple[str, ...]
    new_folders: tuple[str, ...]  # on disk, but never looked into


def compare(db: sqlite3.Connection, share: int, found: Iterable[FoundFolder]) -> Differences:
    """What has to change so that the rows say what was found."""
    changes: list[Change] = []
    gone: list[str] = []
    new: list[str] = []
    for folder in found:
        known = db.execute(
            "SELECT id FROM folder WHERE share = ? AND path = ?", (share, folder.path)
        ).fetchone()
        id = known[0] if known else 0
        rows = db.execute("SELECT name, size, mtime_ns, identity FROM file WHERE folder = ?", (id,))
        before = {name: Stamp(size, mtime_ns, identity) for name, size, mtime_ns, identity in rows}
        for file in folder.files:
            if before.pop(file.name, None) != file.stamp:
                changes.append(Change(folder.path, file.name, file.stamp))
        changes += [Change(folder.path, name, None) for name in before]
        inner = {name for (name,) in db.execute("SELECT name FROM folder WHERE parent = ?", (id,))}
        prefix = f"{folder.path}/" if folder.path else ""
        gone += [prefix + name for name in inner.difference(folder.folders)]
        new += [prefix + name for name in folder.folders if name not in inner]
    return Differences(tuple(changes), tuple(gone), tuple(new))


def apply(db: sqlite3.Connection, share: Share, changes: Sequence[Change]) -> list[int]:
    """Write changes down. Returns the numbers of the offers that are new, different or gone.

    A file that was hashed before, in the same place and with the same stamp, is hashed already.
    """
    folders: dict[str, int] = {}
    totals = _Totals(db)
    touched: list[int] = []
    for change in changes:
        folder = _folder(db, share.id, change.folder, folders)
        key = (folder, change.name.casefold(), change.name)
        row = db.execute(
            "SELECT id, size, file_id IS NOT NULL FROM file WHERE folder = ? AND sort_key = ? AND name = ?",
            key,
        ).fetchone()
        if row:
            totals.add(folder, -1, -row[1], -row[2])
        if change.stamp is None:
            if row:
                db.execute("DELETE FROM file WHERE id = ?", (row[0],))
                touched.append(row[0])
            continue
        stamp = change.stamp
        known = hash_cache.find(db, absolute(share.top.root, change.folder, change.name), stamp)
        file_id = known.file if known is not None else None
        rotten = known is not None and known.rotten
        tags = None if kind_of(change.name) in MEDIA else NO_TAGS_PACKED
        values = (stamp.size, stamp.mtime_ns, stamp.identity, file_id, rotten, tags)
        if row:
            db.execute(
                "UPDATE file SET size = ?, mtime_ns = ?, identity = ?, file_id = ?, rotten = ?, tags = ?,"
                " offer_hash = NULL WHERE id = ?",
                (*values, row[0]),
            )
            touched.append(row[0])
        else:
            cursor = db.execute(
                "INSERT INTO file(size, mtime_ns, identity, file_id, rotten, tags, folder, sort_key, name)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, *key),
            )
            touched.append(cursor.lastrowid or 0)
        totals.add(folder, 1, stamp.size, file_id is not None)
    totals.write()
    return touched


def add(db: sqlite3.Connection, share: Share, files: Sequence[tuple[Change, FileId]]) -> list[int]:
    """The same as `apply` for files that are hashed and most likely new, many times faster."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'file'").fetchone()
    last = row[0] if row else 0
    folders: dict[str, int] = {}
    rows = []
    for change, file in files:
        assert change.stamp is not None
        folder = _folder(db, share.id, change.folder, folders)
        name, stamp = change.name, change.stamp
        tags = None if kind_of(name) in MEDIA else NO_TAGS_PACKED
        rows.append((stamp.size, stamp.mtime_ns, stamp.identity, file, tags, folder, name.casefold(), name))
    db.executemany(
        "INSERT OR IGNORE INTO file(size, mtime_ns, identity, file_id, tags, folder, sort_key, name)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    added = db.execute("SELECT id, folder, name FROM file WHERE id > ?", (last,)).fetchall()
    totals = _Totals(db)
    sums = db.execute("SELECT folder, count(*), sum(size) FROM file WHERE id > ? GROUP BY folder", (last,))
    for folder, count, size in sums.fetchall():
        totals.add(folder, count, size, count)
    totals.write()
    offers = [id for id, _, _ in added]
    if len(added) < len(files):
        new = {(folder, name) for _, folder, name in added}
        known = [c for c, _ in files if (folders[c.folder], c.name) not in new]
        offers += apply(db, share, known)
    return offers


def set_file_ids(db: sqlite3.Connection, hashed: Iterable[tuple[int, Stamp, FileId]]) -> list[int]:
    """Note the hashes of files (offer, stamp it had, id). Returns the offers for which it still holds: files
    that have another stamp by now, or are gone, are left alone."""
    totals = _Totals(db)
    noted = []
    for offer, stamp, file in hashed:
        row = db.execute(
            "UPDATE file SET file_id = ?, offer_hash = NULL"
            " WHERE id = ? AND size = ? AND mtime_ns = ? AND identity = ? AND file_id IS NULL"
            " RETURNING folder",
            (file, offer, stamp.size, stamp.mtime_ns, stamp.identity),
        ).fetchone()
        if row is not None:
            totals.add(row[0], 0, 0, 1)
            noted.append(offer)
    totals.write()
    return noted


def set_tags(db: sqlite3.Connection, offer: int, stamp: Stamp, tags: Tags) -> bool:
    """Note what a file that had this stamp says of itself. False if it has another by now, or is gone."""
    cursor = db.execute(
        "UPDATE file SET tags = ?, offer_hash = NULL"
        " WHERE id = ? AND size = ? AND mtime_ns = ? AND identity = ?",
        (pack(dump(tags)), offer, stamp.size, stamp.mtime_ns, stamp.identity),
    )
    return cursor.rowcount == 1


def drop_folder(db: sqlite3.Connection, share: int, path: str) -> list[int]:
    """Forget a folder with all that is beneath it. Returns the numbers of the offers."""
    row = db.execute(
        "SELECT id, parent, files, bytes, hashed FROM folder WHERE share = ? AND path = ?", (share, path)
    ).fetchone()
    if row is None:
        return []
    id, parent, files, size, hashed = row
    # "/" is followed by "0", so this range holds all that begins with the path and a slash, and nothing else.
    offers = db.execute(
        "SELECT f.id FROM file f JOIN folder d ON d.id = f.folder"
        " WHERE d.share = ?1 AND (d.path = ?2 OR (d.path > ?2 || '/' AND d.path < ?2 || '0'))",
        (share, path),
    ).fetchall()
    totals = _Totals(db)
    totals.add(parent, -files, -size, -hashed)
    totals.write()
    db.execute("DELETE FROM folder WHERE id = ?", (id,))
    return [offer for (offer,) in offers]


def absolute(root: str, folder: str, name: str) -> str:
    """Where on this machine a file lies; the key of the hash cache."""
    return "/".join((root.rstrip("/"), folder, name)) if folder else f"{root.rstrip('/')}/{name}"


def _folder(db: sqlite3.Connection, share: int, path: str, known: dict[str, int]) -> int:
    """The id of a folder; it and those above it are made if need be."""
    if path in known:
        return known[path]
    row = db.execute("SELECT id FROM folder WHERE share = ? AND path = ?", (share, path)).fetchone()
    if row:
        known[path] = row[0]
        return known[path]
    above, _, name = path.rpartition("/")
    parent = _folder(db, share, above, known) if path else None
    cursor = db.execute(
        "INSERT INTO folder(share, parent, path, name, sort_key) VALUES (?, ?, ?, ?, ?)",
        (share, parent, path, name, name.casefold()),
    )
    known[path] = cursor.lastrowid or 0
    return known[path]


class _Totals:
    """Changes of totals, gathered to be written once per folder."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._parents: dict[int, int | None] = {}
        self._sums: dict[int, list[int]] = {}

    def add(self, folder: int | None, files: int, size: int, hashed: int) -> None:
        """To the folder and all above it."""
        while folder is not None:
            sums = self._sums.setdefault(folder, [0, 0, 0])
            sums[0] += files
            sums[1] += size
            sums[2] += hashed
            folder = self._parent(folder)

    def write(self) -> None:
        self._db.executemany(
            "UPDATE folder SET files = files + ?, bytes = bytes + ?, hashed = hashed + ? WHERE id = ?",
            [(*sums, folder) for folder, sums in self._sums.items()],
        )

    def _parent(self, folder: int) -> int | None:
        if folder not in self._parents:
            row = self._db.execute("SELECT parent FROM folder WHERE id = ?", (folder,)).fetchone()
            self._parents[folder] = row[0]
        return self._parents[folder]
