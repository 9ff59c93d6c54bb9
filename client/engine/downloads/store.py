"""The pieces of one download on the disk: verified before they are written, synced before they count."""

from __future__ import annotations

from pathlib import Path

import trio

from client.engine.downloads.part import Part, finished_as
from client.engine.downloads.records import Record
from client.engine.offload import Offload
from p2pshare.hashing import PieceHashes, hash_piece, piece_span
from p2pshare.limits import KEY_BYTES, MIB

INLINE_BYTES_MAX = 2 * MIB  # a larger piece takes too long to be hashed on the loop
SLOW_S = 0.02  # a disk that makes the loop wait for so long is left to threads ...
SLOW_PAUSE_S = 5.0  # ... for so long


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
        self._folder = Path(record.target_folder, *record.target_path.split("/")[:-1])
        self._offload = offload
        self._disk_is_slow_until = 0.0

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
                if (final := finished_as(root, folders, name, record.part_identity)) is not None:
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

    async def keep(self, piece: int, parts: list[memoryview]) -> bool:
        """Write a piece if it matches its hash; whether it did."""
        size = sum(map(len, parts))
        began = trio.current_time()
        if size > INLINE_BYTES_MAX or began < self._disk_is_slow_until:
            good = await self._offload.run(self._verify_and_write, piece, parts)
        else:
            # Half a millisecond; two threads that take turns with Python's lock would need several.
            good = self._verify_and_write(piece, parts)
            if trio.current_time() - began > SLOW_S:
                self._disk_is_slow_until = trio.current_time() + SLOW_PAUSE_S
        if good:
            self.unsaved_bytes += size
        return good

    def _verify_and_write(self, piece: int, parts: list[memoryview]) -> bool:
        offset, _ = piece_span(piece, self._hashes.size, self._hashes.piece_size)
        if hash_piece(*parts) != self._hashes.hashes[piece * KEY_BYTES : (piece + 1) * KEY_BYTES]:
            return False
        self._part.write(offset, parts)
        return True

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
        name = await self._offload.run(self._part.finish, self._final_name)
        await self._offload.run(self._part.close)
        return self._folder / name

    async def discard(self) -> None:
        """Delete what arrived."""
        await self._offload.run(self._part.delete)

    async def aclose(self) -> None:
        await self._offload.run(self._part.close)
