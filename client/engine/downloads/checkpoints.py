"""When a download writes down what it has, so that a crash costs no more than one checkpoint.

By time, and by amount: half of what a crash may cost makes a checkpoint due, and while that one is under way
nobody runs ahead by more than the other half.
"""

from __future__ import annotations

from typing import Protocol

import trio

from p2pshare.limits import MIB

CHECKPOINT_S = 5.0  # what a crash can cost at most, in time
CHECKPOINT_BYTES = 256 * MIB  # and in data: a fast line brings that again in seconds


class Unsaved(Protocol):
    """What is written to the disk and not written down yet."""

    unsaved_bytes: int


class Checkpoints:
    """Of one run of a download."""

    def __init__(self) -> None:
        self._saved_at = trio.current_time()
        self._wanted = trio.Event()
        self._saved = trio.Event()
        self._over = False

    async def nap(self, seconds: float) -> None:
        """For the one who makes the checkpoints: until one is due by amount, or so long."""
        with trio.move_on_after(seconds):
            await self._wanted.wait()
        self._wanted = trio.Event()

    def due(self, store: Unsaved) -> bool:
        """Whether to make one now."""
        by_time = trio.current_time() - self._saved_at >= CHECKPOINT_S
        return store.unsaved_bytes > 0 and (by_time or store.unsaved_bytes >= CHECKPOINT_BYTES // 2)

    def begun(self) -> None:
        self._saved_at = trio.current_time()

    def made(self) -> None:
        """Whoever waits goes on."""
        self._saved.set()
        self._saved = trio.Event()

    def end(self) -> None:
        """The run is over: nobody waits any more."""
        self._over = True
        self.made()

    def written(self, store: Unsaved) -> None:
        """Something more was written."""
        if store.unsaved_bytes >= CHECKPOINT_BYTES // 2:
            self._wanted.set()

    def behind(self, store: Unsaved) -> bool:
        """Whether so much is not written down that nothing more should be written before it is."""
        return store.unsaved_bytes >= CHECKPOINT_BYTES and not self._over

    async def keep_pace(self, store: Unsaved) -> None:
        """Wait while that is so."""
        while self.behind(store):
            await self._saved.wait()
