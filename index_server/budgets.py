"""How often somebody may ask for something: one bucket of tokens for each of them and each thing. PURE."""

from __future__ import annotations

import math
from collections.abc import Hashable

from p2pshare.errors import Reason, Refused
from p2pshare.session.budget import TokenBucket

BUCKETS_MAX = 50_000  # some 10 MB; beyond, whoever came first is forgiven what they took


class Budgets:
    """Buckets outlive connections, so that connecting anew fills nothing."""

    def __init__(self) -> None:
        self._buckets: dict[Hashable, TokenBucket] = {}

    def take(self, who: Hashable, what: str, *, most: int, period_s: float, now: float) -> None:
        """Count one of at most `most` in `period_s`. Raises `Refused(TOO_MUCH)`, saying when to try again."""
        bucket = self._buckets.get((who, what))
        if bucket is None:
            if len(self._buckets) >= BUCKETS_MAX:
                del self._buckets[next(iter(self._buckets))]
            bucket = self._buckets[who, what] = TokenBucket(most / period_s, most, now)
        if not bucket.take(1, now):
            wait_s = math.ceil(period_s / most)
            text = f"Too many {what} in a short time. Try again in {wait_s} s."
            raise Refused(Reason.TOO_MUCH, text, wait_s)
