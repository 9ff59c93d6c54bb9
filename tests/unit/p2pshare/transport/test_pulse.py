"""Timers of many in one task."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing

from p2pshare.transport.pulse import LATE_S, Pulse


class Clock:
    """Notes when it was ticked, and wants to be ticked again after `every`, so many times."""

    def __init__(self, every: float = 0.0, times: int = 0) -> None:
        self.ticks: list[float] = []
        self._every, self._times = every, times

    def tick(self, now: float) -> float | None:
        self.ticks.append(now)
        return now + self._every if len(self.ticks) <= self._times else None


@asynccontextmanager
async def running() -> AsyncIterator[Pulse]:
    pulse = Pulse()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pulse.run)
        await trio.testing.wait_all_tasks_blocked()
        yield pulse
        nursery.cancel_scope.cancel()


async def passes(clock: trio.testing.MockClock, seconds: float) -> None:
    for _ in range(int(seconds)):
        clock.jump(1)
        await trio.testing.wait_all_tasks_blocked()


async def test_each_is_ticked_in_the_second_after_it_is_due(mock_clock: trio.testing.MockClock) -> None:
    early, late = Clock(), Clock()
    async with running() as pulse:
        began = trio.current_time()
        pulse.watch(late, began + 50)
        pulse.watch(early, began + 10)  # before that for which the task sleeps
        await passes(mock_clock, 60)
    assert 10 <= early.ticks[0] - began <= 12
    assert 50 <= late.ticks[0] - began <= 52
    assert len(early.ticks) == len(late.ticks) == 1


async def test_whoever_wants_to_be_ticked_again_is(mock_clock: trio.testing.MockClock) -> None:
    clock = Clock(every=5, times=3)
    async with running() as pulse:
        pulse.watch(clock, trio.current_time())
        await passes(mock_clock, 60)
    assert len(clock.ticks) == 4


async def test_what_is_forgotten_or_put_off_is_not_ticked(mock_clock: trio.testing.MockClock) -> None:
    gone, later = Clock(), Clock()
    async with running() as pulse:
        began = trio.current_time()
        for clock in (gone, later):
            pulse.watch(clock, began + 5)
        pulse.forget(gone)
        pulse.watch(later, began + 20)
        await passes(mock_clock, 30)
    assert gone.ticks == []
    assert len(later.ticks) == 1 and later.ticks[0] >= began + 20


async def test_after_the_machine_slept_what_has_arrived_is_read_first(
    mock_clock: trio.testing.MockClock,
) -> None:
    clock = Clock()
    async with running() as pulse:
        pulse.watch(clock, trio.current_time() + 5)
        mock_clock.jump(5 + LATE_S + 100)
        await trio.testing.wait_all_tasks_blocked()
        assert clock.ticks == []
        await passes(mock_clock, 2)
        assert len(clock.ticks) == 1
