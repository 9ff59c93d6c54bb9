"""A disk that loses what was not synced when the power goes.

Files are real. What the downloads write, create and rename is noted until it is synced. When the power is
cut, each block that was written since the last sync of its file is there or is not, the names of a folder are
as after any of the steps since its last sync, and the end of the database's log is missing. That is more than
a usual file system loses, and all that one may.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from client.engine.downloads import part
from client.engine.downloads.folder import RelativeFolder
from client.engine.downloads.part import Part

BLOCK_BYTES = 4096
DATABASE_LOG = "library.sqlite-wal"

Undo = Callable[[], None]


@dataclass
class Unsynced:
    """What one could lose."""

    written: dict[int, dict[int, bytes]] = field(default_factory=dict)
    """By inode and offset: what each block was before."""
    names: dict[Path, list[Undo]] = field(default_factory=dict)
    """By folder: how to take each step back, in their order."""

    def copy(self) -> Unsynced:
        written = {inode: dict(blocks) for inode, blocks in self.written.items()}
        return Unsynced(written, {folder: list(steps) for folder, steps in self.names.items()})

    def lose(self, home: Path, chance: random.Random) -> None:
        """What a machine finds whose power was cut."""
        for path in [path for path in home.rglob("*") if path.is_file()]:
            with open(path, "r+b") as file:
                for offset, before in self.written.get(path.stat().st_ino, {}).items():
                    if chance.random() < 0.5:
                        file.seek(offset)
                        file.write(before)
        for folder, steps in self.names.items():
            if folder.is_relative_to(home):
                for undo in reversed(steps[chance.randint(0, len(steps)) :]):
                    undo()
        for log in home.rglob(DATABASE_LOG):
            os.truncate(log, chance.randint(0, log.stat().st_size))
            log.with_name(log.name.removesuffix("-wal") + "-shm").unlink(missing_ok=True)


@contextmanager
def unsynced_writes_noted() -> Iterator[Unsynced]:
    """Of all downloads, as long as the block lasts."""
    noted = Unsynced()
    write_once, fdatasync = Part._write_once, os.fdatasync
    create, rename, sync = RelativeFolder.create, RelativeFolder.rename, RelativeFolder.sync

    def write(self: Part, fd: int, offset: int, views: list[memoryview]) -> int:
        blocks = noted.written.setdefault(os.fstat(fd).st_ino, {})
        end = offset + sum(map(len, views))
        for block in range(offset - offset % BLOCK_BYTES, end, BLOCK_BYTES):
            first, last = max(block, offset), min(block + BLOCK_BYTES, end)
            blocks.setdefault(first, os.pread(fd, last - first, first))
        return write_once(self, fd, offset, views)

    def sync_data(fd: int) -> None:
        fdatasync(fd)
        noted.written.pop(os.fstat(fd).st_ino, None)

    def create_noted(self: RelativeFolder, name: str) -> int:
        fd = create(self, name)
        path = Path(self.path)
        noted.names.setdefault(path, []).append(lambda: (path / name).unlink())
        return fd

    def rename_noted(self: RelativeFolder, old: str, new: str) -> None:
        rename(self, old, new)
        path = Path(self.path)

        def undo() -> None:
            (path / new).rename(path / old)

        noted.names.setdefault(path, []).append(undo)

    def sync_names(self: RelativeFolder) -> None:
        sync(self)
        noted.names.pop(Path(self.path), None)

    Part._write_once = write  # type: ignore[method-assign]
    part.os.fdatasync = sync_data
    RelativeFolder.create = create_noted  # type: ignore[method-assign]
    RelativeFolder.rename = rename_noted  # type: ignore[method-assign]
    RelativeFolder.sync = sync_names  # type: ignore[method-assign]
    try:
        yield noted
    finally:
        Part._write_once, part.os.fdatasync = write_once, fdatasync  # type: ignore[method-assign]
        RelativeFolder.create, RelativeFolder.rename = create, rename  # type: ignore[method-assign]
        RelativeFolder.sync = sync  # type: ignore[method-assign]
