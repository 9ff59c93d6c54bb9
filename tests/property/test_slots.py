"""Whatever people do, the queue is fair."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from client.engine.uploads.slots import TURN_BYTES, TURN_MAX_S, Slots
from p2pshare.identity import NodeId

PEOPLE = [NodeId(bytes([n]) * 32) for n in range(7)]
people = st.sampled_from(PEOPLE)
some_time = st.one_of(st.floats(0, 20), st.floats(0, 2 * TURN_MAX_S))


class SlotsMachine(RuleBasedStateMachine):
    """People join, leave, break off, fetch and rest in any order."""

    @initialize(count=st.integers(1, 4))
    def start(self, count: int) -> None:
        self.now = 0.0
        self.count = count
        self.slots = Slots(count)
        self.connected: set[NodeId] = set()
        self.line: list[NodeId] = []

    @rule(person=people)
    def join(self, person: NodeId) -> None:
        self.slots.join(person, self.now)
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
        self.slots.busy(person, self.now)
        self.slots.sent(person, size, self.now)

    @rule(person=people)
    def rest(self, person: NodeId) -> None:
        self.slots.idle(person, self.now)

    @rule(seconds=some_time)
    def wait(self, seconds: float) -> None:
        """Time passes as a program lives it: from timer to timer."""
        until = self.now + seconds
        while (timer := self.slots.next_timer()) <= until:
            self.now = max(self.now, timer)
            self.slots.pass_time(self.now)
            assert self.slots.next_timer() > self.now, "a timer that passed comes back"
        self.now = until

    @invariant()
    def the_queue_is_in_order(self) -> None:
        if not hasattr(self, "slots"):
            return
        holders = {person for person in self.connected if self.slots.holds(person)}
        waiting = [person for person in self.connected if not self.slots.holds(person)]
        assert len(holders) <= self.count, "more turns than slots"
        assert not waiting or len(holders) == self.count, "a slot is free and somebody waits"
        assert not any(self.slots.holds(person) for person in PEOPLE if person not in self.connected)
        line = sorted(waiting, key=self.slots.position)
        assert [self.slots.position(person) for person in line] == list(range(1, len(line) + 1))
        for person in line:
            assert self.slots.wait_s(self.slots.position(person), self.now) >= 0
        self.slots.changes()

    def teardown(self) -> None:
        """From any state on, everybody who waits gets a slot, in order, whatever the holders do."""
        if not hasattr(self, "slots"):
            return
        waiting = sorted(
            (person for person in self.connected if not self.slots.holds(person)), key=self.slots.position
        )
        served: list[NodeId] = []
        deadline = self.now + TURN_MAX_S * (len(waiting) + 1)
        while len(served) < len(waiting):
            for person in PEOPLE:
                self.slots.busy(person, self.now)  # they would keep their slots for ever
            self.now = max(self.now, self.slots.next_timer())
            assert self.now <= deadline, "somebody starves"
            self.slots.pass_time(self.now)
            served += [person for person in waiting if self.slots.holds(person) and person not in served]
        assert served == waiting, "somebody was overtaken"


TestSlots = SlotsMachine.TestCase
TestSlots.settings = settings(stateful_step_count=40)
