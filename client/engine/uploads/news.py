"""Which pieces running downloads gained, told a few at a time."""

from __future__ import annotations

import trio

from p2pshare.hashing import FileId

PAUSE_S = 0.1  # pieces that come within so long are told together; others can ask for them no sooner


class News:
    """`add` as they come; whoever waits for `collect` tells them."""

    def __init__(self) -> None:
        self._gained: dict[FileId, list[int]] = {}
        self._there = trio.Event()

    def add(self, file: FileId, piece: int) -> None:
        self._gained.setdefault(file, []).append(piece)
        self._there.set()

    async def collect(self) -> dict[FileId, list[int]]:
        """What was added, a moment after the first of it."""
        await self._there.wait()
        await trio.sleep(PAUSE_S)
        self._there = trio.Event()
        gained, self._gained = self._gained, {}
        return gained
