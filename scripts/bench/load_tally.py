"""What a crowd saw: how long each kind of question took, what was refused, what went wrong. PURE."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from scripts.bench.times import Times


@dataclass
class Tally:
    """Of one process, or of several together."""

    answers: dict[str, Times] = field(default_factory=dict)
    """By kind of question."""
    refused: Counter[str] = field(default_factory=Counter)
    """By kind and reason."""
    ended: Counter[str] = field(default_factory=Counter)
    """Connections that the other side ended, by its reason."""
    counts: Counter[str] = field(default_factory=Counter)
    """Offers published, notices heard, and the like."""

    def answered(self, kind: str, seconds: float) -> None:
        times = self.answers.get(kind)
        if times is None:
            times = self.answers[kind] = Times()
        times.add(seconds)

    def merge(self, other: Tally) -> None:
        for kind, times in other.answers.items():
            self.answers.setdefault(kind, Times()).merge(times)
        self.refused.update(other.refused)
        self.ended.update(other.ended)
        self.counts.update(other.counts)

    def to_json(self) -> dict[str, Any]:
        """For another process."""
        return {
            "answers": {kind: times.to_json() for kind, times in self.answers.items()},
            "refused": self.refused,
            "ended": self.ended,
            "counts": self.counts,
        }

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Tally:
        answers = {kind: Times.from_json(times) for kind, times in plain["answers"].items()}
        return cls(answers, Counter(plain["refused"]), Counter(plain["ended"]), Counter(plain["counts"]))
