"""How often somebody may ask for something: one bucket of tokens for each of them and each thing. PURE."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable

from p2pshare.errors import Reason, Refused
from p2pshare.session.budget import TokenBucket

BUCKETS_MAX = 100_000  # some 30 MB; beyond, whoever asked longest ago is forgiven, and has filled up mostly


class Budgets:
    """Buckets outlive connections, so that connecting anew fills nothing."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()

    def take(self, who: Hashable, what: str, *, most: int, period_s: float, now: float) -> None:
        """Count one of at most `most` in `period_s`. Raises `Refused(TOO_MUCH)`, saying when to try again."""
        bucket = self._buckets.get((who, what))
        if bucket is None:
            if len(self._buckets) >= BUCKETS_MAX:
                self._buckets.popitem(last=False)
            bucket = self._buckets[who, what] = TokenBucket(most / period_s, most, now)
        else:
            self._buckets.move_to_end((who, what))
        if not bucket.take(1, now):
            wait_s = math.ceil(period_s / most)
            text = f"Too many {what} in a short time. Try again in {wait_s} s."
            raise Refused(Reason.TOO_MUCH, text, wait_s)

    def left(self, who: Hashable, what: str, *, most: int, now: float) -> int:
        """How many they may ask for at this moment."""
        bucket = self._buckets.get((who, what))
        return most if bucket is None else int(bucket.level(now))
