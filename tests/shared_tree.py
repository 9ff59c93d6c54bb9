"""Folders and files to share, made on the spot, and an engine's database to keep them in."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from client.engine.beneath import Stamp
from client.engine.library import MIGRATIONS
from client.engine.offload import Inline
from client.engine.shares.scan import FoundFile, FoundFolder
from p2pshare.database import Database, open_database

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Meanwhile = Callable[[str], Awaitable[None]]


def make_tree(root: Path, *paths: str) -> Path:
    """A file for each path, which holds its own path; a path that ends with "/" is an empty folder."""
    root.mkdir(exist_ok=True)
    for path in paths:
        place = root / path
        if path.endswith("/"):
            place.mkdir(parents=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(path)
    return root.resolve()


def rewrite(file: Path, content: str | bytes) -> None:
    """Change a file so that its time changes, too, on a disk with coarse times."""
    before = file.stat().st_mtime_ns
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(file, ns=(before + 1_000_000_000, before + 1_000_000_000))


def found_file(name: str, size: int = 1, mtime_ns: int = 0, identity: str = "1") -> FoundFile:
    return FoundFile(name, Stamp(size, mtime_ns, identity))


def found_folder(path: str, *files: str | FoundFile, folders: tuple[str, ...] = ()) -> FoundFolder:
    """A folder as a look would find it; a file may be given by its name alone."""
    return FoundFolder(path, tuple(found_file(f) if isinstance(f, str) else f for f in files), folders)


class Interrupted(Inline):
    """Runs work inline; something else happens before or after it."""

    def __init__(self, *, before: Meanwhile | None = None, after: Meanwhile | None = None) -> None:
        """Both are told the name of the function."""
        self._before = before
        self._after = after

    async def run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        name = getattr(work, "__name__", "")
        if self._before is not None:
            await self._before(name)
        result = await super().run(work, *args)
        if self._after is not None:
            await self._after(name)
        return result


@asynccontextmanager
async def open_library() -> AsyncIterator[Database]:
    """An empty library in memory, whose units run inline."""
    async with open_database(":memory:", MIGRATIONS, threads=False) as database:
        yield database
