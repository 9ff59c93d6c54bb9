"""Which downloads are at work: some at a time, more urgent ones first, those added first among equals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import trio

from client.engine.downloads.download import Download
from client.engine.status import DownloadState, Priority
from p2pshare.transport.background import background

ACTIVE_MAX = 32  # downloads at work at the same time; the others wait in the order they were added
URGENT_MORE = 8  # with a high priority, beyond that: somebody waits for them
VAIN_TURN_S = 60.0  # one that found no source for so long makes room, if others wait


class Turns:
    """Give each download its turn with `run`."""

    def __init__(self) -> None:
        self._working = 0
        self._waiting: dict[Priority, dict[Download, trio.Event]] = {each: {} for each in Priority}

    async def run(self, download: Download) -> bool:
        """Run it once there is a place. Whether it is complete: one that finds nobody makes room."""
        with trio.CancelScope() as turn:
            async with self._place(download), background() as nursery:
                nursery.start_soon(self._end_vain_turn, download, turn)
                await download.run()
        return not turn.cancelled_caught

    def sort_anew(self, changed: Iterable[Download]) -> None:
        """Their priorities are others now."""
        for download in changed:
            if (called := self._leave(download)) is not None:
                self._waiting[download.record.priority][download] = called
        self._call()

    @asynccontextmanager
    async def _place(self, download: Download) -> AsyncIterator[None]:
        called = self._waiting[download.record.priority][download] = trio.Event()
        self._call()
        try:
            await called.wait()
            yield
        finally:
            if self._leave(download) is None:
                self._working -= 1
                self._call()

    def _call(self) -> None:
        """Whoever may begin now."""
        for priority, places in (
            (Priority.HIGH, ACTIVE_MAX + URGENT_MORE),
            (Priority.NORMAL, ACTIVE_MAX),
            (Priority.LOW, ACTIVE_MAX),
        ):
            waiting = self._waiting[priority]
            while waiting and self._working < places:
                waiting.pop(next(iter(waiting))).set()
                self._working += 1

    def _leave(self, download: Download) -> trio.Event | None:
        """None if it does not wait."""
        events = [waiting.pop(download, None) for waiting in self._waiting.values()]
        return next((event for event in events if event is not None), None)

    async def _end_vain_turn(self, download: Download, turn: trio.CancelScope) -> None:
        vain_since: float | None = None
        while True:
            await trio.sleep(VAIN_TURN_S / 10)
            now = trio.current_time()
            if download.state() not in (DownloadState.LOOKING, DownloadState.CONNECTING):
                vain_since = None
            elif vain_since is None:
                vain_since = now
            elif now - vain_since >= VAIN_TURN_S and any(self._waiting.values()):
                turn.cancel()
