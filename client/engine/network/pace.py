"""How fast a server may be asked: it tells at the login, and we wait rather than be refused. PURE.

Our buckets are those of the server, seen from here: they start with what it says is left, and fill as its do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from p2pshare.errors import Reason, Refused
from p2pshare.wire.fields import Budget

PERIOD_S = 60.0
PATIENCE_S = 60.0  # whoever would wait longer does something else meanwhile
SHY = 0.98  # the server's clock may run a little slower than ours


class Pace:
    """One bucket for each kind of message that has a budget."""

    def __init__(self) -> None:
        self._buckets: dict[int, _Bucket] = {}

    def told(self, budgets: Iterable[Budget], now: float) -> None:
        """What the server said at the login. It knows what we asked before, also in another run."""
        self._buckets = {each.kind: _Bucket(each.per_minute, each.left, now) for each in budgets}

    def wait_s(self, kind: int, now: float) -> float:
        """Take a turn: in how many seconds a message of this kind may be sent. Turns are kept in order.

        Raises `Refused(TOO_MUCH)`, as the server would, if that is longer than PATIENCE_S.
        """
        bucket = self._buckets.get(kind)
        if bucket is None:
            return 0.0
        wait_s = bucket.take(now)
        if wait_s > PATIENCE_S:
            bucket.give_back()
            retry_s = math.ceil(wait_s)
            raise Refused(
                Reason.TOO_MUCH, f"This server takes no more for now. Try again in {retry_s} s.", retry_s
            )
        return wait_s

    def refused(self, kind: int, now: float) -> None:
        """We were too fast all the same, so there is nothing left."""
        bucket = self._buckets.get(kind)
        if bucket is not None:
            bucket.empty(now)


class _Bucket:
    def __init__(self, most: int, left: int, now: float) -> None:
        self._most = float(most)
        self._per_s = most / PERIOD_S * SHY
        self._tokens = float(left)  # below 0: so many turns are given away that are still to come
        self._filled_at = now

    def take(self, now: float) -> float:
        self._fill(now)
        self._tokens -= 1
        return max(0.0, -self._tokens / self._per_s)

    def give_back(self) -> None:
        self._tokens += 1

    def empty(self, now: float) -> None:
        self._fill(now)
        self._tokens = min(self._tokens, 0.0)

    def _fill(self, now: float) -> None:
        self._tokens = min(self._most, self._tokens + max(0.0, now - self._filled_at) * self._per_s)
        self._filled_at = now
