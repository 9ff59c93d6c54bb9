"""Hashing one file from disk, a bounded step at a time. Blocks: run the steps in the offload."""

from __future__ import annotations

import os

from client.engine.beneath import Stamp, open_file_beneath
from client.engine.shares.offers import OnDisk
from p2pshare.errors import LocalTrouble
from p2pshare.hashing import FileHasher, PieceHashes
from p2pshare.limits import MIB

STEP_BYTES = 8 * MIB  # some 8 ms of reading and hashing: whoever is in a hurry waits no longer


class Unsettled(Exception):
    """The file is not what it was when the folder was looked into. Look again, and hash it later."""


class Unreadable(Exception):
    """The disk does not give the file out, or not just now."""


class Reading:
    """One file on its way through the hasher. Close it, whatever happens."""

    def __init__(self, target: OnDisk) -> None:
        self.target = target
        self.left = target.stamp.size  # bytes
        self.result: PieceHashes | None = None
        self._hasher = FileHasher(target.stamp.size)
        self._fd = -1

    def step(self) -> None:
        """Read and hash up to STEP_BYTES; sets `result` at the end. Raises Unsettled or Unreadable."""
        try:
            if self._fd < 0:
                self._fd = open_file_beneath(self.target.root, self.target.parts)
                self._check_stamp()
            budget = STEP_BYTES
            while budget and (data := os.read(self._fd, min(budget, MIB))):
                self._hasher.update(data)
                self.left -= len(data)
                budget -= len(data)
            self._check_stamp()
            if self.left == 0:
                self.result = self._hasher.finish()
            elif budget:
                raise Unsettled
        except LocalTrouble as error:  # more bytes, or fewer, than there should be
            raise Unsettled from error
        except FileNotFoundError as error:
            raise Unsettled from error
        except OSError as error:
            raise Unreadable from error

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _check_stamp(self) -> None:
        if Stamp.of(os.fstat(self._fd)) != self.target.stamp:
            raise Unsettled


def hash_whole(targets: list[OnDisk]) -> list[PieceHashes | Unsettled | Unreadable]:
    """Hash small files, each in one go: a hop to the thread and back would cost more than a file does."""
    results: list[PieceHashes | Unsettled | Unreadable] = []
    for target in targets:
        reading = Reading(target)
        try:
            while reading.result is None:
                reading.step()
            results.append(reading.result)
        except (Unsettled, Unreadable) as error:
            results.append(error)
        finally:
            reading.close()
    return results
