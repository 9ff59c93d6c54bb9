"""Who may fetch from us now, and who is next.

Rule 1: a slot belongs to a person, whatever number of files or connections they have.
Rule 2: each group has slots of its own, so nobody of one group waits for another to let them in. Who is of a
        higher group may use a free slot of a lower one, until somebody waits there whose own it is.
Rule 3: whoever waits gets a slot in the end: while somebody waits, a turn ends after its time and data, an
        idle one sooner, and a slow one too. Within a group it goes by the time waited, times a weight from 1
        to 4; so who waited four times as long as another is always first.

Pure: `now` is given, in seconds. A connection that breaks costs a person the slot but not the place: they
stay in line for a while, at the head if they had a slot.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from client.engine.groups import SERVED, Group
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
QUEUE_MAX = 1_000  # of one group; more would wait for hours; they should look elsewhere
WEIGHT_MAX = 4.0
MEMORY = 1 / 8  # weight of the latest turn in the measured length of turns
FROM_THE_TOP = SERVED[::-1]


@dataclass(frozen=True)
class Place:
    """Where somebody stands."""

    position: int  # 0 with a slot, otherwise the place in the line of their group from 1
    wait_s: int  # expected


@dataclass(eq=False, slots=True)
class _Person:
    """Somebody who holds a slot or waits."""

    group: Group
    since: float  # when they joined the line; before `now` for who comes back with a ticket
    first: bool = False  # at the head: a turn of theirs was cut short
    gone_at: float | None = None  # when the connection broke
    rests_until: float = -math.inf  # gets no slot before: the quota is used up
    pool: Group = Group.EVERYONE  # whose slot they hold
    began_at: float = 0.0  # the turn
    idle_since: float | None = None  # during the turn
    used_s: float = 0.0  # of a turn that was cut short
    sent_bytes: int = 0  # in this turn


class Slots:
    """The holders of the slots and the lines of those who wait."""

    def __init__(
        self, counts: Mapping[Group, int], weight: Callable[[NodeId], float] = lambda person: 1.0
    ) -> None:
        """At least one slot for each of SERVED. `weight` is asked whenever somebody gets a slot."""
        self._counts = dict(counts)
        self._weight = weight
        self._holders: dict[NodeId, _Person] = {}
        self._line: dict[NodeId, _Person] = {}
        self._turn_s = TURN_S  # measured
        self._told: dict[NodeId, int] = {}
        self._moved = False  # since `changes` was called
        self._wanted: frozenset[Group] = frozenset()  # groups of which somebody waits who could begin
        self._served: set[NodeId] = set()
        self._line_timer = math.inf  # when something happens in the line by itself

    # --- what happens --------------------------------------------------------------------------------

    def join(self, person: NodeId, group: Group, now: float, *, since: float | None = None) -> None:
        """They want files, and have waited `since` then if they can show it. Who is in already, or comes back
        in time, keeps the place.

        Raises Refused(TOO_MUCH) if the line is too long.
        """
        if person in self._holders:
            return
        if (place := self._line.get(person)) is not None:
            place.gone_at = None
        else:
            self.pass_time(now)
            if sum(other.group is group for other in self._line.values()) >= QUEUE_MAX:
                raise Refused(
                    Reason.TOO_MUCH, "Too many people wait here already. Try others, or later.", 600
                )
            self._line[person] = _Person(group, now if since is None else min(since, now))
        self._changed(now)

    def leave(self, person: NodeId, now: float) -> None:
        """They want nothing more."""
        if self._line.pop(person, None) or self._end_turn(person, now):
            self._told.pop(person, None)
            self._changed(now)

    def lost(self, person: NodeId, now: float) -> None:
        """Their last connection broke."""
        if person in self._holders:
            self._cut_short(person, now)
        if (place := self._line.get(person)) is not None:
            place.gone_at = now
        self._told.pop(person, None)
        self._changed(now)

    def busy(self, person: NodeId) -> None:
        """They asked for data."""
        if (place := self._holders.get(person)) is not None:
            place.idle_since = None

    def sent(self, person: NodeId, size: int, now: float) -> None:
        """`size` bytes went to them."""
        if (place := self._holders.get(person)) is not None:
            if not place.sent_bytes:
                self._served.add(person)
            place.sent_bytes += size
            if self._is_over(place, now):
                self._changed(now)

    def idle(self, person: NodeId, now: float) -> None:
        """All they asked for is answered."""
        if (place := self._holders.get(person)) is not None:
            place.idle_since = now

    def rest(self, person: NodeId, until: float, now: float) -> None:
        """They get no slot before `until`, and lose the one they have; the place in line stays theirs."""
        place = self._line.get(person) or self._holders.get(person)
        if place is None or place.rests_until == until:
            return
        if until > now and person in self._holders:
            self._end_turn(person, now)
            place = self._line[person] = _Person(place.group, now)
        place.rests_until = until
        self._changed(now)

    def regroup(self, person: NodeId, group: Group, now: float) -> None:
        """They are of another group from now on; who is blocked goes."""
        place = self._line.get(person) or self._holders.get(person)
        if place is None or place.group is group:
            return
        if group is Group.BLOCKED:
            return self.leave(person, now)
        if person in self._holders:
            self._cut_short(person, now)
        place.group = group
        self._changed(now)

    def set_counts(self, counts: Mapping[Group, int], now: float) -> None:
        """Other numbers of slots from now on. Who holds one too many is at the head of the line."""
        self._counts = dict(counts)
        for pool in SERVED:
            held = [person for person, place in self._holders.items() if place.pool is pool]
            for person in held[self._counts[pool] :]:
                self._cut_short(person, now)
        self._changed(now)

    def pass_time(self, now: float) -> None:
        """End the turns that are over and fill the free slots. Call it at `next_timer`."""
        self._moved = self._moved or now >= self._line_timer
        for person, place in list(self._line.items()):
            if place.gone_at is not None and now >= place.gone_at + GRACE_S:
                del self._line[person]
        self._fill(now)
        while (over := self._first_over(now)) is not None:
            group = self._holders[over].group
            self._end_turn(over, now)
            self._line[over] = _Person(group, now)
            self._fill(now)
        timers = (_timer(place) for place in self._line.values())
        self._line_timer = min((timer for timer in timers if timer > now), default=math.inf)

    def _changed(self, now: float) -> None:
        self._moved = True
        self.pass_time(now)

    def _fill(self, now: float) -> None:
        for place in self._holders.values():  # whose own slots are free again needs no other's
            if place.pool is not place.group and self._free(place.group):
                place.pool = place.group
        for pool in FROM_THE_TOP:
            while self._free(pool) and (person := self._next(pool, now)) is not None:
                place = self._line.pop(person)
                place.began_at, place.idle_since, place.pool = now - place.used_s, now, pool
                self._holders[person] = place
                self._moved = True
        self._wanted = frozenset(place.group for place in self._line.values() if _could_begin(place, now))

    def _free(self, pool: Group) -> bool:
        return sum(place.pool is pool for place in self._holders.values()) < self._counts[pool]

    def _next(self, pool: Group, now: float) -> NodeId | None:
        """Those whose own slots they are come first, then the higher groups from the top."""
        higher = (group for group in FROM_THE_TOP if SERVED.index(group) > SERVED.index(pool))
        for group in (pool, *higher):
            if (person := next(self._in_order(group, now), None)) is not None:
                return person
        return None

    def _in_order(self, group: Group, now: float) -> Iterator[NodeId]:
        """Those of a group who could begin a turn, the first first."""

        def order(person: NodeId) -> tuple[bool, float]:
            place = self._line[person]
            weight = min(WEIGHT_MAX, max(1.0, self._weight(person)))
            return not place.first, (place.since - now) * weight

        able = [person for person, place in self._line.items() if place.group is group]
        return iter(sorted((person for person in able if _could_begin(self._line[person], now)), key=order))

    def _cut_short(self, person: NodeId, now: float) -> None:
        """Back to the head of the line. What follows goes on with the turn, it does not begin another."""
        place = self._holders.pop(person)
        self._measure(place, now)
        place.first, place.used_s = True, now - place.began_at
        self._line = {person: place} | self._line

    def _end_turn(self, person: NodeId, now: float) -> bool:
        place = self._holders.pop(person, None)
        if place is not None:
            self._served.add(person)
            self._measure(place, now)
            self._moved = True
        return place is not None

    # --- what follows --------------------------------------------------------------------------------

    def holds(self, person: NodeId) -> bool:
        return person in self._holders

    def knows(self, person: NodeId) -> bool:
        """Whether they hold a slot or stand in line."""
        return person in self._holders or person in self._line

    def since(self, person: NodeId) -> float | None:
        """When they joined the line, if they stand in it."""
        return place.since if (place := self._line.get(person)) is not None else None

    def place(self, person: NodeId, now: float) -> Place:
        """Raises KeyError for who is not here, or lost the connection."""
        return self._places(now)[person]

    def newcomer_wait_s(self, now: float) -> int:
        """How long somebody new, one of everyone, would wait; 0 if a slot is free."""
        group = Group.EVERYONE
        waiting = sum(place.group is group for place in self._line.values())
        if not waiting and self._free(group):
            return 0
        return max(1, self._wait_s(group, waiting + 1, self._ends(group, now)))

    def changes(self, now: float) -> dict[NodeId, Place]:
        """The places whose position changed since the last call, of those who are connected."""
        if not self._moved:
            return {}
        self._moved = False
        places = self._places(now)
        changed = {person: at for person, at in places.items() if self._told.get(person) != at.position}
        self._told = {person: at.position for person, at in places.items()}
        return changed

    def take_served(self) -> set[NodeId]:
        """Whose waiting was rewarded since the last call: they were sent something, or had their chance."""
        served, self._served = self._served, set()
        return served

    def next_timer(self) -> float:
        """When to call `pass_time` even if nothing happens; infinity for never."""
        ends = (self._turn_end(place) for place in self._holders.values() if self._must_end(place))
        return min(self._line_timer, *ends, math.inf)

    def _places(self, now: float) -> dict[NodeId, Place]:
        places = dict.fromkeys(self._holders, Place(0, 0))
        for group in SERVED:
            ends = self._ends(group, now)
            position = 0
            for person in self._in_order(group, now):
                position += 1
                places[person] = Place(position, self._wait_s(group, position, ends))
            for person, place in self._line.items():
                if place.group is group and place.gone_at is None and person not in places:
                    position += 1
                    wait_s = max(self._wait_s(group, position, ends), math.ceil(place.rests_until - now))
                    places[person] = Place(position, wait_s)
        return places

    def _ends(self, pool: Group, now: float) -> list[float]:
        """In how many seconds each turn in the slots of a group should be over."""
        return sorted(
            max(0.0, place.began_at + self._turn_s - now)
            for place in self._holders.values()
            if place.pool is pool
        )

    def _wait_s(self, group: Group, position: int, ends: list[float]) -> int:
        """How long it should take from this position to a slot, by the turns so far, in whole seconds."""
        rounds, which = divmod(position - 1, self._counts[group])
        first = ends[which] if which < len(ends) else 0.0
        return math.ceil(first + rounds * self._turn_s)

    def _must_end(self, place: _Person) -> bool:
        """Whether somebody waits for whom this turn should make room."""
        return place.group in self._wanted or place.pool in self._wanted

    def _is_over(self, place: _Person, now: float) -> bool:
        return self._must_end(place) and now >= self._turn_end(place)

    def _first_over(self, now: float) -> NodeId | None:
        over = [person for person, place in self._holders.items() if self._is_over(place, now)]
        return min(over, key=lambda person: self._holders[person].began_at, default=None)

    def _turn_end(self, place: _Person) -> float:
        borrowed = place.pool is not place.group
        enough = borrowed or place.sent_bytes >= TURN_BYTES
        end = place.began_at + (TURN_S if enough else TURN_MAX_S)
        return end if place.idle_since is None else min(end, place.idle_since + IDLE_S)

    def _measure(self, place: _Person, now: float) -> None:
        # Nobody ends a turn while nobody waits: such a long one says nothing.
        self._turn_s += (min(now - place.began_at, TURN_MAX_S) - self._turn_s) * MEMORY


def _could_begin(place: _Person, now: float) -> bool:
    return place.gone_at is None and now >= place.rests_until


def _timer(place: _Person) -> float:
    return place.rests_until if place.gone_at is None else place.gone_at + GRACE_S
