"""Where blocking work goes, so that the loop stays responsive.

`Threads` in production. `Inline` in simulations: a simulated clock would jump ahead while a thread works.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, TypeVarTuple

import trio

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

THREADS_MAX = 12  # disk reads for every upload slot, writes for the downloads, one hasher, one scanner


class Offload(Protocol):
    """Runs a plain function that may block. Never pass it anything that another task may close meanwhile."""

    takes_time: bool
    """Whether the way to where it runs is worth sparing."""

    async def run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """The result of `work(*args)`, or its exception. It is never left halfway: the work ends first."""


class Threads:
    """Runs work on trio's worker threads."""

    takes_time = True

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(THREADS_MAX)

    async def run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        return await trio.to_thread.run_sync(work, *args, limiter=self._limiter)


class Inline:
    """Runs work at once, on the loop."""

    takes_time = False

    async def run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        await trio.lowlevel.checkpoint()
        return work(*args)
