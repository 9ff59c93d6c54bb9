from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

from client.engine.watch import Watch


async def test_who_waits_gets_the_next_value_and_only_the_latest() -> None:
    watch, seen = Watch(0), []

    async def follow() -> None:
        value = 0
        while value < 5:
            value = await watch.other_than(value)
            seen.append(value)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        nursery.start_soon(follow)
        await wait_all_tasks_blocked()
        watch.set(1)
        await wait_all_tasks_blocked()
        watch.set(2)
        watch.set(3)
        watch.set(5)
    assert seen == [1, 1, 5, 5]


async def test_an_equal_value_wakes_nobody() -> None:
    watch = Watch((1, 2))
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def wait() -> None:
                await watch.other_than((1, 2))
                raise AssertionError

            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            watch.set((1, 2))
            await wait_all_tasks_blocked()
            scope.cancel()
    assert watch.value == (1, 2)


async def test_a_value_that_differs_already_is_there_at_once() -> None:
    assert await Watch("new").other_than("old") == "new"
