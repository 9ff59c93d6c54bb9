"""Whether a disk answers so quickly that a thread is not worth it. Pure: `now` is given, in seconds."""

from __future__ import annotations

import math

SLOW_S = 0.02  # a disk that makes the loop wait for so long is left to threads ...
SLOW_PAUSE_S = 5.0  # ... for so long


class DiskPace:
    """What was measured of one open file."""

    def __init__(self, *, quick: bool) -> None:
        """`quick`: what is assumed before anything was measured."""
        self._slow_until = -math.inf if quick else math.inf

    def is_quick(self, now: float) -> bool:
        return now >= self._slow_until

    def took(self, seconds: float, now: float) -> None:
        """An access on the loop, or in a thread."""
        if seconds > SLOW_S:
            self._slow_until = now + SLOW_PAUSE_S
        elif self._slow_until == math.inf:
            self._slow_until = now
