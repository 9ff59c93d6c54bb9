"""A file that can be served: whole from a share, or in part from a running download."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

import trio

from client.engine.beneath import Stamp, open_file_beneath, read_at
from client.engine.offload import Offload
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import FileId, PieceHashes, piece_count


class Held(Protocol):
    """What an upload needs of a file. Whoever opened it closes it."""

    @property
    def name(self) -> str:
        """The file's own name, for display."""

    @property
    def file(self) -> FileId: ...

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def piece_size(self) -> int:
        """Bytes of each piece but the last."""

    @property
    def hashes(self) -> bytes:
        """All piece hashes, 32 bytes each."""

    @property
    def pieces(self) -> bytes | None:
        """The pieces held at this moment, one bit each, first piece in the highest bit; None for all."""

    def has(self, piece: int) -> bool: ...

    async def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes. Raises Refused(FILE_CHANGED or FAILED) when the disk does not have them."""

    async def aclose(self) -> None:
        """Reads under way end first. Calling it twice is fine."""


class SharedFile:
    """A whole file in a share. What it reads is what was hashed, or it refuses."""

    pieces = None

    def __init__(self, fd: int, name: str, stamp: Stamp, hashes: PieceHashes, offload: Offload) -> None:
        """Takes over `fd`. Use `open_shared_file`."""
        self.name = name
        self.file = hashes.file_id
        self.size = hashes.size
        self.piece_size = hashes.piece_size
        self.hashes = hashes.hashes
        self._fd = fd
        self._stamp = stamp
        self._offload = offload
        self._reading = 0
        self._closing = False
        self._one_at_a_time = trio.Lock()

    def has(self, piece: int) -> bool:
        return 0 <= piece < piece_count(self.size, self.piece_size)

    async def read(self, offset: int, length: int) -> bytes:
        if self._closing:
            raise Refused(Reason.NO_SUCH_FILE)
        self._reading += 1
        try:
            if hasattr(os, "pread"):
                return await self._offload.run(self._read, offset, length)
            async with self._one_at_a_time:
                return await self._offload.run(self._read, offset, length)
        finally:
            self._reading -= 1
            self._close_if_unused()

    async def aclose(self) -> None:
        self._closing = True
        self._close_if_unused()
        await trio.lowlevel.checkpoint()

    def _close_if_unused(self) -> None:
        # A thread may still read: a descriptor closed under it could already mean another file.
        if self._closing and self._reading == 0 and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _read(self, offset: int, length: int) -> bytes:
        try:
            data = read_at(self._fd, offset, length)
            # Looked at after reading: a change before or during the read shows.
            stamp = Stamp.of(os.fstat(self._fd))
        except OSError as error:
            raise Refused(Reason.FAILED, f"{self.name} cannot be read: {error.strerror}.") from error
        if stamp != self._stamp or len(data) != length:
            raise changed(self.name)
        return data


def changed(name: str) -> Refused:
    return Refused(Reason.FILE_CHANGED, f"{name} changed on disk since it was offered. Search again.")


async def open_shared_file(
    root: str, parts: Sequence[str], stamp: Stamp, hashes: PieceHashes, offload: Offload
) -> SharedFile:
    """Open the file at `root`/`parts`, which had this stamp when it was hashed.

    Raises Refused: NO_SUCH_FILE when it is gone or is no plain file any more, FILE_CHANGED, or FAILED.
    """
    name = parts[-1]
    fd = await offload.run(_open, root, tuple(parts), stamp)
    return SharedFile(fd, name, stamp, hashes, offload)


def _open(root: str, parts: tuple[str, ...], stamp: Stamp) -> int:
    name = parts[-1]
    try:
        fd = open_file_beneath(root, parts)
    except PermissionError as error:
        raise Refused(Reason.FAILED, f"{name} may not be read by its owner's program.") from error
    except OSError as error:
        raise Refused(Reason.NO_SUCH_FILE, f"{name} is not shared here any more.") from error
    if Stamp.of(os.fstat(fd)) != stamp:
        os.close(fd)
        raise changed(name)
    return fd
