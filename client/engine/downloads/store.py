"""The pieces of one download on the disk: verified before they are written, synced before they count."""

from __future__ import annotations

from pathlib import Path

import trio

from client.engine.disk_pace import DiskPace
from client.engine.downloads.arriving import Piece
from client.engine.downloads.part import Part, finished_as
from client.engine.downloads.records import Record
from client.engine.offload import Offload
from p2pshare.hashing import PieceHashes
from p2pshare.limits import MIB

INLINE_BYTES_MAX = 2 * MIB  # a larger piece takes too long to be written on the loop


class PieceStore:
    """Made by `open`. All errors are `LocalTrouble`."""

    def __init__(self, part: Part, hashes: PieceHashes, record: Record, anew: bool, offload: Offload) -> None:
        self.anew = anew
        """Whether nothing of an earlier run was found, so that no piece is there."""
        self.unsaved_bytes = 0
        """Written since the last `sync`."""
        self._part = part
        self._hashes = hashes
        self._final_name = record.target_path.rpartition("/")[2]
        self._record = record
        self._folder = Path(record.target_folder, *record.target_path.split("/")[:-1])
        self._offload = offload
        self._pace = DiskPace(quick=True)  # what is written goes to memory first, almost always

    @classmethod
    async def open(cls, record: Record, hashes: PieceHashes, offload: Offload) -> PieceStore | Path:
        """Take up the part file that the record names, or begin one.

        Or the path of the finished file, if it got its final name just before a crash.
        """
        root = record.target_folder
        *folders, name = record.target_path.split("/")

        def open_part() -> tuple[Part, bool] | Path:
            if record.part and record.part_identity is not None:
                part = Part.reopen(root, folders, record.part, hashes.size, record.part_identity)
                if part is not None:
                    return part, False
                mends = record.replaces is not None
                final = finished_as(root, folders, name, record.part_identity, exactly=mends)
                if final is not None:
                    return Path(root, *folders, final)
            return Part.create(root, folders, name, hashes.size), True

        opened = await offload.run(open_part)
        if isinstance(opened, Path):
            return opened
        return cls(opened[0], hashes, record, opened[1], offload)

    @property
    def part_name(self) -> str:
        """Name of the part file; with its identity it finds the file again after a restart."""
        return self._part.name

    @property
    def part_identity(self) -> str:
        return self._part.identity

    def is_quick(self, piece_size: int) -> bool:
        """Whether a piece of this size may be written without a thread: a quick disk takes it in half a
        millisecond, and two threads that take turns with Python's lock would need several."""
        return piece_size <= INLINE_BYTES_MAX and self._pace.is_quick(trio.current_time())

    def keep_now(self, piece: Piece) -> None:
        """Write a verified piece, at once."""
        began = trio.current_time()
        self._part.write(piece.offset, piece.parts)
        self.unsaved_bytes += piece.size
        now = trio.current_time()
        self._pace.took(now - began, now)

    async def keep(self, piece: Piece) -> None:
        """The same, in a thread."""
        await self._offload.run(self._part.write, piece.offset, piece.parts)
        self.unsaved_bytes += piece.size

    async def read(self, offset: int, length: int) -> bytes:
        """Bytes of pieces that were kept."""
        return await self._offload.run(self._part.read, offset, length)

    async def sync(self) -> None:
        """What was kept before is on the disk when this returns."""
        syncing = self.unsaved_bytes
        await self._offload.run(self._part.sync)
        self.unsaved_bytes -= syncing

    async def finish(self) -> Path:
        """Give the complete file its final name; returns where it is."""
        if self._record.replaces is not None:
            old, keep = self._record.replaces, self._record.keep_replaced
            name = await self._offload.run(self._part.replace, self._final_name, old, keep)
        else:
            name = await self._offload.run(self._part.finish, self._final_name)
        await self._offload.run(self._part.close)
        return self._folder / name

    async def discard(self) -> None:
        """Delete what arrived."""
        await self._offload.run(self._part.delete)

    async def aclose(self) -> None:
        await self._offload.run(self._part.close)
