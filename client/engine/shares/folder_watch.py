"""Hearing of changes on disk as they happen (watchfiles, that is inotify and its like)."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Iterator

import trio
from watchfiles.main import FileChange, watch

SETTLE_MS = 1_600  # changes that go on are reported at least so often
STEP_MS = 200  # changes are reported once there was none for so long
SILENCE_MS = 2_000  # how soon, when nothing changes, it is told that the watch stands


async def changed_paths(folder: str) -> AsyncGenerator[set[str], None]:
    """Sets of absolute paths that were made, changed, moved or removed beneath the folder, for ever.

    An empty set comes when nothing happened for a while: from the first set on, no change is missed. But what
    cannot be watched (locked folders, too many for the system, network drives) is silent.
    Raises OSError or RuntimeError when the system has no room for one more watch.
    """
    stop = threading.Event()
    changes = watch(
        folder,
        watch_filter=None,
        debounce=SETTLE_MS,
        step=STEP_MS,
        stop_event=stop,
        rust_timeout=SILENCE_MS,
        yield_on_timeout=True,
        raise_interrupt=False,
        ignore_permission_denied=True,
    )
    alone = trio.CapacityLimiter(1)  # the thread is never given back, so it must not come out of a pool
    try:
        # The thread is left behind when cancelled; `stop` ends it within STEP_MS. Setting up the watch visits
        # every folder: that, too, happens on the thread.
        while (found := await _next_on_thread(changes, alone)) is not None:
            yield {path for _, path in found}
    finally:
        stop.set()


async def _next_on_thread(
    changes: Iterator[set[FileChange]], limiter: trio.CapacityLimiter
) -> set[FileChange] | None:
    return await trio.to_thread.run_sync(next, changes, None, abandon_on_cancel=True, limiter=limiter)
