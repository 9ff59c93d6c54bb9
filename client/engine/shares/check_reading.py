"""Holding one file against its piece hashes, a bounded step at a time. Blocks: run the steps in the offload.

What counts is what the disk gives back, so what the system still has in memory is let go of first. A piece
that does not match is read again after a `confirm`: a passing fault of the memory or the cable is no rot.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from client.engine.beneath import Stamp, open_file_beneath, read_at
from client.engine.shares.offers import OnDisk
from client.engine.shares.reading import STEP_BYTES, Unreadable, Unsettled
from p2pshare.hashing import PieceHashes, piece_count, piece_span
from p2pshare.ranges import RangeSet

_DAMAGED = {errno.EIO, getattr(errno, "EBADMSG", errno.EIO), getattr(errno, "EUCLEAN", errno.EIO)}


class CheckReading:
    """One file being checked. Close it, whatever happens."""

    def __init__(self, target: OnDisk, hashes: PieceHashes) -> None:
        self.target = target
        self.pieces_left = piece_count(hashes.size, hashes.piece_size)
        self.bad: list[int] = []
        """Pieces that are not as they were hashed, or that the disk does not give out at all."""
        self._hashes = hashes
        self._count = self.pieces_left
        self._fd = -1

    def step(self) -> None:
        """Check some STEP_BYTES, one piece at least. Raises Unsettled or Unreadable."""
        with _explained():
            if self._fd < 0:
                self._fd = open_file_beneath(self.target.root, self.target.parts)
                self._check_stamp()
                self._let_go()
            budget = STEP_BYTES
            while self.pieces_left and budget > 0:
                piece = self._count - self.pieces_left
                if not self._is_good(piece):
                    self.bad.append(piece)
                self.pieces_left -= 1
                budget -= self._hashes.piece_size
            self._let_go()
            self._check_stamp()

    def confirm(self) -> None:
        """Look at the bad pieces once more. Raises Unsettled or Unreadable."""
        with _explained():
            with suppress(OSError):
                os.fsync(self._fd)  # of a program that maps the file, too: its next write shows in the stamp
            self._let_go()
            self.bad = [piece for piece in self.bad if not self._is_good(piece)]
            self._check_stamp()

    @property
    def good(self) -> bytes | None:
        """Bitmap of the pieces that are as they were; None for all."""
        if not self.bad:
            return None
        good = RangeSet([range(self._count)])
        for piece in self.bad:
            good.remove(piece, piece + 1)
        return good.to_bitmap(self._count)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _is_good(self, piece: int) -> bool:
        offset, length = piece_span(piece, self._hashes.size, self._hashes.piece_size)
        try:
            data = read_at(self._fd, offset, length)
        except OSError as error:
            if error.errno in _DAMAGED:
                return False
            raise
        if len(data) != length:
            raise Unsettled
        return self._hashes.fits(piece, data)

    def _let_go(self) -> None:
        if hasattr(os, "posix_fadvise"):
            with suppress(OSError):
                os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def _check_stamp(self) -> None:
        if Stamp.of(os.fstat(self._fd)) != self.target.stamp:
            raise Unsettled


@contextmanager
def _explained() -> Iterator[None]:
    """Turns what the system says into what it means for a check."""
    try:
        yield
    except FileNotFoundError as error:
        raise Unsettled from error
    except OSError as error:
        raise Unreadable from error
