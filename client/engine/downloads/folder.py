"""The folder that a download goes to: reached without following a link, worked in without leaving it.

A path that arrives from a stranger names folders beneath the download folder. Each is made and opened from
the one before it, so that no link, not even one that is put there meanwhile, leads a file elsewhere. Windows
cannot work relative to an open folder; `PathFolder` checks every part just before it is used.

All functions block and raise OSError.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from typing import Protocol

from client.engine.beneath import checked_path, is_link
from client.engine.downloads import linux

CAN_WORK_RELATIVE = {
    os.open,
    os.mkdir,
    os.unlink,
    os.stat,
    os.link,
    os.rename,
    os.utime,
} <= os.supports_dir_fd
_CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _CLOSE_ON_EXEC
_FILE = os.O_RDWR | getattr(os, "O_NONBLOCK", 0) | _CLOSE_ON_EXEC | _NO_LINK  # no waiting at a named pipe
_READ_FILE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _CLOSE_ON_EXEC | _NO_LINK
_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | _CLOSE_ON_EXEC | _NO_LINK

_UNNAMED = getattr(os, "O_TMPFILE", 0) | os.O_RDWR | _CLOSE_ON_EXEC
_NO_UNNAMED = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}  # file systems that have no such

UNTOLD = 1 << 62  # bytes free on a file system that does not say


class Folder(Protocol):
    """Files in it are named by their leaf name."""

    path: str  # for display

    def create(self, name: str) -> int:
        """A descriptor of a new file, to read and write. Raises FileExistsError."""

    def open(self, name: str) -> int:
        """A descriptor of a file that exists, to read and write."""

    def status(self, name: str) -> os.stat_result:
        """Of the name itself, not of what a link leads to."""

    def rename(self, old: str, new: str) -> None:
        """Raises FileExistsError rather than replacing a file."""

    def replace(self, old: str, new: str) -> None:
        """Rename in one step; what was called `new` before is gone."""

    def link(self, name: str, second: str) -> None:
        """A second name for a file, which stays when the first comes to mean another one."""

    def open_to_read(self, name: str) -> int:
        """A descriptor of a file that exists."""

    def create_unnamed(self) -> int | None:
        """A descriptor of a new file that has no name and is gone when it is closed; None if that cannot be
        had here."""

    def give_name(self, fd: int, name: str) -> None:
        """A name for an unnamed file. Raises FileExistsError rather than replacing a file."""

    def sync_files(self, fds: Sequence[int]) -> None:
        """What was written to these files of the folder is on the disk when this returns."""

    def remove(self, name: str) -> None: ...

    def set_modified(self, name: str, unix_s: float) -> None: ...

    def free_bytes(self) -> int:
        """What this person may still write there."""

    def is_in_place(self) -> bool:
        """Whether its path still leads to it: it was not moved away, nor its drive taken out."""

    def sync(self) -> None:
        """Names made and changed survive a crash from here on."""

    def close(self) -> None: ...


def open_folder(root: str, parts: Sequence[str]) -> Folder:
    """The folder `root`/`parts`; what is missing beneath `root` is made."""
    return RelativeFolder(root, parts) if CAN_WORK_RELATIVE else PathFolder(root, parts)


class RelativeFolder:
    """By an open descriptor: it stays this folder even if its path comes to mean another one."""

    def __init__(self, root: str, parts: Sequence[str]) -> None:
        self.path = os.path.join(root, *parts)
        self._fd = os.open(root, _FOLDER)  # what the person chose may be a link
        for part in parts:
            outer = self._fd
            try:
                self._fd = _make_and_open(part, outer)
            finally:
                os.close(outer)

    def create(self, name: str) -> int:
        return os.open(name, _NEW_FILE, 0o666, dir_fd=self._fd)

    def open(self, name: str) -> int:
        return os.open(name, _FILE, dir_fd=self._fd)

    def status(self, name: str) -> os.stat_result:
        return os.stat(name, dir_fd=self._fd, follow_symlinks=False)

    def rename(self, old: str, new: str) -> None:
        if linux.rename_without_replacing(self._fd, old, new):
            return
        try:
            os.link(old, new, src_dir_fd=self._fd, dst_dir_fd=self._fd, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            _refuse_existing(self, new)
            os.rename(old, new, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        else:
            os.unlink(old, dir_fd=self._fd)

    def replace(self, old: str, new: str) -> None:
        os.replace(old, new, src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def link(self, name: str, second: str) -> None:
        os.link(name, second, src_dir_fd=self._fd, dst_dir_fd=self._fd, follow_symlinks=False)

    def open_to_read(self, name: str) -> int:
        return os.open(name, _READ_FILE, dir_fd=self._fd)

    def create_unnamed(self) -> int | None:
        if not linux.CAN_NAME_THE_UNNAMED:
            return None
        try:
            return os.open(".", _UNNAMED, 0o666, dir_fd=self._fd)
        except OSError as error:
            if error.errno in _NO_UNNAMED:
                return None
            raise

    def give_name(self, fd: int, name: str) -> None:
        os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=self._fd)

    def sync_files(self, fds: Sequence[int]) -> None:
        if not fds or linux.sync_file_system(self._fd):  # once, instead of waiting for the disk for each
            return
        for fd in fds:
            getattr(os, "fdatasync", os.fsync)(fd)

    def remove(self, name: str) -> None:
        os.unlink(name, dir_fd=self._fd)

    def set_modified(self, name: str, unix_s: float) -> None:
        os.utime(name, (unix_s, unix_s), dir_fd=self._fd, follow_symlinks=False)

    def free_bytes(self) -> int:
        space = os.fstatvfs(self._fd)
        return space.f_bavail * space.f_frsize if space.f_blocks else UNTOLD

    def is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._fd))
        except OSError:
            return False

    def sync(self) -> None:
        os.fsync(self._fd)

    def close(self) -> None:
        os.close(self._fd)


def _make_and_open(part: str, outer: int) -> int:
    try:
        os.mkdir(part, dir_fd=outer)
    except FileExistsError:
        pass
    return os.open(part, _FOLDER | _NO_LINK, dir_fd=outer)


class PathFolder:
    """By paths, each part checked just before it is used."""

    def __init__(self, root: str, parts: Sequence[str]) -> None:
        self.path = os.path.join(root, *parts)
        self._root = root
        self._parts = tuple(parts)
        if not os.path.isdir(root):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), root)
        for depth in range(len(self._parts)):
            path = os.path.join(checked_path(root, self._parts[:depth]), self._parts[depth])
            os.makedirs(path, exist_ok=True)
        checked_path(root, self._parts)

    def create(self, name: str) -> int:
        return os.open(self._at(name), _NEW_FILE, 0o666)

    def open(self, name: str) -> int:
        if is_link(self.status(name)):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
        return os.open(self._at(name), _FILE)

    def status(self, name: str) -> os.stat_result:
        return os.lstat(self._at(name))

    def rename(self, old: str, new: str) -> None:
        _refuse_existing(self, new)
        os.rename(self._at(old), self._at(new))

    def replace(self, old: str, new: str) -> None:
        os.replace(self._at(old), self._at(new))

    def link(self, name: str, second: str) -> None:
        os.link(self._at(name), self._at(second))

    def open_to_read(self, name: str) -> int:
        return os.open(self._at(name), _READ_FILE)

    def create_unnamed(self) -> None:
        return None

    def give_name(self, fd: int, name: str) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), name)

    def sync_files(self, fds: Sequence[int]) -> None:
        for fd in fds:
            os.fsync(fd)

    def remove(self, name: str) -> None:
        os.unlink(self._at(name))

    def set_modified(self, name: str, unix_s: float) -> None:
        os.utime(self._at(name), (unix_s, unix_s))

    def free_bytes(self) -> int:
        return shutil.disk_usage(self._at("")).free

    def is_in_place(self) -> bool:
        return os.path.isdir(self._at(""))

    def sync(self) -> None:
        """Windows keeps names by itself and cannot be asked to."""

    def close(self) -> None:
        """Nothing is open."""

    def _at(self, name: str) -> str:
        return os.path.join(checked_path(self._root, self._parts), name)


def _refuse_existing(folder: Folder, name: str) -> None:
    try:
        folder.status(name)
    except FileNotFoundError:
        return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
