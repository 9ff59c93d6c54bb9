"""The ground that simulations stand on."""

from __future__ import annotations

import random
import time

import pytest
import trio

from tests.sim.scheduler import PATIENCE_S, simulate


async def races(chance: random.Random) -> tuple[tuple[str, int, float], ...]:
    """Who came first, of tasks that nothing but the scheduler puts in order."""
    trace = []

    async def run(name: str) -> None:
        for lap in range(50):
            trace.append((name, lap, trio.current_time()))
            await trio.lowlevel.checkpoint()
            if chance.random() < 0.2:
                await trio.sleep(chance.random())

    async with trio.open_nursery() as nursery:
        for name in "abcde":
            nursery.start_soon(run, name)
    return tuple(trace)


def test_the_same_seed_gives_the_same_run() -> None:
    """Fails if trio changes its private flag: see `seeded_scheduler`."""
    assert len({simulate(races, 7) for _ in range(5)}) == 1


def test_other_seeds_give_other_runs() -> None:
    assert len({simulate(races, seed) for seed in range(5)}) == 5


def test_an_hour_passes_in_no_time_and_a_deadlock_fails_at_once() -> None:
    async def wait_for_nobody(chance: random.Random) -> None:
        await trio.Event().wait()

    began = time.perf_counter()
    with pytest.raises(trio.TooSlowError):
        simulate(wait_for_nobody, 0)
    assert time.perf_counter() - began < PATIENCE_S / 100


def test_a_thread_in_a_simulation_is_found_out() -> None:
    async def use_a_thread(chance: random.Random) -> None:
        await trio.to_thread.run_sync(list)

    with pytest.raises(RuntimeError, match="no threads"):
        simulate(use_a_thread, 0)
