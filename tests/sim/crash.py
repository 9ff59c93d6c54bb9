"""The disk of a program at the moment it was killed, put back after its tasks have ended.

A task that is cancelled still tidies up: it closes files, saves a last checkpoint. A killed program does not.
So the folder is remembered before, and put back after. Files keep their inodes, by which downloads know them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class _File:
    path: Path
    data: bytes
    modified_ns: int


class Remembered:
    """A folder as it is now."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, _File] = {}
        for path in _files(folder):
            status = path.stat()
            self._files[status.st_ino] = _File(path, path.read_bytes(), status.st_mtime_ns)

    def put_back(self) -> None:
        there = {path.stat().st_ino: path for path in _files(self._folder)}
        for inode, path in there.items():
            if inode not in self._files:
                path.unlink()
            elif path != self._files[inode].path:
                path.rename(self._files[inode].path)
        for inode, file in self._files.items():
            if inode in there and file.path.read_bytes() == file.data:
                continue  # writing it again would leave a trace
            mode = "r+b" if inode in there else "wb"  # one that was deleted since gets a new inode
            with open(file.path, mode) as opened:
                opened.truncate(0)
                opened.write(file.data)
            os.utime(file.path, ns=(file.modified_ns, file.modified_ns))


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
