"""When to try again. Pure: chance is an argument."""

from __future__ import annotations

FIRST_S = 1.0
MOST_S = 300.0
STABLE_S = 30.0  # a connection that held so long was a good one


class Backoff:
    """Doubles with every failure, forgets them after a connection that held, and spreads the crowd.

    Resetting on mere success would let a server that drops everybody at once be stormed for ever.
    """

    def __init__(self) -> None:
        self._failures = 0

    def delay_s(self, held_s: float, chance: float, told_s: float = 0.0) -> float:
        """How long to wait after a connection that held for `held_s` (0: it never came about).

        `chance` is between 0 and 1; `told_s` is what the other side asked for, never undercut.
        """
        if held_s >= STABLE_S:
            self._failures = 0
        full = min(MOST_S, FIRST_S * 2.0**self._failures)
        self._failures = min(self._failures + 1, 16)
        return max(told_s, 0.0) + full * (0.5 + chance / 2)
