"""How many may come in a second, decided before a handshake costs anything. Pure.

Whoever finds no place is told when there will be one: later for each, so that a crowd that comes back after a
restart is spread over as many seconds as it takes.
"""

from __future__ import annotations

import math

from p2pshare.limits import COME_AGAIN_S_MAX
from p2pshare.session.budget import TokenBucket

ROUNDING_S = 1e-6
UNDER_WAY_S = 1.0  # what a handshake takes at most, mostly waiting for the line


class Admission:
    """Hands out places: at a steady rate, and only so many handshakes under way at the same time."""

    def __init__(self, per_s: float, now: float) -> None:
        self.under_way = 0
        self._per_s = per_s
        self._bucket = TokenBucket(per_s, per_s, now)
        self._promised_until = now

    def enter(self, now: float) -> int:
        """0 if somebody may come in, then `leave` is due; else after how many seconds to come again."""
        if self.under_way < self._per_s * UNDER_WAY_S and self._bucket.take(1, now):
            self.under_way += 1
            return 0
        self._promised_until = max(self._promised_until, now) + 1 / self._per_s
        return min(COME_AGAIN_S_MAX, max(1, math.ceil(self._promised_until - now - ROUNDING_S)))

    def leave(self) -> None:
        """A handshake is over, whatever came of it."""
        self.under_way -= 1
