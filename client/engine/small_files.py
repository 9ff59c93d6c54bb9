"""Small whole files that are served many at a time, without being opened one by one for one asker.

What is read is what the library knows: each file is opened anew beneath its root, without following links,
and held against its stamp and its id after it was read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import NamedTuple

from client.engine.beneath import CAN_OPEN_RELATIVE, Stamp, open_file_beneath, open_folder_beneath
from p2pshare.errors import Reason
from p2pshare.hashing import FileId, whole_file_hashes

_FILE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


class SmallFile(NamedTuple):
    """Where a file lies that is known by its stamp."""

    root: str
    folder: str  # beneath the root, "/" between the parts; empty for the root
    name: str
    stamp: Stamp
    file: FileId | None
    """None if it is not hashed yet: then it is whatever it is."""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.stamp.size


def read_small_files(files: Sequence[SmallFile]) -> list[bytes | Reason]:
    """The content of each, or why it is not to be had. Blocks."""
    folders: dict[tuple[str, str], int | Reason] = {}
    try:
        return [_read(file, folders) for file in files]
    finally:
        for fd in folders.values():
            if not isinstance(fd, Reason):
                os.close(fd)


def _read(file: SmallFile, folders: dict[tuple[str, str], int | Reason]) -> bytes | Reason:
    try:
        if CAN_OPEN_RELATIVE:
            place = (file.root, file.folder)
            folder = folders.get(place)
            if folder is None:
                folder = folders[place] = _open_folder(file.root, file.folder)
            if isinstance(folder, Reason):
                return folder
            fd = os.open(file.name, _FILE | _NO_LINK, dir_fd=folder)
        else:
            parts = f"{file.folder}/{file.name}" if file.folder else file.name
            fd = open_file_beneath(file.root, parts.split("/"))
    except OSError as error:
        return _reason(error)
    try:
        data = os.read(fd, file.size + 1)  # of a regular file that is this small, all comes at once
        status = os.fstat(fd)  # behind the reading: a change before or during it shows
    except OSError:
        return Reason.FAILED
    finally:
        os.close(fd)
    if len(data) != file.size or not stat.S_ISREG(status.st_mode) or Stamp.of(status) != file.stamp:
        return Reason.FILE_CHANGED
    if file.file is not None and whole_file_hashes(data).file_id != file.file:
        return Reason.FILE_CHANGED  # by the disk itself: whoever got this would call us a liar
    return data


def _open_folder(root: str, folder: str) -> int | Reason:
    try:
        return open_folder_beneath(root, folder.split("/") if folder else ())
    except OSError as error:
        return _reason(error)


def _reason(error: OSError) -> Reason:
    return Reason.FAILED if isinstance(error, PermissionError) else Reason.NO_SUCH_FILE
