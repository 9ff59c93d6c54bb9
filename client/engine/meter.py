"""How fast something is going. Pure: `now` is an argument, in seconds of any clock that never steps back."""

from __future__ import annotations

import math

REMEMBERED_S = 5.0  # older amounts hardly count: what a person sees should follow what happens


class RateMeter:
    """An average of amounts a second in which the recent past counts most."""

    def __init__(self, now: float) -> None:
        self._rate = 0.0
        self._at = now
        self._started = now

    def add(self, amount: float, now: float) -> None:
        """`amount` more happened just now."""
        self._decay(now)
        self._rate += amount / REMEMBERED_S

    def rate(self, now: float) -> float:
        """Amount a second."""
        self._decay(now)
        # Shortly after the start the memory is not full yet: without this it would seem slow.
        filled = 1.0 - math.exp(-max(now - self._started, 0.25) / REMEMBERED_S)
        return self._rate / filled

    def _decay(self, now: float) -> None:
        if now > self._at:
            self._rate *= math.exp(-(now - self._at) / REMEMBERED_S)
            self._at = now
