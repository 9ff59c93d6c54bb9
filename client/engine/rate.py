"""A limit of bytes a second, shared by everything that is charged to it. Pure: `now` is given."""

from __future__ import annotations

from p2pshare.limits import DATA_BYTES_MAX, KIB

STEPS_PER_S = 8  # a limited stream should flow, not come in gulps
STEP_BYTES_MIN = 16 * KIB
BURST_S = 0.25  # what was not used may be made up for, up to so long


class RateLimit:
    """First come, first served: who takes waits for everything that was taken before."""

    def __init__(self, bytes_per_s: int = 0) -> None:
        """0: no limit."""
        self._bytes_per_s = bytes_per_s
        self._paid_until = 0.0

    def take(self, size: int, now: float) -> float:
        """Charge `size` bytes. Returns how long to wait before moving them, in seconds."""
        if not self._bytes_per_s:
            return 0.0
        start = max(self._paid_until, now - BURST_S)
        self._paid_until = start + size / self._bytes_per_s
        return max(0.0, start - now)

    @property
    def step_bytes(self) -> int:
        """How much to move at a time."""
        if not self._bytes_per_s:
            return DATA_BYTES_MAX
        return min(DATA_BYTES_MAX, max(STEP_BYTES_MIN, self._bytes_per_s // STEPS_PER_S))
