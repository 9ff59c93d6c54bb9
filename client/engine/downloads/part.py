"""A file while it is being downloaded: `<name>.part` in the folder it will stay in.

Rule 1: nothing stands under the final name before every byte of it is on the disk.
Rule 2: for the caller: `sync` first, then remember which pieces are there. Data may be ahead of what is
        remembered, never behind it.

Everything here blocks; run it in the offload. `write` and `read` may run in several threads at once. All
errors are LocalTrouble with a sentence for the person.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from client.engine.beneath import Stamp, read_at
from client.engine.downloads import linux
from client.engine.downloads.folder import CAN_WORK_RELATIVE, Folder, open_folder
from client.engine.downloads.repairing import take_place
from client.engine.downloads.trouble import disk_full, disk_trouble, is_full, part_gone
from p2pshare.errors import LocalTrouble, Misuse
from p2pshare.names import safe_leaf_name

PART_SUFFIX = ".part"
NAMES_MAX = 1_000  # "name (1000)" is the last one tried
BUFFERS_MAX = 1_024  # IOV_MAX of Linux and macOS

Bytes = bytes | bytearray | memoryview


class Part:
    """Made by `create` or `reopen`; `close` it in the end."""

    def __init__(self, folder: Folder, name: str, fd: int, size: int) -> None:
        self.name = name
        self.size = size
        self._shown = name.removesuffix(PART_SUFFIX)
        self._folder = folder
        self._fd = fd
        self._users = 0
        self._closing = False
        self._lock = threading.Lock()
        self._named = False  # whether the name has been synced
        self._failed: OSError | None = None  # what `sync` ended with

    @classmethod
    def create(cls, root: str, folders: Sequence[str], name: str, size: int) -> Self:
        """A new file of `size` bytes in `root`/`folders`, with its space reserved. Folders are made."""
        name = safe_leaf_name(name)
        folder = _open_folder(root, folders, name)
        with _telling(name, folder.path):
            part, fd = _create_unique(folder, name)
            try:
                _reserve(folder, name, fd, size)
            except BaseException:
                os.close(fd)
                folder.remove(part)
                folder.close()
                raise
        return cls(folder, part, fd, size)

    @classmethod
    def reopen(
        cls, root: str, folders: Sequence[str], part: str, size: int, identity: str | None
    ) -> Self | None:
        """The file that `create` made in an earlier run, named by its `name`.

        None if it is not there, or is another file than the one of that size and `identity`: start anew then.
        `identity` None: only the size tells; verify every piece before trusting it.
        """
        folder = _open_folder(root, folders, part)
        with _telling(part, folder.path):
            try:
                fd = folder.open(part)
            except FileNotFoundError:
                folder.close()
                return None
            status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode) and status.st_size == size and identity in (None, _identity(status)):
            return cls(folder, part, fd, size)
        os.close(fd)
        folder.close()
        return None

    @property
    def identity(self) -> str:
        """Tells this file from another one of the same name, also after a restart."""
        with self._using() as fd:
            return _identity(os.fstat(fd))

    def write(self, offset: int, buffers: Sequence[Bytes]) -> None:
        """All bytes of the buffers, one after the other, from `offset` on."""
        views = [memoryview(buffer).cast("B") for buffer in buffers]
        if offset < 0 or offset + sum(map(len, views)) > self.size:
            raise Misuse(f"{self.name} has {self.size} bytes; these do not fit in at {offset}")
        with self._using() as fd:
            try:
                while views:
                    written = self._write_once(fd, offset, views[:BUFFERS_MAX])
                    offset += written
                    views = _behind(views, written)
            except OSError as error:
                if not is_full(error):
                    raise
                raise disk_full(self._shown, self._folder.path, sum(map(len, views))) from error

    def read(self, offset: int, length: int) -> bytes:
        """Exactly these bytes; only pieces that were verified mean something."""
        with self._using() as fd:
            data = self._read(fd, offset, length)
        if len(data) != length:
            raise LocalTrouble(f"The unfinished {self._shown} became shorter. It starts anew by itself.")
        return data

    def sync(self) -> None:
        """What was written before is on the disk when this returns.

        Once it failed it always fails: the system may have dropped what was written since the last `sync`
        that went well, and says so only once. Reopen the part and go on from what is remembered.
        """
        with self._using() as fd:
            if not self._folder.is_in_place():  # data that nobody would find again
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            if os.fstat(fd).st_nlink == 0:
                raise part_gone(self._shown, self._folder.path)
            if self._failed is not None:
                raise OSError(*self._failed.args)
            try:
                getattr(os, "fdatasync", os.fsync)(fd)
            except OSError as error:
                self._failed = error
                raise
            if not self._named:
                self._folder.sync()
                self._named = True

    def finish(self, name: str, modified: float | None = None) -> str:
        """Give the complete file its final name, on the disk for good. Returns that name.

        " (2)" is added rather than anything replaced. `modified` in Unix seconds. Close it afterwards.
        """
        self.sync()
        name = safe_leaf_name(name)
        with _telling(name, self._folder.path):
            if modified is not None:
                self._folder.set_modified(self.name, modified)
            if not CAN_WORK_RELATIVE:
                self._close_file()  # Windows renames no open file
            for number in range(1, NAMES_MAX + 1):
                final = numbered(name, number)
                try:
                    self._folder.rename(self.name, final)
                except FileExistsError:
                    continue
                self.name = final
                self._folder.sync()
                return final
        raise LocalTrouble(f"{self._folder.path} has too many files named {name}. Rename some of them.")

    def replace(self, name: str, old: Stamp, keep_old: bool) -> str:
        """Take the place of a file that is still what `old` says. Returns its name. Close it afterwards.

        Raises `Superseded` if it is not.
        """
        self.sync()
        with _telling(name, self._folder.path), self._using() as fd:
            take_place(self._folder, self.name, fd, name, old, keep_old)
            self.name = name
            self._folder.sync()
        return name

    def delete(self) -> None:
        """Remove the file, if the name still means this one, and close it."""
        with self._using() as fd:
            ours = _identity(os.fstat(fd))
        self._close_file()
        with _telling(self._shown, self._folder.path):
            try:
                if _identity(self._folder.status(self.name)) == ours:
                    self._folder.remove(self.name)
            except FileNotFoundError:
                pass
        self._folder.close()

    def close(self) -> None:
        """Reads and writes under way end first. Unsynced data is not lost, only not yet safe from a crash."""
        if not self._closing:
            self._close_file()
            self._folder.close()

    @contextmanager
    def _using(self) -> Iterator[int]:
        # A descriptor closed under a thread may already mean another file: its data would land there.
        with self._lock:
            if self._closing:
                raise LocalTrouble(f"{self._shown} is not open any more.")
            self._users += 1
        try:
            with _telling(self._shown, self._folder.path):
                yield self._fd
        finally:
            with self._lock:
                self._users -= 1
                self._close_if_unused()

    def _close_file(self) -> None:
        with self._lock:
            self._closing = True
            self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._closing and self._users == 0 and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write_once(self, fd: int, offset: int, views: list[memoryview]) -> int:
        if hasattr(os, "pwritev"):
            return os.pwritev(fd, views, offset)
        with self._lock:
            os.lseek(fd, offset, os.SEEK_SET)
            return os.write(fd, views[0])

    def _read(self, fd: int, offset: int, length: int) -> bytes:
        if hasattr(os, "pread"):
            return read_at(fd, offset, length)
        with self._lock:
            return read_at(fd, offset, length)


def finished_as(
    root: str, folders: Sequence[str], name: str, identity: str, *, exactly: bool = False
) -> str | None:
    """The name that `finish` gave to the file of this identity (`exactly`: `replace`); None if it gave none.

    For a start after a crash between `finish` and remembering it.
    """
    name = name if exactly else safe_leaf_name(name)
    folder = _open_folder(root, folders, name)
    try:
        with _telling(name, folder.path):
            for number in range(1, NAMES_MAX + 1):
                final = numbered(name, number)
                try:
                    if _identity(folder.status(final)) == identity:
                        return final
                except FileNotFoundError:
                    return None
    finally:
        folder.close()
    return None


def numbered(name: str, number: int) -> str:
    """ "song.mp3", "song (2).mp3", ..."""
    stem, extension = os.path.splitext(name)
    return name if number == 1 else f"{stem} ({number}){extension}"


def _identity(status: os.stat_result) -> str:
    return str(status.st_ino)


def _open_folder(root: str, folders: Sequence[str], name: str) -> Folder:
    parts = [safe_leaf_name(part) for part in folders]
    with _telling(name, os.path.join(root, *parts)):
        return open_folder(root, parts)


def _create_unique(folder: Folder, name: str) -> tuple[str, int]:
    for number in range(1, NAMES_MAX + 1):
        part = numbered(name, number) + PART_SUFFIX
        try:
            return part, folder.create(part)
        except FileExistsError:
            continue
    raise LocalTrouble(f"{folder.path} has too many unfinished files named {name}. Delete some of them.")


def _reserve(folder: Folder, name: str, fd: int, size: int) -> None:
    """Make the file `size` bytes long, with room on the disk if that can be had in advance."""
    if size == 0:
        return
    free = folder.free_bytes()
    if free < size:
        raise disk_full(name, folder.path, size - free)
    try:
        if not linux.reserve(fd, size):
            os.ftruncate(fd, size)
    except OSError as error:
        if not is_full(error):
            raise
        raise disk_full(name, folder.path, max(1, size - folder.free_bytes())) from error


def _behind(views: list[memoryview], written: int) -> list[memoryview]:
    """What is left of the views without their first `written` bytes."""
    for place, view in enumerate(views):
        if written < len(view):
            return [view[written:], *views[place + 1 :]]
        written -= len(view)
    return []


@contextmanager
def _telling(name: str, folder: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise disk_trouble(error, name, folder) from error
