"""A limit of bytes a second, shared by everything that is charged to it. Pure: `now` is given."""

from __future__ import annotations

from p2pshare.limits import DATA_BYTES_MAX, KIB

STEPS_PER_S = 8  # a limited stream should flow, not come in gulps ...
STEP_BYTES = 64 * KIB  # ... but who moves much less at a time than others waits behind them all the same
STEPS_PER_S_MIN = 2
STEP_BYTES_MIN = 16 * KIB
BURST_S = 0.1  # what was not used may be made up for, up to so long


class RateLimit:
    """First come, first served: who takes waits for everything that was taken before.

    Kept in bytes: `_allowed` grows at the rate of the moment, and what is taken occupies the bytes behind
    everything taken before. So whoever waits when the rate changes is neither forgotten nor counted twice.
    """

    def __init__(self, bytes_per_s: int = 0) -> None:
        """0: no limit."""
        self._bytes_per_s = bytes_per_s
        self._allowed = 0.0  # bytes that may have moved by `_at`
        self._taken = 0.0  # bytes that were promised to somebody
        self._at = 0.0

    @property
    def bytes_per_s(self) -> int:
        return self._bytes_per_s

    def set(self, bytes_per_s: int, now: float) -> None:
        """Another limit from now on, also for those who wait already; `wait_s` tells them anew."""
        self._pass_time(now)
        if not self._bytes_per_s:
            self._taken = self._allowed  # what moved without a limit is not held against anybody
        self._bytes_per_s = bytes_per_s

    def take(self, size: int, now: float) -> float:
        """Charge `size` bytes. Returns the mark to give to `wait_s`."""
        if not self._bytes_per_s:
            return 0.0
        self._pass_time(now)
        mark = max(self._taken, self._allowed - self._bytes_per_s * BURST_S)
        self._taken = mark + size
        return mark

    def wait_s(self, mark: float, now: float) -> float:
        """How long from now until the bytes of this mark may move, if the limit stays as it is."""
        if not self._bytes_per_s:
            return 0.0
        self._pass_time(now)
        missing = mark - self._allowed
        # Less than a byte is an error of rounding, perhaps too small for any clock to pass.
        return missing / self._bytes_per_s if missing >= 1.0 else 0.0

    @property
    def step_bytes(self) -> int:
        """How much to move at a time."""
        if not self._bytes_per_s:
            return DATA_BYTES_MAX
        rate = self._bytes_per_s
        fair = min(STEP_BYTES, rate // STEPS_PER_S_MIN)
        return min(DATA_BYTES_MAX, max(STEP_BYTES_MIN, fair, rate // STEPS_PER_S))

    def _pass_time(self, now: float) -> None:
        self._allowed += max(0.0, now - self._at) * self._bytes_per_s
        self._at = now
