"""What is kept of a download in the library, and the units that read and write it.

A row exists before the first byte is asked for, and `done` never names a piece that is not safely on the
disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from client.engine.beneath import Stamp
from client.engine.status import DownloadState, Priority
from p2pshare.hashing import FileId, piece_count, piece_span
from p2pshare.identity import NodeId
from p2pshare.ranges import RangeSet
from p2pshare.wire.schema import pack, unpack_untrusted

_COLUMNS = (
    "id, file_id, person, offer, size, name, target_folder, target_path, folder, state, problem, piece_size,"
    " hashes, part, part_identity, done, sources, added_at, finished_at, finished_stamp, wasted_bytes,"
    " replaces, keep_replaced, parent, files, priority"
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
    replaces: Stamp | None = None
    """The damaged file whose place it takes once it is complete, see `repairing.py`."""
    keep_replaced: bool = False
    parent: int | None = None
    """The row of the folder that it belongs to."""
    files: int = 0
    """How many there are in it: this row is a folder, and `size` is theirs together. Of a file it is 0."""

    priority: Priority = Priority.NORMAL

    def changed(self, **values: Any) -> Record:
        """The same with other values. Ten times faster than `dataclasses.replace`, for thousands at once."""
        record = object.__new__(Record)
        record.__dict__.update(self.__dict__, **values)
        return record

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


def insert_folder(connection: sqlite3.Connection, folder: Record, files: Sequence[Record]) -> int:
    """Files of which nothing is here yet. Returns the id of the folder; those of the files follow it."""
    number = insert(connection, folder)
    connection.executemany(
        "INSERT INTO download(id, parent, file_id, person, offer, size, name, target_folder, target_path,"
        " folder, state, sources, added_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                number + at,
                number,
                file.file,
                file.person,
                file.offer,
                file.size,
                file.name,
                file.target_folder,
                file.target_path,
                file.folder,
                file.state.value,
                _packed(file.sources),
                file.added_at,
            )
            for at, file in enumerate(files, start=1)
        ],
    )
    return number


def save_all(connection: sqlite3.Connection, records: Iterable[Record]) -> None:
    """Replace the rows of their ids."""
    for record in records:
        save(connection, record)


def save_finished(connection: sqlite3.Connection, records: Iterable[Record]) -> None:
    """Note that files are complete that were fetched whole: the rest of their rows is as it was."""
    connection.executemany(
        "UPDATE download SET file_id = ?, state = ?, problem = '', target_folder = ?, target_path = ?,"
        " piece_size = ?, hashes = ?, finished_at = ?, finished_stamp = ? WHERE id = ?",
        [
            (
                record.file,
                record.state.value,
                record.target_folder,
                record.target_path,
                record.piece_size,
                record.hashes,
                record.finished_at,
                _stamp_text(record.finished_stamp),
                record.id,
            )
            for record in records
        ],
    )


def delete_all(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    connection.executemany("DELETE FROM download WHERE id = ?", [(number,) for number in numbers])


def save(connection: sqlite3.Connection, record: Record) -> None:
    """Replace the row of this id."""
    row = _to_row(record)
    names = _COLUMNS.split(", ")[1:]
    connection.execute(
        f"UPDATE download SET {', '.join(f'{name} = ?' for name in names)} WHERE id = ?", (*row[1:], row[0])
    )


def save_progress(connection: sqlite3.Connection, record: Record) -> None:
    """Only what a checkpoint changes: the piece hashes of a large file are two megabytes."""
    connection.execute(
        "UPDATE download SET done = ?, wasted_bytes = ?, sources = ? WHERE id = ?",
        (record.done, record.wasted_bytes, _packed(record.sources), record.id),
    )


def delete(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("DELETE FROM download WHERE id = ?", (number,))


def load_all(connection: sqlite3.Connection) -> list[Record]:
    """Oldest first."""
    return [_from_row(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM download ORDER BY id")]


def _to_row(record: Record) -> tuple[object, ...]:
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
        _packed(record.sources),
        record.added_at,
        record.finished_at,
        _stamp_text(record.finished_stamp),
        record.wasted_bytes,
        _stamp_text(record.replaces),
        record.keep_replaced,
        record.parent,
        record.files,
        record.priority.value,
    )


def _packed(sources: tuple[KnownSource, ...]) -> bytes:
    return pack([[one.server, one.node, one.nick, one.offer] for one in sources])


def _stamp_text(stamp: Stamp | None) -> str | None:
    return f"{stamp.size} {stamp.mtime_ns} {stamp.identity}" if stamp is not None else None


def _stamp(text: object) -> Stamp | None:
    if text is None:
        return None
    size, mtime_ns, identity = str(text).split(" ")
    return Stamp(int(size), int(mtime_ns), identity)


def _from_row(row: tuple[object, ...]) -> Record:
    values = dict(zip(_COLUMNS.replace("file_id", "file").split(", "), row, strict=True))
    values["state"] = DownloadState(str(values["state"]))
    values["priority"] = Priority(str(values["priority"]))
    values["finished_stamp"] = _stamp(values["finished_stamp"])
    values["replaces"] = _stamp(values["replaces"])
    values["keep_replaced"] = bool(values["keep_replaced"])
    values["sources"] = tuple(
        KnownSource(NodeId(server), NodeId(node), nick, offer)
        for server, node, nick, offer in unpack_untrusted(bytes(values["sources"]))  # type: ignore[call-overload]
    )
    return Record(**values)  # type: ignore[arg-type]
