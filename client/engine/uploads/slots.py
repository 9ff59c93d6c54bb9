"""Who may fetch from us now, and who is next.

Rule 1: a slot belongs to a person, whatever number of files or connections they have.
Rule 2: whoever waits gets a slot in the end: while somebody waits, a turn ends after its time and data, an
        idle one sooner, and a slow one too.

Pure: `now` is given, in seconds. A connection that breaks costs a person the slot but not the place: they
stay in line for a while, at the head if they had a slot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from p2pshare.errors import Reason, Refused
from p2pshare.identity import NodeId
from p2pshare.limits import MIB

TURN_S = 60.0  # a turn lasts at least this long ...
TURN_BYTES = (
    64 * MIB
)  # ... and until this much was sent: a fast path is not cut off after a few megabytes ...
TURN_MAX_S = 240.0  # ... but no longer than this, so that a slow reader cannot keep a slot
IDLE_S = 10.0  # a holder for whom nothing is to be sent for so long makes room
GRACE_S = 600.0  # a broken connection keeps its place in line for so long
QUEUE_MAX = 1_000  # more would wait for hours; they should look elsewhere
MEMORY = 1 / 8  # weight of the latest turn in the measured length of turns


@dataclass(eq=False, slots=True)
class _Place:
    """One person, holding a slot or waiting."""

    gone_at: float | None = None  # when the connection broke
    began_at: float = 0.0  # the turn
    idle_since: float | None = None  # during the turn
    used_s: float = 0.0  # of a turn that a broken connection cut short
    sent_bytes: int = 0  # in this turn


class Slots:
    """The holders of the slots and the line of those who wait."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._holders: dict[NodeId, _Place] = {}
        self._line: dict[NodeId, _Place] = {}  # in order
        self._turn_s = TURN_S  # measured
        self._told: dict[NodeId, int] = {}

    # --- what happens --------------------------------------------------------------------------------

    def join(self, person: NodeId, now: float) -> None:
        """They want files. Who is in already, or comes back in time, keeps the place.

        Raises Refused(TOO_MUCH) if the line is too long.
        """
        if person in self._holders:
            return
        if (place := self._line.get(person)) is not None:
            place.gone_at = None
        else:
            self.pass_time(now)
            if len(self._line) >= QUEUE_MAX:
                raise Refused(
                    Reason.TOO_MUCH, "Too many people wait here already. Try others, or later.", 600
                )
            self._line[person] = _Place()
        self.pass_time(now)

    def leave(self, person: NodeId, now: float) -> None:
        """They want nothing more."""
        place = self._holders.pop(person, None)
        if place is not None:
            self._measure(place, now)
        self._line.pop(person, None)
        self._told.pop(person, None)
        self.pass_time(now)

    def lost(self, person: NodeId, now: float) -> None:
        """Their last connection broke."""
        if (place := self._holders.pop(person, None)) is not None:
            self._measure(place, now)
            place.used_s = (
                now - place.began_at
            )  # coming back goes on with the turn, it does not begin another
            self._line = {person: place} | self._line
        if (place := self._line.get(person)) is not None:
            place.gone_at = now
        self._told.pop(person, None)
        self.pass_time(now)

    def busy(self, person: NodeId, now: float) -> None:
        """They asked for data."""
        if (place := self._holders.get(person)) is not None:
            place.idle_since = None
            self.pass_time(now)

    def sent(self, person: NodeId, size: int, now: float) -> None:
        """`size` bytes went to them."""
        if (place := self._holders.get(person)) is not None:
            place.sent_bytes += size
            self.pass_time(now)

    def idle(self, person: NodeId, now: float) -> None:
        """All they asked for is answered."""
        if (place := self._holders.get(person)) is not None:
            place.idle_since = now
            self.pass_time(now)

    def pass_time(self, now: float) -> None:
        """End the turns that are over and fill the free slots. Call it at `next_timer`."""
        for person, place in list(self._line.items()):
            if place.gone_at is not None and now >= place.gone_at + GRACE_S:
                del self._line[person]
        self._fill(now)
        while self._wanted() and (over := self._first_over(now)) is not None:
            self._measure(self._holders.pop(over), now)
            self._line[over] = _Place()
            self._fill(now)

    def _fill(self, now: float) -> None:
        for person, place in list(self._line.items()):
            if len(self._holders) >= self._count:
                break
            if place.gone_at is None:
                place.began_at, place.idle_since = now - place.used_s, now
                self._holders[person] = self._line.pop(person)

    # --- what follows --------------------------------------------------------------------------------

    def holds(self, person: NodeId) -> bool:
        return person in self._holders

    def knows(self, person: NodeId) -> bool:
        """Whether they hold a slot or stand in line."""
        return person in self._holders or person in self._line

    def position(self, person: NodeId) -> int:
        """0 with a slot, otherwise the place in line from 1. Who lost the connection is not counted.

        Raises KeyError for who is not here.
        """
        return 0 if person in self._holders else self._positions()[person]

    def wait_s(self, position: int, now: float) -> int:
        """How long it should take from this position to a slot, by the turns so far, in whole seconds."""
        if position == 0:
            return 0
        ends = sorted(max(0.0, place.began_at + self._turn_s - now) for place in self._holders.values())
        rounds, which = divmod(position - 1, self._count)
        first = ends[which] if which < len(ends) else 0.0
        return math.ceil(first + rounds * self._turn_s)

    def changes(self) -> dict[NodeId, int]:
        """Positions that changed since the last call, of those who are connected."""
        positions = dict.fromkeys(self._holders, 0) | self._positions()
        changed = {person: at for person, at in positions.items() if self._told.get(person) != at}
        self._told = positions
        return changed

    def next_timer(self) -> float:
        """When to call `pass_time` even if nothing happens; infinity for never."""
        gone = [place.gone_at + GRACE_S for place in self._line.values() if place.gone_at is not None]
        ends = map(self._turn_end, self._holders.values()) if self._wanted() else ()
        return min([*gone, *ends], default=math.inf)

    def _wanted(self) -> bool:
        """Whether somebody is waiting for a turn to end."""
        return any(place.gone_at is None for place in self._line.values())

    def _first_over(self, now: float) -> NodeId | None:
        return next((person for person, place in self._holders.items() if now >= self._turn_end(place)), None)

    def _positions(self) -> dict[NodeId, int]:
        connected = (person for person, place in self._line.items() if place.gone_at is None)
        return {person: at for at, person in enumerate(connected, start=1)}

    def _turn_end(self, place: _Place) -> float:
        end = place.began_at + (TURN_S if place.sent_bytes >= TURN_BYTES else TURN_MAX_S)
        return end if place.idle_since is None else min(end, place.idle_since + IDLE_S)

    def _measure(self, place: _Place, now: float) -> None:
        # Nobody ends a turn while nobody waits: such a long one says nothing.
        self._turn_s += (min(now - place.began_at, TURN_MAX_S) - self._turn_s) * MEMORY
