"""A download that mends a shared file: it begins with the pieces that are good, and ends in its place.

Rule: the file on the disk is never written to. A new one is made beside it, from what is good of the old one
and what others send, and takes its place in one step once every byte is verified and on the disk; and only
if the old one is still the file that was found rotten, by all that the system tells of it.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

import trio

from client.engine.beneath import Stamp, open_file_beneath, read_at
from client.engine.downloads.arriving import Piece
from client.engine.downloads.folder import Folder
from client.engine.downloads.records import Record
from client.engine.offload import Offload
from client.engine.shares.scan import ROTTEN_SUFFIX
from p2pshare.errors import LocalTrouble
from p2pshare.hashing import PieceHashes, piece_count, piece_span
from p2pshare.ranges import RangeSet


class Store(Protocol):
    """The new file."""

    async def keep(self, piece: Piece) -> None:
        """Write a verified piece."""

    async def sync(self) -> None: ...

    async def aclose(self) -> None: ...


class Superseded(LocalTrouble):
    """The file that should be mended is another one by now. Nothing is left to do."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} was changed or removed since it was found damaged, so it is left as it is.")


async def salvage(record: Record, hashes: PieceHashes, store: Store, offload: Offload) -> Record:
    """Copy what is good of the old file; the record then names those pieces. Closes the store if it fails.

    Raises Superseded, or LocalTrouble if the new file cannot be written.
    """
    assert record.replaces is not None
    good = RangeSet()
    count = piece_count(hashes.size, hashes.piece_size)
    try:
        fd = await offload.run(_open, record.target_folder, record.target_path, record.replaces)
        try:
            for piece in range(count):
                offset, length = piece_span(piece, hashes.size, hashes.piece_size)
                data = await offload.run(_read, fd, offset, length)
                if hashes.fits(piece, data):
                    await store.keep(Piece(piece, offset, length, [memoryview(data)], good=True))
                    good.add(piece, piece + 1)
        finally:
            os.close(fd)
        await store.sync()
    except BaseException:
        with trio.CancelScope(shield=True):
            await store.aclose()
        raise
    return replace(record, done=good.to_bitmap(count))


def _open(folder: str, name: str, old: Stamp) -> int:
    try:
        fd = open_file_beneath(folder, [name])
    except OSError as error:
        raise Superseded(name) from error
    if Stamp.of(os.fstat(fd)) != old:
        os.close(fd)
        raise Superseded(name)
    return fd


def _read(fd: int, offset: int, length: int) -> bytes:
    try:
        return read_at(fd, offset, length)
    except OSError:
        return b""  # the disk does not give it out: it is fetched like the others


def take_place(folder: Folder, part: str, fd: int, name: str, old: Stamp, keep_old: bool) -> None:
    """Put the file `part`, open as `fd`, in the place of `name`. Blocks. Raises Superseded and OSError."""
    status = _status(folder, name, old)
    _dress(folder, part, fd, name, status)
    os.fsync(fd)
    _status(folder, name, old)
    if keep_old:
        folder.link(name, name + ROTTEN_SUFFIX)
    folder.replace(part, name)


def _status(folder: Folder, name: str, old: Stamp) -> os.stat_result:
    try:
        status = folder.status(name)
    except FileNotFoundError as error:
        raise Superseded(name) from error
    if not stat.S_ISREG(status.st_mode) or Stamp.of(status) != old:
        raise Superseded(name)
    return status


def _dress(folder: Folder, part: str, fd: int, name: str, status: os.stat_result) -> None:
    """Owner, rights, labels and time as the old file has them, as far as this person may give them."""
    if hasattr(os, "fchown"):
        with suppress(OSError):
            os.fchown(fd, status.st_uid, status.st_gid)
    if hasattr(os, "listxattr"):
        with suppress(OSError):
            _copy_labels(folder.open_to_read(name), fd)
    if os.chmod in os.supports_fd:
        os.chmod(fd, stat.S_IMODE(status.st_mode))
    if os.utime in os.supports_fd:
        os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))
    else:
        folder.set_modified(part, status.st_mtime)


def _copy_labels(old: int, new: int) -> None:
    try:
        for label in os.listxattr(old):
            with suppress(OSError):
                os.setxattr(new, label, os.getxattr(old, label))
    finally:
        os.close(old)
