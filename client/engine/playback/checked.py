"""A finished download that is shared with nobody, so that nobody watches whether it changes."""

from __future__ import annotations

import os
from typing import Self

from client.engine.beneath import open_file_beneath, read_at
from client.engine.downloads.records import Record
from client.engine.offload import Offload
from p2pshare.errors import LocalTrouble
from p2pshare.hashing import PieceHashes, piece_span


class CheckedFile:
    """Every piece is held against its hash when it is read. Errors are `LocalTrouble`."""

    def __init__(self, fd: int, record: Record, offload: Offload) -> None:
        """Takes over `fd`. Use `open`."""
        assert record.piece_size is not None and record.hashes is not None
        self.piece_size = record.piece_size
        self._hashes = PieceHashes(record.size, record.piece_size, record.hashes)
        self._size = record.size
        self._name = record.name
        self._fd = fd
        self._offload = offload
        self._last = (-1, b"")  # the piece that was read last: players read a part of one at a time

    @classmethod
    async def open(cls, record: Record, offload: Offload) -> Self:
        try:
            fd = await offload.run(open_file_beneath, record.target_folder, record.target_path.split("/"))
        except OSError as error:
            raise LocalTrouble(f"{record.name} is not where it was saved: {error.strerror}.") from error
        return cls(fd, record, offload)

    def has(self, piece: int) -> bool:
        return True

    async def read_into(self, offset: int, into: memoryview) -> None:
        """Fill `into` from `offset` on."""
        while into:
            piece = offset // self.piece_size
            first, size = piece_span(piece, self._size, self.piece_size)
            if self._last[0] != piece:
                self._last = piece, await self._offload.run(self._read_piece, piece, first, size)
            part = self._last[1][offset - first :][: len(into)]
            into[: len(part)] = part
            offset, into = offset + len(part), into[len(part) :]

    def _read_piece(self, piece: int, first: int, size: int) -> bytes:
        try:
            data = read_at(self._fd, first, size)
        except OSError as error:
            raise LocalTrouble(f"{self._name} cannot be read: {error.strerror}.") from error
        if not self._hashes.fits(piece, data):
            raise LocalTrouble(f"{self._name} was changed since it was downloaded. Get it again to play it.")
        return data

    async def aclose(self) -> None:
        await self._offload.run(os.close, self._fd)
