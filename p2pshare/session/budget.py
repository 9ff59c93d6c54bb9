"""How much somebody may say: a bucket of tokens that fills at a steady rate."""

from __future__ import annotations


class TokenBucket:
    """Holds at most `burst` tokens, starts full, gains `per_s` tokens a second."""

    __slots__ = ("_burst", "_filled_at", "_per_s", "_tokens")

    def __init__(self, per_s: float, burst: float, now: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._tokens = burst
        self._filled_at = now

    def level(self, now: float) -> float:
        """How many tokens there are."""
        self._fill(now)
        return self._tokens

    def take(self, amount: float, now: float) -> bool:
        """Take `amount` tokens if so many are there; otherwise take none and say False."""
        self._fill(now)
        if amount > self._tokens:
            return False
        self._tokens -= amount
        return True

    def _fill(self, now: float) -> None:
        if now > self._filled_at:  # a clock that steps back fills nothing and takes nothing away
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_s)
            self._filled_at = now
