"""Whatever people do, the queue is fair."""

from __future__ import annotations

import itertools
import math

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from client.engine.groups import SERVED, Group
from client.engine.uploads.slots import TURN_BYTES, TURN_MAX_S, WEIGHT_MAX, Slots
from p2pshare.identity import NodeId

PEOPLE = [NodeId(bytes([n]) * 32) for n in range(7)]
people = st.sampled_from(PEOPLE)
groups = st.sampled_from(SERVED)
some_time = st.one_of(st.floats(0, 20), st.floats(0, 2 * TURN_MAX_S))
counts = st.fixed_dictionaries({group: st.integers(1, 3) for group in SERVED})


class SlotsMachine(RuleBasedStateMachine):
    """People join, leave, break off, fetch and rest in any order, and are put into groups."""

    @initialize(counts=counts, weights=st.lists(st.floats(0, 9), min_size=7, max_size=7))
    def start(self, counts: dict[Group, int], weights: list[float]) -> None:
        self.now = 0.0
        self.counts = counts
        self.weights = dict(zip(PEOPLE, weights, strict=True))
        self.slots = Slots(counts, lambda person: self.weights[person])
        self.groups = dict.fromkeys(PEOPLE, Group.EVERYONE)
        self.connected: set[NodeId] = set()
        self.rests: dict[NodeId, float] = {}

    @rule(person=people, waited=st.one_of(st.just(0.0), st.floats(0, 1e6)))
    def join(self, person: NodeId, waited: float) -> None:
        if not self.slots.knows(person):
            self.rests.pop(person, None)
        self.slots.join(person, self.groups[person], self.now, since=self.now - waited)
        self.connected.add(person)

    @rule(person=people)
    def leave(self, person: NodeId) -> None:
        self.slots.leave(person, self.now)
        self.connected.discard(person)

    @rule(person=people)
    def lose(self, person: NodeId) -> None:
        self.slots.lost(person, self.now)
        self.connected.discard(person)

    @rule(person=people, size=st.integers(0, 2 * TURN_BYTES))
    def send(self, person: NodeId, size: int) -> None:
        self.slots.busy(person)
        self.slots.sent(person, size, self.now)

    @rule(person=people)
    def idle(self, person: NodeId) -> None:
        self.slots.idle(person, self.now)

    @rule(person=people, group=groups)
    def regroup(self, person: NodeId, group: Group) -> None:
        self.groups[person] = group
        self.slots.regroup(person, group, self.now)

    @rule(person=people, seconds=st.one_of(st.just(-math.inf), st.floats(1, 1_000)))
    def use_up(self, person: NodeId, seconds: float) -> None:
        if self.slots.knows(person):
            self.rests[person] = self.now + seconds
            self.slots.rest(person, self.now + seconds, self.now)

    @rule(counts=counts)
    def resize(self, counts: dict[Group, int]) -> None:
        self.counts = counts
        self.slots.set_counts(counts, self.now)

    @rule(seconds=some_time)
    def wait(self, seconds: float) -> None:
        """Time passes as a program lives it: from timer to timer."""
        until = self.now + seconds
        while (timer := self.slots.next_timer()) <= until:
            self.now = max(self.now, timer)
            self.slots.pass_time(self.now)
            assert self.slots.next_timer() > self.now, "a timer that passed comes back"
        self.now = until

    def able(self, group: Group) -> list[NodeId]:
        """Who waits and could begin."""
        return [
            person
            for person in self.connected
            if self.groups[person] is group
            and not self.slots.holds(person)
            and self.rests.get(person, -math.inf) <= self.now
        ]

    @invariant()
    def the_queue_is_in_order(self) -> None:
        if not hasattr(self, "slots"):
            return
        holders = {person for person in self.connected if self.slots.holds(person)}
        assert len(holders) <= sum(self.counts.values()), "more turns than slots"
        for group in SERVED:
            own = sum(self.groups[person] is group for person in holders)
            usable = sum(self.counts[lower] for lower in SERVED[: SERVED.index(group) + 1])
            assert own <= usable, "a slot of a higher group is used"
            if self.able(group):
                in_pool = sum(self.slots._holders[person].pool is group for person in holders)
                assert in_pool == self.counts[group], "a slot of their own is free and somebody waits"
            line = [p for p in self.connected if self.groups[p] is group and p not in holders]
            positions = sorted(self.slots.place(person, self.now).position for person in line)
            assert positions == list(range(1, len(line) + 1))
        assert not any(self.slots.holds(person) for person in PEOPLE if person not in self.connected)
        for person in self.connected:
            place = self.slots.place(person, self.now)
            assert place.wait_s >= max(0.0, self.rests.get(person, 0.0) - self.now if place.position else 0.0)
        self.slots.changes(self.now)

    def teardown(self) -> None:
        """From any state on, everybody who waits gets a slot, whatever the holders do, and whatever the
        weights of the others are. Nobody joins any more, so nobody is overtaken for ever."""
        if not hasattr(self, "slots"):
            return
        self.wait(1_000.0)  # until nobody rests
        waiting = {person for person in self.connected if not self.slots.holds(person)}
        served: set[NodeId] = set()
        # Whoever was served waits from zero again: they overtake once they waited a quarter as long.
        deadline = self.now + TURN_MAX_S * len(PEOPLE) * (WEIGHT_MAX + 1)
        while served < waiting:
            for person in PEOPLE:
                self.slots.busy(person)  # they would keep their slots for ever
            self.now = max(self.now, self.slots.next_timer())
            assert self.now <= deadline, "somebody starves"
            self.slots.pass_time(self.now)
            served |= {person for person in waiting if self.slots.holds(person)}


TestSlots = SlotsMachine.TestCase
TestSlots.settings = settings(stateful_step_count=40)


@given(
    count=st.integers(1, 3),
    crowd=st.integers(1, 12),
    turns=st.lists(st.tuples(st.booleans(), st.integers(0, 2 * TURN_BYTES)), min_size=1, max_size=10),
)
def test_a_newcomer_does_not_starve_among_people_of_the_greatest_weight(
    count: int, crowd: int, turns: list[tuple[bool, int]]
) -> None:
    """However many of them come: among Q people, with K slots and turns of T seconds, they wait 8 Q T / K at
    most.

    Whoever is served before the newcomer after a wait of W came within the first 3/4 of W, or was there
    before. At most Q were there, and Q more than were served came in that time; so in the last quarter of W
    at most 2 Q turns began, but K W / 4 T did.
    """
    newcomer = NodeId(b"n" * 32)
    counts = {Group.EVERYONE: count, Group.CONTACTS: 1, Group.TRUSTED: 1}
    slots = Slots(counts, lambda person: 1.0 if person == newcomer else WEIGHT_MAX)
    now, names = 0.0, (NodeId(number.to_bytes(32, "big")) for number in itertools.count())
    for _ in range(crowd + count):
        slots.join(next(names), Group.EVERYONE, now)
    slots.join(newcomer, Group.EVERYONE, now)
    for goes, size in itertools.cycle(turns):
        held = [person for person in slots._holders if person != newcomer]
        for person in held:
            slots.busy(person)
            slots.sent(person, size, now)
        now = max(now, slots.next_timer())
        slots.pass_time(now)
        if slots.holds(newcomer):
            break
        assert now <= 8 * (crowd + count + 1) * TURN_MAX_S / count, "the newcomer starves"
        for person in held:
            if goes and not slots.holds(person):  # one goes, and another comes
                slots.leave(person, now)
                slots.join(next(names), Group.EVERYONE, now)
