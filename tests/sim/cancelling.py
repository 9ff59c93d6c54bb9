"""Cancel everywhere: run something again and again, cancelled at its first checkpoint, its second, ...

for cut in cancellations():
    simulate(lambda chance: scene(chance, cut), seed)    # inside: `async with cut: await act()`
    if cut.survived:
        break
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

import trio

STEPS_MAX = 2_000  # more checkpoints than that means a loop that never ends


class Cut(trio.abc.Instrument):
    """Cancels the block at its n-th checkpoint. `survived` if the block had fewer."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.survived = False
        self._steps = 0
        self._scope = trio.CancelScope()
        self._task: trio.lowlevel.Task | None = None

    async def __aenter__(self) -> None:
        self._scope.__enter__()
        self._task = trio.lowlevel.current_task()
        trio.lowlevel.add_instrument(self)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        trio.lowlevel.remove_instrument(self)
        self.survived = self._steps < self.n and error is None
        return bool(self._scope.__exit__(kind, error, traceback))

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self._steps += 1
            if self._steps == self.n:
                self._scope.cancel()


def cancellations() -> Iterator[Cut]:
    for n in range(1, STEPS_MAX):
        yield Cut(n)
    raise AssertionError(f"still not through after {STEPS_MAX} checkpoints")
