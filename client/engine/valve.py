"""What moves passes here, and waits for every limit that it is under. Limits may change meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from client.engine.rate import RateLimit
from p2pshare.limits import DATA_BYTES_MAX

TELL_EVERY_S = 10.0  # whoever waits so long under a limit says so


class LimitsChanged:
    """Wakes whoever waits for a limit, so that a new one takes effect at once."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def tell(self) -> None:
        self._event.set()
        self._event = trio.Event()

    async def wait(self) -> None:
        await self._event.wait()


class Valve:
    """For one stream of bytes."""

    def __init__(self, limits: Callable[[], Sequence[RateLimit]], changed: LimitsChanged) -> None:
        """`limits` says what holds at the moment."""
        self._limits = limits
        self._changed = changed

    async def passes(self, size: int, waiting: Callable[[], None] = lambda: None) -> None:
        """Wait until so many bytes may move. `waiting` is called every few seconds of that."""
        await trio.lowlevel.checkpoint()
        now = trio.current_time()
        # Taken from all at once: if one were waited for after the other, the waits would add up.
        for limit, mark in [(limit, limit.take(size, now)) for limit in self._limits()]:
            while (wait_s := limit.wait_s(mark, trio.current_time())) > 0:
                with trio.move_on_after(min(wait_s, TELL_EVERY_S)):
                    await self._changed.wait()
                waiting()

    @property
    def step_bytes(self) -> int:
        """How much to move at a time."""
        return min((limit.step_bytes for limit in self._limits()), default=DATA_BYTES_MAX)
