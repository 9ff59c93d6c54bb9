"""How fast one source delivers, and so how much to ask of it ahead."""

from __future__ import annotations

import math

from p2pshare.limits import KIB, MIB

WINDOW_MIN = 2  # pieces: one on its way, one waiting behind it
WINDOW_FIRST_BYTES = (
    512 * KIB
)  # asked of a source that has shown nothing yet; saves three rounds on a long path
WINDOW_MAX = 4_096  # pieces; more than bandwidth x delay of any path at 64 KiB each
WINDOW_BYTES_MAX = 64 * MIB  # 1 Gbit/s over 0.25 s, twice; what a source that leaves can take with it
WINDOW_SNUBBED = 1  # of a source that has gone silent
WINDOW_GAIN = 2.0  # x bandwidth x shortest delay: a window that is the bottleneck doubles in every round
AHEAD_S = 0.25  # work that is always waiting at a source, so that it can read ahead
FALL = 1 / 8  # weight of a slower measurement; a faster one counts at once
UNMEASURED_PIECE_S = 1.0  # a source that never delivered is taken to need this long for a piece
TINY_S = 1e-6  # clocks have steps


class Pace:
    """What one source has shown; times in seconds, rates in pieces per second."""

    def __init__(self, piece_size: int, careful: bool = False) -> None:
        """`careful`: ask for little until it has shown something, as somebody waits for what it is asked."""
        first_bytes = 0 if careful else WINDOW_FIRST_BYTES
        self._window_first = max(WINDOW_MIN, first_bytes // piece_size)
        self._window_max = max(WINDOW_MIN, min(WINDOW_MAX, WINDOW_BYTES_MAX // piece_size))
        self.delivered = 0  # pieces
        self.rate: float | None = None
        self._delay = math.inf  # the shortest time from asking to having
        self.waiting_since = 0.0  # when it last gave a sign of life, or was asked after a rest
        self.snubbed = False

    def arrived(self, asked_at: float, delivered_then: int, now: float) -> None:
        """A piece is here; `delivered_then` is what `delivered` was when it was asked for."""
        self.delivered += 1
        took = max(now - asked_at, TINY_S)
        rate = (self.delivered - delivered_then) / took  # over one whole round: asking ahead counts in
        if self.rate is None or rate > self.rate:
            self.rate = rate
        else:
            self.rate += (rate - self.rate) * FALL
        self._delay = min(self._delay, took)

    def snub(self) -> None:
        """It has gone silent: what it showed before no longer counts."""
        self.snubbed = True
        self.rate = None

    @property
    def window(self) -> int:
        """Pieces that may be asked for and not here yet."""
        if self.snubbed:
            return WINDOW_SNUBBED
        if self.rate is None:
            return self._window_first
        ahead_s = max(WINDOW_GAIN * self._delay, AHEAD_S)
        return max(WINDOW_MIN, min(self._window_max, math.ceil(self.rate * ahead_s)))

    @property
    def each_s(self) -> float:
        """From one piece to the next."""
        return UNMEASURED_PIECE_S if self.rate is None else 1 / self.rate

    def expected_s(self, place: int, now: float) -> float:
        """When the piece at this place (from 0) among those asked for should be here; the longer a source is
        silent, the longer it is expected to stay so."""
        silent_s = now - self.waiting_since
        if self.rate is None:
            return max(
                UNMEASURED_PIECE_S, silent_s
            )  # nothing is known of the places; they may all come at once
        return (place + 1) * max(1 / self.rate, silent_s)

    def expected_anew_s(self, place: int) -> float:
        """The same for a piece that would be asked for now, behind `place` others."""
        if self.rate is None:
            return (place + 1) * UNMEASURED_PIECE_S
        return place / self.rate + self._delay
