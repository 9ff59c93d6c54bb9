"""How long many things took, in a few numbers. PURE.

A soak counts millions of answers. What is kept is how many fell into each of some hundred steps, each 2 %
longer than the one before: so the memory stays the same, and a percentile is right within 2 %.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

STEP = math.log(1.02)
SHORTEST_S = 1e-6


class Times:
    """Durations in seconds, counted."""

    def __init__(self, steps: Mapping[int, int] | None = None, longest_s: float = 0.0) -> None:
        self.steps: Counter[int] = Counter(steps)
        self.longest_s = longest_s

    def add(self, seconds: float) -> None:
        self.steps[int(math.log(max(seconds, SHORTEST_S) / SHORTEST_S) / STEP)] += 1
        if seconds > self.longest_s:
            self.longest_s = seconds

    def merge(self, other: Times) -> None:
        self.steps.update(other.steps)
        self.longest_s = max(self.longest_s, other.longest_s)

    def __len__(self) -> int:
        return self.steps.total()

    def percentile_s(self, percent: float) -> float:
        """So many of a hundred took at most this long. 0 if there were none."""
        wanted, seen = percent / 100 * len(self), 0
        for step, count in sorted(self.steps.items()):
            seen += count
            if seen >= wanted:
                return min(SHORTEST_S * math.exp((step + 0.5) * STEP), self.longest_s)
        return 0.0

    def to_json(self) -> list[object]:
        """For another process."""
        return [list(self.steps.items()), self.longest_s]

    @classmethod
    def from_json(cls, plain: list[object]) -> Times:
        steps, longest_s = plain
        assert isinstance(steps, list) and isinstance(longest_s, float)
        return cls(dict(steps), longest_s)


def percentile(values: Iterable[float], percent: float) -> float:
    """Of at least one value, the least that so many of a hundred do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]
