"""What is kept of a download in the library, and the units that read and write it.

A row exists before the first byte is asked for, and `done` never names a piece that is not safely on the
disk.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from client.engine.beneath import Stamp
from client.engine.status import DownloadState
from p2pshare.hashing import FileId, piece_count, piece_span
from p2pshare.identity import NodeId
from p2pshare.ranges import RangeSet
from p2pshare.wire.schema import pack, unpack_untrusted

_COLUMNS = (
    "id, file_id, person, offer, size, name, target_folder, target_path, folder, state, problem, piece_size,"
    " hashes, part, part_identity, done, sources, added_at, finished_at, finished_stamp, wasted_bytes"
)


@dataclass(frozen=True)
class KnownSource:
    """Somebody who was seen to hold the file."""

    server: NodeId  # that named them
    node: NodeId
    nick: str
    offer: int


@dataclass(frozen=True, kw_only=True)
class Record:
    """One row."""

    id: int = 0
    file: FileId | None
    person: NodeId | None = None  # who offered it unhashed, and
    offer: int | None = None  # under which number
    size: int
    name: str
    target_folder: str
    target_path: str  # within the target folder, "/" between the parts
    folder: str = ""
    state: DownloadState = DownloadState.LOOKING
    problem: str = ""
    piece_size: int | None = None
    hashes: bytes | None = None
    part: str = ""
    part_identity: str | None = None
    done: bytes = b""
    sources: tuple[KnownSource, ...] = field(default=())
    added_at: float
    finished_at: float | None = None
    finished_stamp: Stamp | None = None
    """Of a finished file that is in no share, and served from where it is."""
    wasted_bytes: int = 0

    def done_pieces(self) -> RangeSet:
        """The pieces that are known to be on the disk."""
        if self.piece_size is None or not self.done:
            return RangeSet()
        return RangeSet.from_bitmap(self.done, piece_count(self.size, self.piece_size))

    def done_bytes(self) -> int:
        """Their sizes added up; all of a complete file."""
        if self.state is DownloadState.COMPLETE or self.piece_size is None:
            return self.size if self.state is DownloadState.COMPLETE else 0
        pieces = (piece for pieces in self.done_pieces() for piece in pieces)
        return sum(piece_span(piece, self.size, self.piece_size)[1] for piece in pieces)


def insert(connection: sqlite3.Connection, record: Record) -> int:
    """Returns the id."""
    row = _to_row(record)
    cursor = connection.execute(
        f"INSERT INTO download({_COLUMNS}) VALUES (NULL, {', '.join('?' * (len(row) - 1))})", row[1:]
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def save(connection: sqlite3.Connection, record: Record) -> None:
    """Replace the row of this id."""
    row = _to_row(record)
    names = _COLUMNS.split(", ")[1:]
    connection.execute(
        f"UPDATE download SET {', '.join(f'{name} = ?' for name in names)} WHERE id = ?", (*row[1:], row[0])
    )


def delete(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("DELETE FROM download WHERE id = ?", (number,))


def load_all(connection: sqlite3.Connection) -> list[Record]:
    """Oldest first."""
    return [_from_row(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM download ORDER BY id")]


def _to_row(record: Record) -> tuple[object, ...]:
    sources = pack([[one.server, one.node, one.nick, one.offer] for one in record.sources])
    return (
        record.id,
        record.file,
        record.person,
        record.offer,
        record.size,
        record.name,
        record.target_folder,
        record.target_path,
        record.folder,
        record.state.value,
        record.problem,
        record.piece_size,
        record.hashes,
        record.part,
        record.part_identity,
        record.done,
        sources,
        record.added_at,
        record.finished_at,
        _stamp_text(record.finished_stamp),
        record.wasted_bytes,
    )


def _stamp_text(stamp: Stamp | None) -> str | None:
    return f"{stamp.size} {stamp.mtime_ns} {stamp.inode}" if stamp is not None else None


def _stamp(text: object) -> Stamp | None:
    if text is None:
        return None
    size, mtime_ns, inode = str(text).split(" ")
    return Stamp(int(size), int(mtime_ns), inode)


def _from_row(row: tuple[object, ...]) -> Record:
    values = dict(zip(_COLUMNS.replace("file_id", "file").split(", "), row, strict=True))
    values["state"] = DownloadState(str(values["state"]))
    values["finished_stamp"] = _stamp(values["finished_stamp"])
    values["sources"] = tuple(
        KnownSource(NodeId(server), NodeId(node), nick, offer)
        for server, node, nick, offer in unpack_untrusted(bytes(values["sources"]))  # type: ignore[call-overload]
    )
    return Record(**values)  # type: ignore[arg-type]
