"""What the server counts about its own work: how many requests of each kind, how they ended, how long
it took.

Counters only ever grow, as Prometheus wants them. Of the last half hour it is also kept what happened every
ten seconds, for the status page. PURE: `now` is an argument. Nothing in here says who asked, or for what.
"""

from __future__ import annotations

import bisect
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from p2pshare.errors import Reason
from p2pshare.wire.schema import Message
from p2pshare.wire.session import Refused

BOUNDS_S = (
    *(0.0001, 0.000_25, 0.0005, 0.001, 0.002, 0.003, 0.004, 0.005, 0.007, 0.01, 0.015, 0.02),
    *(0.035, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)
"""Upper bounds of the buckets of times; the last bucket has none."""
SLOT_S = 10
SLOTS = 180  # half an hour
LATELY = 6  # slots that "lately" is about: a minute


class Times:
    """How long things took: how many in each bucket."""

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        self.count = 0
        self.total_s = 0.0

    def note(self, seconds: float) -> None:
        self.buckets[bisect.bisect_left(BOUNDS_S, seconds)] += 1
        self.count += 1
        self.total_s += seconds


@dataclass
class Tally:
    """Requests of one kind since the start."""

    times: Times = field(default_factory=Times)
    refused: Counter[Reason] = field(default_factory=Counter)


@dataclass(frozen=True)
class Lately:
    """Requests of one kind within the last minute."""

    kind: str
    per_second: float
    p50_s: float
    p99_s: float


@dataclass
class _Slot:
    """Ten seconds."""

    number: int
    kinds: dict[str, Times] = field(default_factory=dict)


class Measures:
    """One for a server."""

    def __init__(self, now: float) -> None:
        self.kinds: dict[str, Tally] = {}
        self.started_at = now
        self._slots: deque[_Slot] = deque(maxlen=SLOTS)

    def note(self, request: Message, answer: Message | None, *, started_at: float, now: float) -> None:
        """A request was answered; None if it is not known with what, but not with `Refused`."""
        kind, seconds = request.NAME, now - started_at
        tally = self.kinds.get(kind)
        if tally is None:
            tally = self.kinds[kind] = Tally()
        tally.times.note(seconds)
        if isinstance(answer, Refused):
            tally.refused[answer.reason] += 1
        number = int(now // SLOT_S)
        if not self._slots or self._slots[-1].number != number:
            self._slots.append(_Slot(number))
        self._slots[-1].kinds.setdefault(kind, Times()).note(seconds)

    def lately(self, now: float) -> list[Lately]:
        """What was asked within the last minute, the most frequent first."""
        since = int(now // SLOT_S) - LATELY
        slots = [slot for slot in self._slots if slot.number > since]
        seconds = min(now - self.started_at, (LATELY - 1) * SLOT_S + now % SLOT_S)
        found = []
        for kind in {kind for slot in slots for kind in slot.kinds}:
            times = [slot.kinds[kind] for slot in slots if kind in slot.kinds]
            buckets = [sum(column) for column in zip(*(one.buckets for one in times), strict=True)]
            count = sum(one.count for one in times)
            found.append(
                Lately(kind, count / max(seconds, 1), quantile(buckets, 0.5), quantile(buckets, 0.99))
            )
        return sorted(found, key=lambda one: (-one.per_second, one.kind))

    def history(self, kind: str, now: float) -> list[float]:
        """How many a second there were of one kind, every ten seconds of the last half hour, oldest first.

        The ten seconds that have only begun are left out.
        """
        last = int(now // SLOT_S)
        counts = {slot.number: slot.kinds[kind].count for slot in self._slots if kind in slot.kinds}
        first = max(last - SLOTS + 1, int(self.started_at // SLOT_S))
        return [counts.get(number, 0) / SLOT_S for number in range(first, last)]


def quantile(buckets: Sequence[int], part: float) -> float:
    """The time within which this part of all stayed, as far as the buckets tell; 0 if there were none."""
    wanted, before, low = part * sum(buckets), 0.0, 0.0
    for count, high in zip(buckets, _open_ended(BOUNDS_S), strict=True):
        if count and before + count >= wanted:
            return low + (high - low) * (wanted - before) / count
        before, low = before + count, high
    return 0.0


def _open_ended(bounds: Sequence[float]) -> Iterable[float]:
    yield from bounds
    yield bounds[-1]  # of what took longer it is only known that it did
