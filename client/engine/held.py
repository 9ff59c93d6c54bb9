"""A file that can be served: whole from a share, or in part from a running download."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from typing import Protocol

import trio

from client.engine.beneath import Stamp, open_file_beneath, read_into_at
from client.engine.disk_pace import DiskPace
from client.engine.offload import Offload
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import FileId, PieceHashes, piece_count
from p2pshare.limits import MIB


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

    async def read_into(self, offset: int, into: memoryview) -> None:
        """Fill `into` from `offset` on. Raises Refused(FILE_CHANGED or FAILED) if the disk lacks it."""

    async def aclose(self) -> None:
        """Reads under way end first. Calling it twice is fine."""


AHEAD_BYTES = 8 * MIB  # what the system is told to read ahead when something had to come from the disk


class SharedFile:
    """A file in a share. What it reads is what was hashed, or it refuses."""

    def __init__(
        self,
        fd: int,
        name: str,
        stamp: Stamp,
        hashes: PieceHashes,
        offload: Offload,
        good: bytes | None = None,
    ) -> None:
        """Takes over `fd`. Use `open_shared_file`."""
        self.pieces = good
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
        self._may_look = hasattr(os, "RWF_NOWAIT")
        self._pace = DiskPace(quick=False)

    def has(self, piece: int) -> bool:
        if not 0 <= piece < piece_count(self.size, self.piece_size):
            return False
        return self.pieces is None or bool(self.pieces[piece >> 3] & 0x80 >> (piece & 7))

    async def read_into(self, offset: int, into: memoryview) -> None:
        if self._closing:
            raise Refused(Reason.NO_SUCH_FILE)
        if self._offload.takes_time and self._read_here(offset, into):
            return
        self._reading += 1
        try:
            if hasattr(os, "pread"):
                took_s = await self._offload.run(self._read_into, offset, into)
            else:
                async with self._one_at_a_time:
                    took_s = await self._offload.run(self._read_into, offset, into)
            self._pace.took(took_s, trio.current_time())
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

    def _read_here(self, offset: int, into: memoryview) -> bool:
        """Read without a thread, if that takes no longer than beginning one; whether it was done."""
        if self._may_look:  # the system gives what is in memory, and does not wait for a disk
            try:
                if os.preadv(self._fd, (into,), offset, os.RWF_NOWAIT) != len(into):
                    return False
                self._check_stamp()
                return True
            except OSError as error:
                self._may_look = error.errno != errno.EOPNOTSUPP
                return False
        if not hasattr(os, "pread") or not self._pace.is_quick(trio.current_time()):
            return False
        self._pace.took(self._read_into(offset, into), trio.current_time())
        return True

    def _read_into(self, offset: int, into: memoryview) -> float:
        """Returns how long it took, in seconds."""
        began = time.monotonic()
        try:
            count = read_into_at(self._fd, offset, into)
            if hasattr(os, "posix_fadvise"):  # so that the next ones are in memory by then
                os.posix_fadvise(self._fd, offset + count, AHEAD_BYTES, os.POSIX_FADV_WILLNEED)
            self._check_stamp()
        except OSError as error:
            raise Refused(Reason.FAILED, f"{self.name} cannot be read: {error.strerror}.") from error
        if count != len(into):
            raise changed(self.name)
        return time.monotonic() - began

    def _check_stamp(self) -> None:
        # Looked at after reading: a change before or during the read shows.
        if Stamp.of(os.fstat(self._fd)) != self._stamp:
            raise changed(self.name)


def changed(name: str) -> Refused:
    return Refused(Reason.FILE_CHANGED, f"{name} changed on disk since it was offered. Search again.")


async def open_shared_file(
    root: str,
    parts: Sequence[str],
    stamp: Stamp,
    hashes: PieceHashes,
    offload: Offload,
    good: bytes | None = None,
) -> SharedFile:
    """Open the file at `root`/`parts`, which had this stamp when it was hashed. `good`: bitmap of the pieces
    that the disk gives back as they were; None for all.

    Raises Refused: NO_SUCH_FILE when it is gone or is no plain file any more, FILE_CHANGED, or FAILED.
    """
    name = parts[-1]
    fd = await offload.run(_open, root, tuple(parts), stamp)
    return SharedFile(fd, name, stamp, hashes, offload, good)


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
