"""What lies in a shared folder and may be offered. Looks at the disk, knows no database.

Rule 1: a symbolic link is neither followed nor offered, so nothing outside the share is ever seen.
Rule 2: what is hidden on purpose (dot files, excluded patterns, our own unfinished downloads) is passed over
in silence; what the person would expect to be shared and is not is counted, so that it can be told.

Everything here blocks: run it in the offload, one `Walk.next_batch` at a time.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

from pathspec import GitIgnoreSpec

from client.engine.beneath import CAN_OPEN_RELATIVE, Stamp, checked_path, is_link, open_folder_beneath
from p2pshare import limits
from p2pshare.errors import BadMessage
from p2pshare.names import split_path_untrusted

PART_SUFFIX = ".part"  # what a running download writes to
ROTTEN_SUFFIX = ".rotten"  # what a repair keeps of the damaged file, if that was asked for
BATCH_FILES = 2_000  # some 20 ms of looking, and as much of the database's time
BATCH_FOLDERS = 200
_EFFECTIVE = os.access in os.supports_effective_ids


@dataclass(frozen=True)
class FoundFile:
    name: str
    stamp: Stamp


@dataclass(frozen=True)
class Skipped:
    """How many entries could not be offered, and why."""

    unreadable_files: int = 0
    unreadable_folders: int = 0
    unfit_names: int = 0
    too_large: int = 0

    def __add__(self, other: Skipped) -> Skipped:
        return Skipped(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def sentences(self) -> str:
        """For the person; empty if nothing was skipped."""
        told = []
        unreadable = _counted((self.unreadable_files, "file"), (self.unreadable_folders, "folder"))
        if unreadable:
            told.append(f"Not shared because they cannot be read: {unreadable}. Check who may read them.")
        if self.unfit_names:
            names = _counted((self.unfit_names, "name"))
            told.append(f"Not shared because others could not store or show them: {names}. Rename them.")
        if self.too_large:
            files = _counted((self.too_large, "file"))
            told.append(
                f"Not shared because they are larger than {limits.FILE_BYTES_MAX >> 40} TiB: {files}."
            )
        return " ".join(told)


NOTHING_SKIPPED = Skipped()


def _counted(*counts: tuple[int, str]) -> str:
    return " and ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts if count)


@dataclass(frozen=True)
class FoundFolder:
    """One folder as it is on disk at this moment, without what lies deeper."""

    path: str  # within the share; "" for the share itself
    files: tuple[FoundFile, ...]
    folders: tuple[str, ...]  # their names
    skipped: Skipped = NOTHING_SKIPPED


@dataclass(frozen=True)
class Rules:
    """What is not shared although it lies in a share."""

    exclude: tuple[str, ...] = ()  # patterns as in a .gitignore file, relative to the share
    private: str = ""  # path of a folder never to be shared: the profile with its key
    hidden: bool = False  # whether files and folders with a name that begins with a dot are shared, too

    def is_private(self, path: str) -> bool:
        """Whether this absolute path, free of links, is the private folder."""
        return bool(self.private) and path == self._private

    @cached_property
    def _private(self) -> str:
        return os.path.realpath(self.private)

    @cached_property
    def _spec(self) -> GitIgnoreSpec | None:
        return GitIgnoreSpec.from_lines(self.exclude) if self.exclude else None

    def passes_over(self, root: str, path: str, *, is_folder: bool) -> bool:
        """Whether the entry at `root`/`path` is left out in silence."""
        name = path.rpartition("/")[2]
        if (name.startswith(".") and not self.hidden) or (
            not is_folder and name.endswith((PART_SUFFIX, ROTTEN_SUFFIX))
        ):
            return True
        if self._spec is not None and self._spec.match_file(path + "/" if is_folder else path):
            return True
        return is_folder and self.is_private(os.path.join(root, *path.split("/")))

    def passes_over_any(self, root: str, path: str) -> bool:
        """The same for a file and every folder on the way to it."""
        return self.passes_over_folder(root, path.rpartition("/")[0]) or self.passes_over(
            root, path, is_folder=False
        )

    def passes_over_folder(self, root: str, path: str) -> bool:
        """The same for a folder and every folder on the way to it; "" is the share itself."""
        parts = path.split("/") if path else []
        folders = ("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
        return any(self.passes_over(root, folder, is_folder=True) for folder in folders)


def fits_the_wire(path: str) -> bool:
    """Whether an offer may carry this path (share name included) and its name may stand in a listing."""
    try:
        parts = split_path_untrusted(path)
    except BadMessage:
        return False
    return len(parts[-1].encode()) <= limits.NAME_BYTES_MAX


@dataclass(frozen=True)
class Top:
    """A share on disk."""

    root: str  # absolute, resolved
    name: str  # what others see


def look_into(top: Top, path: str, rules: Rules) -> FoundFolder:
    """The folder at `path` of a share. Raises OSError only when the share itself is gone."""
    look = _Look(top, path, rules)
    try:
        look.at_everything()
    except OSError as error:
        os.lstat(top.root)  # if that is gone, too, its folders are not to be taken for deleted
        if not path:
            raise
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            look.counts["unreadable_folders"] += 1
    return FoundFolder(path, tuple(look.files), tuple(look.folders), Skipped(**look.counts))


class _Look:
    """What one look into one folder finds."""

    def __init__(self, top: Top, path: str, rules: Rules) -> None:
        self.files: list[FoundFile] = []
        self.folders: list[str] = []
        self.counts = dict.fromkeys((f.name for f in fields(Skipped)), 0)
        self._top = top
        self._rules = rules
        self._parts = path.split("/") if path else []
        self._prefix = f"{path}/" if path else ""

    def at_everything(self) -> None:
        if not CAN_OPEN_RELATIVE:
            with os.scandir(checked_path(self._top.root, self._parts)) as entries:
                for entry in entries:
                    self._at(entry, None)
            return
        fd = open_folder_beneath(self._top.root, self._parts)
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    self._at(entry, fd)
        finally:
            os.close(fd)

    def _at(self, entry: os.DirEntry[str], fd: int | None) -> None:
        try:
            status = _status(entry)
        except OSError:
            return  # gone since it was listed
        is_folder = stat.S_ISDIR(status.st_mode)
        if (
            is_link(status)
            or not (is_folder or stat.S_ISREG(status.st_mode))
            or (_is_hidden(status) and not self._rules.hidden)
        ):
            return
        path = self._prefix + entry.name
        if self._rules.passes_over(self._top.root, path, is_folder=is_folder):
            return
        if not fits_the_wire(f"{self._top.name}/{path}"):
            self.counts["unfit_names"] += 1
        elif is_folder:
            self.folders.append(entry.name)
        elif status.st_size > limits.FILE_BYTES_MAX:
            self.counts["too_large"] += 1
        elif fd is not None and not os.access(entry.name, os.R_OK, dir_fd=fd, effective_ids=_EFFECTIVE):
            self.counts["unreadable_files"] += 1
        else:
            self.files.append(FoundFile(entry.name, Stamp.of(status)))


def _status(entry: os.DirEntry[str]) -> os.stat_result:
    status = entry.stat(follow_symlinks=False)
    if status.st_ino == 0:  # Windows leaves the inode out of what it lists
        return os.stat(entry.path, follow_symlinks=False)
    return status


def _is_hidden(status: os.stat_result) -> bool:
    hidden = getattr(stat, "FILE_ATTRIBUTE_HIDDEN", 0)
    return bool(getattr(status, "st_file_attributes", 0) & hidden)


class Walk:
    """All folders from some on downwards, a batch at a time."""

    def __init__(self, top: Top, rules: Rules, start: Sequence[str] = ("",)) -> None:
        self._top = top
        self._rules = rules
        self._ahead = list(start)

    def next_batch(self) -> list[FoundFolder]:
        """The next folders; empty at the end. Raises OSError when the share itself is gone."""
        batch: list[FoundFolder] = []
        files = 0
        while self._ahead and files < BATCH_FILES and len(batch) < BATCH_FOLDERS:
            found = look_into(self._top, self._ahead.pop(), self._rules)
            self._ahead += [f"{found.path}/{name}" if found.path else name for name in found.folders]
            files += len(found.files)
            batch.append(found)
        return batch
