from __future__ import annotations

import threading

import pytest
import trio

from client.engine.offload import Inline, Offload, Threads


@pytest.mark.parametrize("offload", [Threads(), Inline()])
async def test_the_result_or_the_exception_comes_back(offload: Offload) -> None:
    assert await offload.run(divmod, 17, 5) == (3, 2)
    with pytest.raises(ZeroDivisionError):
        await offload.run(divmod, 1, 0)


async def test_threads_work_beside_the_loop_and_inline_on_it() -> None:
    here = threading.get_ident()
    assert await Threads().run(threading.get_ident) != here
    assert await Inline().run(threading.get_ident) == here


async def test_work_that_began_ends_before_the_task_that_asked_is_cancelled() -> None:
    began, may_end = threading.Event(), threading.Event()

    def work() -> str:
        began.set()
        may_end.wait(10)
        return "done"

    async def cancel_meanwhile(scope: trio.CancelScope) -> None:
        await trio.to_thread.run_sync(began.wait, 10)
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        may_end.set()

    results = []
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            nursery.start_soon(cancel_meanwhile, scope)
            results.append(await Threads().run(work))
    assert results == ["done"]
