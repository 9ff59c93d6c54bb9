"""Opening what lies beneath a shared folder, without ever leaving it by a link.

A check before opening can be outrun by whoever may write to the folder: a part of the path is swapped for a
link in between. So every part is opened from the one before it, and none may be a link. Windows cannot open
relative to a folder; there each part is checked first, and making links needs rights that few programs have.

All functions block; run them in the offload. They raise OSError.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass

CAN_OPEN_RELATIVE = os.open in os.supports_dir_fd and os.scandir in os.supports_fd
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
# O_NONBLOCK: opening a named pipe would wait for a writer for ever.
_FILE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class Stamp:
    """By what a file is known to be unchanged."""

    size: int  # bytes
    mtime_ns: int
    identity: str
    """Its inode, and when anything about it was changed last, which no program can set back: programs that
    edit the tags of a song often restore the other time. Text, because NTFS and ZFS use all 64 bits and more.
    """

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        return cls(status.st_size, status.st_mtime_ns, f"{status.st_ino}:{status.st_ctime_ns}")

    @property
    def changed_at(self) -> float:
        """When anything about the file was changed last, in Unix seconds."""
        return int(self.identity.partition(":")[2] or 0) / 1e9


def open_file_beneath(root: str, parts: Sequence[str]) -> int:
    """A descriptor to read the regular file at `root`/`parts`; the caller closes it."""
    if CAN_OPEN_RELATIVE:
        folder = open_folder_beneath(root, parts[:-1])
        try:
            fd = os.open(parts[-1], _FILE | _NO_LINK, dir_fd=folder)
        finally:
            os.close(folder)
    else:
        fd = os.open(checked_path(root, parts), _FILE)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "Not a regular file", "/".join(parts))
    return fd


def open_folder_beneath(root: str, parts: Sequence[str]) -> int:
    """A descriptor of the folder at `root`/`parts`; the caller closes it. Needs CAN_OPEN_RELATIVE."""
    fd = os.open(root, _FOLDER)
    for part in parts:
        try:
            inner = os.open(part, _FOLDER | _NO_LINK, dir_fd=fd)
        finally:
            os.close(fd)
        fd = inner
    return fd


def checked_path(root: str, parts: Sequence[str]) -> str:
    """The path `root`/`parts`, none of whose parts is a link at this moment."""
    path = root
    for part in parts:
        path = os.path.join(path, part)
        if is_link(os.lstat(path)):
            raise OSError(errno.ELOOP, "A link", path)
    return path


def is_link(status: os.stat_result) -> bool:
    """Symbolic links, and the junctions of Windows."""
    reparse_point = getattr(stat, "FILE_ATTRIBUTE_REPARSE_POINT", 0)
    return stat.S_ISLNK(status.st_mode) or bool(getattr(status, "st_file_attributes", 0) & reparse_point)


def read_at(fd: int, offset: int, length: int) -> bytes:
    """Up to `length` bytes from `offset`; fewer only at the end of the file."""
    data = _read_once(fd, offset, length)
    if len(data) == length or not data:
        return data
    parts = [data]
    got = len(data)
    while got < length and (data := _read_once(fd, offset + got, length - got)):
        parts.append(data)
        got += len(data)
    return b"".join(parts)


def _read_once(fd: int, offset: int, length: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(fd, length, offset)
    os.lseek(fd, offset, os.SEEK_SET)  # Windows; the caller keeps reads of one descriptor apart
    return os.read(fd, length)


def read_into_at(fd: int, offset: int, into: memoryview) -> int:
    """Fill `into` from `offset` on; returns how many bytes, fewer only at the end of the file."""
    if not hasattr(os, "preadv"):
        data = read_at(fd, offset, len(into))
        into[: len(data)] = data
        return len(data)
    got = 0
    while got < len(into) and (count := os.preadv(fd, (into[got:],), offset + got)):
        got += count
    return got
