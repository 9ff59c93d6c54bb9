"""Small files that arrived whole and were verified: put on the disk many at a time.

Rule 1: nothing stands under a final name before every byte of it is on the disk.
Rule 2: a crash leaves nothing behind but finished files. One that a crash kept us from noting is found again:
        a file of exactly the same content under the very name counts as the one to be written.

A file has no name while it is written, and the disk is waited for once for many of them. Where there are no
files without names, each is written as a `Part`.

Everything here blocks; run it in the offload.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from client.engine.beneath import Stamp
from client.engine.downloads.folder import Folder, open_folder
from client.engine.downloads.part import NAMES_MAX, Part, numbered
from client.engine.downloads.trouble import disk_full, disk_trouble, is_full
from p2pshare.errors import LocalTrouble
from p2pshare.hashing import PieceHashes

OPEN_MAX = 128  # files open at a time: many systems allow a process 256


class Arrived(NamedTuple):
    """A verified file that is not on the disk yet."""

    number: int  # of its download
    root: str
    path: str  # beneath the root, "/" between the parts, each of them safe
    data: memoryview
    hashes: PieceHashes


class Written(NamedTuple):
    """It stands under its final name."""

    number: int
    folder: str
    name: str
    stamp: Stamp
    hashes: PieceHashes


@dataclass(slots=True)
class Outcome:
    """What became of a batch. What is in neither list was not tried any more."""

    written: list[Written] = field(default_factory=list)
    refused: list[tuple[int, LocalTrouble]] = field(default_factory=list)
    """Files that cannot be written where they should go."""
    full: LocalTrouble | None = None
    """The disk is full."""


class _Full(Exception):
    def __init__(self, trouble: LocalTrouble) -> None:
        self.trouble = trouble


def write_files(files: Sequence[Arrived], taken: Callable[[str], bool]) -> Outcome:
    """Give each its final name; " (2)" is added rather than anything replaced. `taken` tells whether a path
    is that of another finished download, so that it is no copy of ours from before a crash."""
    outcome = Outcome()
    given: set[str] = set()
    for (root, inner), group in groupby(files, key=_place):
        some = list(group)
        parts = inner.split("/") if inner else []
        try:
            folder = open_folder(root, parts)
        except OSError as error:
            path = os.path.join(root, *parts)
            outcome.refused += [(each.number, disk_trouble(error, _name(each), path)) for each in some]
            continue
        try:
            lacking = sum(len(each.data) for each in some) - folder.free_bytes()
            if lacking > 0:
                raise _Full(disk_full(_name(some[0]), folder.path, lacking))
            for first in range(0, len(some), OPEN_MAX):
                _write_some(folder, some[first : first + OPEN_MAX], taken, given, outcome)
        except _Full as full:
            outcome.full = full.trouble
            return outcome
        except OSError as error:  # of the folder, not of a file
            noted = {each.number for each in outcome.written}
            left = [each for each in some if each.number not in noted]
            outcome.refused += [(each.number, disk_trouble(error, _name(each), folder.path)) for each in left]
        finally:
            folder.close()
    return outcome


def _write_some(
    folder: Folder,
    files: Sequence[Arrived],
    taken: Callable[[str], bool],
    given: set[str],
    outcome: Outcome,
) -> None:
    """Raises OSError if the folder is not what it should be: none of these are noted as written then."""
    open_files: list[tuple[Arrived, int]] = []

    def is_another(name: str) -> bool:
        path = os.path.join(folder.path, name)
        return path in given or taken(path)

    try:
        for each in files:
            fd = folder.create_unnamed()
            if fd is None:
                if (name := _write_named(folder, each, is_another, outcome)) is not None:
                    given.add(os.path.join(folder.path, name))
                continue
            open_files.append((each, fd))
            _write(folder, each, fd)
        folder.sync_files([fd for _, fd in open_files])
        written: list[Written] = []
        for each, fd in open_files:
            try:
                name, stamp = _give_name(folder, each, fd, is_another)
            except (OSError, LocalTrouble) as error:
                outcome.refused.append((each.number, _trouble(error, each, folder)))
                continue
            given.add(os.path.join(folder.path, name))
            written.append(Written(each.number, folder.path, name, stamp, each.hashes))
        folder.sync()
        outcome.written += written
    finally:
        for _, fd in open_files:
            os.close(fd)


def _write(folder: Folder, file: Arrived, fd: int) -> None:
    data = file.data
    try:
        while len(data):
            data = data[write_once(folder, fd, data) :]
    except OSError as error:
        if not is_full(error):
            raise
        raise _Full(disk_full(_name(file), folder.path, len(data))) from error


def write_once(folder: Folder, fd: int, data: memoryview) -> int:
    """Where the bytes go to the system; simulated disks replace it."""
    return os.write(fd, data)


def _give_name(
    folder: Folder, file: Arrived, fd: int, is_another: Callable[[str], bool]
) -> tuple[str, Stamp]:
    for number in range(1, NAMES_MAX + 1):
        name = numbered(_name(file), number)
        try:
            folder.give_name(fd, name)
        except FileExistsError:
            stamp = _same(folder, name, file.data)
            if stamp is None or is_another(name):
                continue
            return name, stamp
        return name, Stamp.of(os.fstat(fd))  # only now: a new name counts as a change
    raise LocalTrouble(f"{folder.path} has too many files named {_name(file)}. Rename some of them.")


def _write_named(
    folder: Folder, file: Arrived, is_another: Callable[[str], bool], outcome: Outcome
) -> str | None:
    """Returns the name it has, if it could be written."""
    name = _name(file)
    try:
        stamp = _same(folder, name, file.data)
        if stamp is None or is_another(name):
            part = Part.create(file.root, file.path.split("/")[:-1], name, len(file.data))
            try:
                part.write(0, [file.data])
                name = part.finish(name)
            finally:
                part.close()
            stamp = Stamp.of(folder.status(name))
    except (OSError, LocalTrouble) as error:
        outcome.refused.append((file.number, _trouble(error, file, folder)))
        return None
    outcome.written.append(Written(file.number, folder.path, name, stamp, file.hashes))
    return name


def _same(folder: Folder, name: str, data: memoryview) -> Stamp | None:
    """The stamp of a file that has exactly this content; None if there is no such file."""
    try:
        fd = folder.open_to_read(name)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        same = stat.S_ISREG(status.st_mode) and status.st_size == len(data)
        return Stamp.of(status) if same and os.read(fd, len(data) + 1) == data else None
    finally:
        os.close(fd)


def _place(file: Arrived) -> tuple[str, str]:
    return file.root, file.path.rpartition("/")[0]


def _name(file: Arrived) -> str:
    return file.path.rpartition("/")[2]


def _trouble(error: OSError | LocalTrouble, file: Arrived, folder: Folder) -> LocalTrouble:
    return error if isinstance(error, LocalTrouble) else disk_trouble(error, _name(file), folder.path)
