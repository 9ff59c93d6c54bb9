"""The timers of many connections that are mostly silent, in one task and without a deadline for each.

A connection is looked at in the second when its timer is due. By then the timer has usually moved, because
something was said meanwhile, and the connection is put down for that later second: so each is looked at once
in a minute, whatever it says.
"""

from __future__ import annotations

import math
from typing import Protocol

import trio

LATE_S = 2.0  # whoever wakes later than this was stopped for a while, and so were those who read


class Timed(Protocol):
    """Something with a timer."""

    def tick(self, now: float) -> float | None:
        """Do what is due. Returns when to look again, None if never; never fails, never waits."""


class Pulse:
    """Looks at everything that is watched when its time comes."""

    def __init__(self) -> None:
        self._second_of: dict[Timed, int] = {}
        self._seconds: dict[int, set[Timed]] = {}
        self._nap = trio.CancelScope()

    def watch(self, timed: Timed, due: float) -> None:
        """Tick it when `due`, and no more when it was due before."""
        self.forget(timed)
        second = math.floor(due) + 1
        self._second_of[timed] = second
        self._seconds.setdefault(second, set()).add(timed)
        if second < self._nap.deadline:
            self._nap.deadline = second

    def forget(self, timed: Timed) -> None:
        """Tick it no more."""
        second = self._second_of.pop(timed, None)
        if second is not None:
            self._seconds[second].discard(timed)
            if not self._seconds[second]:
                del self._seconds[second]

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            with trio.CancelScope(deadline=min(self._seconds, default=math.inf)) as self._nap:
                await trio.sleep_forever()
            if trio.current_time() - self._nap.deadline > LATE_S:
                await trio.sleep(1)  # first of all, what has arrived meanwhile is read: it is no silence
            now = trio.current_time()
            for second in [second for second in self._seconds if second <= now]:
                for timed in list(self._seconds.get(second, ())):
                    self.forget(timed)
                    if (due := timed.tick(now)) is not None:
                        self.watch(timed, max(due, now))
