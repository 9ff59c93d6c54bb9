"""The catalogue on disk, beside the database: so that a start need not go through ten million rows.

    file   = mark *( length piece ) last footer
    mark   = 32 bytes: BLAKE3 of the code that makes the pieces
    length = 4 bytes, big-endian: of the piece that follows, which `Catalogue.save` made
    last   = MessagePack of the stamps, account by account, and of what `save` made last
    footer = 8 bytes, big-endian: where `last` begins; 32 bytes: BLAKE3 of everything before

A stamp says which list of an account is in it (see store.py). The rows are the truth: whoever has another
stamp there is listed from the rows. So a snapshot may be old or missing; and one that is torn, damaged or
made by other code is as good as missing. It gets its name when it is whole and on disk: a crash leaves the
one before.
"""

from __future__ import annotations

import mmap
import os
import struct
import unicodedata
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec
import trio
from blake3 import blake3

import index_server.search
from p2pshare import kinds, names

WRITTEN_BYTES = 1 << 20  # given to the disk at once
_LENGTH = struct.Struct(">I")
_OFFSET = struct.Struct(">Q")
_HASH_BYTES = 32
T = TypeVar("T")


class _Last(msgspec.Struct, array_like=True):
    stamps: dict[int, bytes]
    piece: bytes


@dataclass(frozen=True)
class Snapshot:
    """What can be believed."""

    stamps: Mapping[int, bytes]
    """Of the lists that are in it, by account."""
    last: bytes
    """The piece that was made last."""
    others: Iterator[bytes]
    """The pieces before it, read as they are asked for."""


class SnapshotFile:
    """One file. `threads=False` reads and writes inline, for simulations."""

    def __init__(self, path: Path, *, threads: bool) -> None:
        self._path = path
        self._threads = threads

    async def write(
        self, pieces: Generator[bytes, None, bytes], stamps: Callable[[], Mapping[int, bytes]]
    ) -> None:
        """Put a snapshot in the place of the one before. Other tasks run between two pieces.

        `stamps` is asked in the moment in which the last piece is made. Raises `OSError`.
        """
        fresh = self._path.with_suffix(".new")
        with await self._run(lambda: open(fresh, "wb", opener=_private)) as file:
            hashed, written, waiting = blake3(), 0, bytearray(_mark())

            def give() -> None:
                hashed.update(waiting)
                file.write(waiting)

            while True:
                try:
                    piece = next(pieces)
                except StopIteration as end:
                    last = msgspec.msgpack.encode(_Last(dict(stamps()), end.value))
                    break
                waiting += _LENGTH.pack(len(piece)) + piece
                if len(waiting) >= WRITTEN_BYTES:
                    await self._run(give)
                    written, waiting = written + len(waiting), bytearray()
                await trio.lowlevel.checkpoint()
            offset = written + len(waiting)
            waiting += last + _OFFSET.pack(offset)
            await self._run(give)
            waiting = bytearray(hashed.digest())
            await self._run(give)
            await self._run(lambda: _finish(file))
        await self._run(lambda: _rename(fresh, self._path))

    async def read(self) -> Snapshot | None:
        """The snapshot that is there; None if there is none that can be believed."""
        return await self._run(lambda: _read(self._path))

    async def _run(self, work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work) if self._threads else work()


def _read(path: Path) -> Snapshot | None:
    try:
        with open(path, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # an empty file cannot be mapped
        return None
    end = len(data) - _HASH_BYTES
    with memoryview(data) as view:
        # Hashed before anything in it is looked at.
        if end < _HASH_BYTES + _OFFSET.size or blake3(view[:end]).digest() != view[end:]:
            return None
        if view[:_HASH_BYTES] != _mark():
            return None
        [offset] = _OFFSET.unpack_from(view, end - _OFFSET.size)
        last = msgspec.msgpack.decode(view[offset : end - _OFFSET.size], type=_Last)
    return Snapshot(last.stamps, last.piece, _pieces(data, offset))


def _pieces(data: mmap.mmap, end: int) -> Iterator[bytes]:
    with data:
        at = _HASH_BYTES
        while at < end:
            [length] = _LENGTH.unpack_from(data, at)
            at += _LENGTH.size
            yield data[at : at + length]
            at += length


@cache
def _mark() -> bytes:
    """Differs when the code that makes the pieces does, so that nobody need think of a version."""
    hashed = blake3(f"{unicodedata.unidata_version} {msgspec.__version__}".encode())
    sources = [*Path(index_server.search.__file__).parent.glob("*.py")]
    for path in sorted([*sources, Path(names.__file__), Path(kinds.__file__)]):
        hashed.update(path.read_bytes())
    return hashed.digest()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # it holds what people share


def _finish(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _rename(old: Path, new: Path) -> None:
    os.replace(old, new)
    if os.name == "posix":  # elsewhere a folder cannot be opened
        handle = os.open(new.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
