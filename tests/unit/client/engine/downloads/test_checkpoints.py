from __future__ import annotations

from dataclasses import dataclass

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from client.engine.downloads.checkpoints import CHECKPOINT_BYTES, CHECKPOINT_S, Checkpoints

HALF = CHECKPOINT_BYTES // 2


@dataclass
class Written:
    unsaved_bytes: int = 0


async def test_one_is_due_by_time_and_by_half_of_the_amount(mock_clock: MockClock) -> None:
    checkpoints, store = Checkpoints(), Written()
    mock_clock.jump(10 * CHECKPOINT_S)
    assert not checkpoints.due(store)  # nothing to save
    store.unsaved_bytes = 1
    assert checkpoints.due(store)
    checkpoints.begun()
    assert not checkpoints.due(store)
    mock_clock.jump(CHECKPOINT_S)
    assert checkpoints.due(store)
    checkpoints.begun()
    store.unsaved_bytes = HALF - 1
    assert not checkpoints.due(store)
    store.unsaved_bytes = HALF
    assert checkpoints.due(store)


async def test_whoever_makes_them_is_woken_by_the_amount(mock_clock: MockClock) -> None:
    checkpoints = Checkpoints()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(checkpoints.nap, 100.0)
        checkpoints.written(Written(HALF - 1))
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        checkpoints.written(Written(HALF))
        await wait_all_tasks_blocked()
        assert not nursery.child_tasks


async def test_nobody_runs_ahead_by_more_than_a_checkpoint() -> None:
    checkpoints, store = Checkpoints(), Written(CHECKPOINT_BYTES)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(checkpoints.keep_pace, store)
        await wait_all_tasks_blocked()
        checkpoints.made()  # of what was written before: as much came meanwhile
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        store.unsaved_bytes = HALF
        checkpoints.made()
        await wait_all_tasks_blocked()
        assert not nursery.child_tasks


async def test_nobody_waits_for_a_run_that_is_over() -> None:
    checkpoints, store = Checkpoints(), Written(CHECKPOINT_BYTES)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(checkpoints.keep_pace, store)
        await wait_all_tasks_blocked()
        checkpoints.end()
    await checkpoints.keep_pace(store)
