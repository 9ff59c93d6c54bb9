"""One folder of our shares, page by page, for whoever browses us: its folders first, then its files.

Each are in the order of their names without regard to case, then of the names as they are. A page costs the
entries on it, however large the folder.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from client.engine.shares.offers import COLUMNS, FILES, offer_of
from p2pshare import limits
from p2pshare.errors import BadMessage
from p2pshare.wire.fields import NO_TAGS, Folder, Offer
from p2pshare.wire.peer import Listing
from p2pshare.wire.schema import dump, pack

ENTRIES_BYTES_MAX = Listing.FRAME_MAX - 256  # what the other fields of a listing leave
CURSOR_BYTES_MAX = 64
_SHORT_PATH_CHARS = 100  # most are no longer, and need not be packed to be counted ...
_SHORT_OFFER_BYTES = 96 + 4 * _SHORT_PATH_CHARS  # ... since a page of such offers without tags always fits
_FOLDERS, _FILES = 0, 1
_ID_BYTES = 8


@dataclass(frozen=True)
class ListingPage:
    """What a `listing` message carries."""

    folders: tuple[Folder, ...]
    offers: tuple[Offer, ...]
    cursor: bytes  # empty on the last page
    files: int  # in the folder, at any depth
    bytes: int


@dataclass(frozen=True)
class Position:
    """The entry after which a page begins: its row, and as much of its sort key as fits a cursor.

    Should the entry be gone by then, the page begins where its key would stand.
    """

    kind: int
    row: int
    key: str

    def cursor(self) -> bytes:
        head = bytes([self.kind]) + self.row.to_bytes(_ID_BYTES, "big")
        return head + self.key.encode()[: CURSOR_BYTES_MAX - len(head)]


START = Position(_FOLDERS, 0, "")


def position_untrusted(cursor: bytes) -> Position:
    """The position in a cursor that somebody sent back. Raises BadMessage and nothing else."""
    if not cursor:
        return START
    kind, row = cursor[0], int.from_bytes(cursor[1 : 1 + _ID_BYTES], "big")
    if len(cursor) <= _ID_BYTES or kind not in (_FOLDERS, _FILES) or row >= 1 << 63:
        raise BadMessage("The cursor is none of ours.")
    return Position(kind, row, cursor[1 + _ID_BYTES :].decode(errors="ignore"))


class _Page:
    """Takes entries until the page is full."""

    def __init__(self, entries_max: int, bytes_max: int) -> None:
        self.folders: list[Folder] = []
        self.offers: list[Offer] = []
        self.last = START
        self.full = False
        self._entries = entries_max
        self._bytes = bytes_max

    def take(self, entry: Folder | Offer, at: Position) -> bool:
        """False if there is no room."""
        size = _packed_size(entry)
        if self._entries == 0 or size > self._bytes:
            self.full = True
            return False
        self._entries -= 1
        self._bytes -= size
        if isinstance(entry, Folder):
            self.folders.append(entry)
        else:
            self.offers.append(entry)
        self.last = at
        return True

    @property
    def room(self) -> int:
        return self._entries


def list_folder(
    db: sqlite3.Connection,
    folder: str,
    after: Position = START,
    entries_max: int = limits.LISTING_PAGE_MAX,
    bytes_max: int = ENTRIES_BYTES_MAX,
) -> ListingPage | None:
    """A page of a folder, named as in the paths of offers ("" is the top). None if there is none of it."""
    page = _Page(entries_max, bytes_max)
    if not folder:
        files, size = _top(db, after, page)
    else:
        share, _, path = folder.partition("/")
        row = db.execute(
            "SELECT d.id, d.files, d.bytes FROM folder d JOIN share s ON s.id = d.share"
            " WHERE s.name = ? AND d.path = ? AND NOT s.away",
            (share, path),
        ).fetchone()
        if row is None:
            return None
        id, files, size = row
        if after.kind == _FOLDERS:
            _folders_of(db, id, after, page)
        if not page.full:
            _files_of(db, id, after, page)
    cursor = page.last.cursor() if page.full else b""
    return ListingPage(tuple(page.folders), tuple(page.offers), cursor, files, size)


def _top(db: sqlite3.Connection, after: Position, page: _Page) -> tuple[int, int]:
    """The shares. There are few, so they are sorted here."""
    rows = db.execute(
        "SELECT s.id, s.name, d.files, d.bytes FROM share s JOIN folder d ON d.share = s.id AND d.path = ''"
        " WHERE NOT s.away"
    ).fetchall()
    rows.sort(key=lambda row: (row[1].casefold(), row[1]))
    names = [name for id, name, _, _ in rows if id == after.row]
    start = (names[0].casefold(), names[0]) if names else (after.key, "")
    for id, name, files, size in rows:
        key = name.casefold()
        if (key, name) > start and not page.take(
            Folder(name=name, files=files, bytes=size), Position(_FOLDERS, id, key)
        ):
            break
    return sum(row[2] for row in rows), sum(row[3] for row in rows)


def _folders_of(db: sqlite3.Connection, parent: int, after: Position, page: _Page) -> None:
    row = db.execute(
        "SELECT sort_key, name FROM folder WHERE id = ? AND parent = ?", (after.row, parent)
    ).fetchone()
    rows = db.execute(
        "SELECT id, sort_key, name, files, bytes FROM folder"
        " WHERE parent = ? AND (sort_key, name) > (?, ?) AND files > 0 ORDER BY sort_key, name LIMIT ?",
        (parent, *(row or (after.key, "")), page.room + 1),
    )
    for id, key, name, files, size in rows:
        if not page.take(Folder(name=name, files=files, bytes=size), Position(_FOLDERS, id, key)):
            break


def _files_of(db: sqlite3.Connection, folder: int, after: Position, page: _Page) -> None:
    start: tuple[str, str] = ("", "")
    if after.kind == _FILES:
        row = db.execute(
            "SELECT sort_key, name FROM file WHERE id = ? AND folder = ?", (after.row, folder)
        ).fetchone()
        start = row or (after.key, "")
    rows = db.execute(
        f"SELECT f.sort_key, {COLUMNS} FROM {FILES}"
        " WHERE f.folder = ? AND (f.sort_key, f.name) > (?, ?) ORDER BY f.sort_key, f.name LIMIT ?",
        (folder, *start, page.room + 1),
    )
    for key, *columns in rows:
        offer = offer_of(tuple(columns))
        if not page.take(offer, Position(_FILES, offer.offer, key)):
            break


def _packed_size(entry: Folder | Offer) -> int:
    """Bytes it takes in a message; some more where a page is full before they matter."""
    if isinstance(entry, Offer) and entry.tags is NO_TAGS and len(entry.path) < _SHORT_PATH_CHARS:
        return _SHORT_OFFER_BYTES
    return len(pack(dump(entry)))
