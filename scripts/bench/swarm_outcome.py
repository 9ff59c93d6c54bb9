"""What a swarm did, whoever ran it, and what would have been ideal."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Task:
    """One seed gives a file to so many others; all uplinks carry the same."""

    people: int
    size: int  # bytes
    piece_size: int
    uplink: int  # bytes a second

    @property
    def pieces(self) -> int:
        return -(-self.size // self.piece_size)

    @property
    def copy_s(self) -> float:
        """How long one copy takes through one uplink."""
        return self.size / self.uplink

    @property
    def ideal_s(self) -> float:
        """No schedule can be faster (Mundinger, Weber, Weiss 2008)."""
        return self.copy_s * (1 + math.floor(math.log2(self.people)) / self.pieces)


@dataclass
class Outcome:
    """Times in seconds since everybody began."""

    who: str
    task: Task
    finished: list[float] = field(default_factory=list)  # when each of them had it all
    growth: list[tuple[float, float]] = field(
        default_factory=list
    )  # (time, copies in the swarm but the first)
    wasted_bytes: int = 0
    seed_bytes: int = 0  # that the seed sent until every piece was out; all it sent, if that is not known

    @property
    def took_s(self) -> float:
        return max(self.finished)

    @property
    def efficiency(self) -> float:
        return self.task.ideal_s / self.took_s

    @property
    def duplicates(self) -> float:
        """The part of what arrived that was here already."""
        return self.wasted_bytes / (self.task.size * self.task.people)

    @property
    def seed_copies(self) -> float:
        return self.seed_bytes / self.task.size

    def row(self) -> str:
        task = self.task
        return (
            f"{self.who:<24}{task.people:>6}{task.pieces:>7}{task.copy_s:>8.0f}{task.ideal_s:>8.1f}"
            f"{self.took_s:>10.1f}{self.efficiency:>12.3f}{self.duplicates:>11.2%}{self.seed_copies:>13.2f}"
        )


HEAD = (
    f"{'':<24}{'N':>6}{'M':>7}{'F/u s':>8}{'ideal s':>8}{'took s':>10}{'efficiency':>12}{'twice':>11}"
    f"{'seed copies':>13}"
)
