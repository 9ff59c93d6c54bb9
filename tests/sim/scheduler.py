"""Running a simulation: virtual time, an order of tasks that follows from the seed, and no way to hang.

This is the one place that touches a private name of trio. `test_scheduler.py` fails if it goes away.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import trio
import trio.testing

T = TypeVar("T")

PATIENCE_S = 3600.0  # of virtual time. With every task asleep for good, the clock jumps right there.
THREADS_FORBIDDEN = (
    "A simulation has no threads and no other programs: its clock jumps while they work. Run this inline."
)


def simulate(scenario: Callable[[random.Random], Awaitable[T]], seed: int) -> T:
    """Run `scenario(chance)` under a clock that jumps; the same seed gives the same run."""

    async def supervised() -> T:
        with trio.fail_after(PATIENCE_S):
            return await scenario(random.Random(seed))

    with seeded_scheduler(seed), no_threads():
        return trio.run(supervised, clock=trio.testing.MockClock(autojump_threshold=0))


@contextmanager
def seeded_scheduler(seed: int) -> Iterator[None]:
    """Tasks that could run at the same time run in an order that follows from the seed."""
    run = trio._core._run
    flag, state = run._ALLOW_DETERMINISTIC_SCHEDULING, run._r.getstate()
    run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    run._r.seed(seed)
    try:
        yield
    finally:
        run._ALLOW_DETERMINISTIC_SCHEDULING = flag  # type: ignore[misc]
        run._r.setstate(state)


@contextmanager
def no_threads() -> Iterator[None]:
    """Whoever starts a thread or a process through trio is told what to do instead."""

    async def forbidden(*_args: Any, **_options: Any) -> NoReturn:
        raise RuntimeError(THREADS_FORBIDDEN)

    kept = trio.to_thread.run_sync, trio.lowlevel.open_process, trio.run_process
    trio.to_thread.run_sync = trio.lowlevel.open_process = trio.run_process = forbidden  # type: ignore[assignment]
    try:
        yield
    finally:
        trio.to_thread.run_sync, trio.lowlevel.open_process, trio.run_process = kept
