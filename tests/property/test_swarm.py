"""Whatever people in a swarm do: turns are bounded, nobody starves, and the uplink never waits."""

from __future__ import annotations

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from client.engine.uploads.exchange import FREE_TURN, SLOW_S, TURNS, Exchange
from client.engine.uploads.showing import Showing
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.limits import FETCH_PIECES_MAX, KIB
from p2pshare.ranges import RangeSet

PIECES = 24
PIECE = 64 * KIB
FILES = [FileId(bytes([n]) * 32) for n in range(2)]
PEOPLE = [NodeId(bytes([n]) * 32) for n in range(8)]
one_of_them = st.sampled_from(PEOPLE)
a_file = st.sampled_from(FILES)
some_pieces = st.sets(st.integers(0, PIECES + 3), max_size=6)


class ExchangeMachine(RuleBasedStateMachine):
    """What they were told must be what they may do."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.exchange = Exchange()
        self.mine: dict[FileId, set[int]] = {file: set() for file in FILES}
        self.theirs: dict[tuple[NodeId, FileId], set[int]] = {}
        self.allowed: dict[tuple[NodeId, FileId], int] = {}
        self.owed: dict[tuple[NodeId, FileId], int] = {}

    def hear(self) -> None:
        for member, grants in self.exchange.take_news().items():
            assert member in self.theirs
            for pieces in grants:
                assert 0 <= pieces <= FETCH_PIECES_MAX
                self.allowed[member] = self.allowed[member] + pieces if pieces else 0

    @rule(person=one_of_them, file=a_file)
    def join(self, person: NodeId, file: FileId) -> None:
        bitmap = RangeSet(range(piece, piece + 1) for piece in self.mine[file]).to_bitmap(PIECES)
        self.exchange.join((person, file), PIECES, PIECE, bitmap, self.now)
        self.theirs.setdefault((person, file), set())
        self.allowed.setdefault((person, file), 0)
        self.owed.setdefault((person, file), 0)
        self.hear()

    @rule(person=one_of_them, file=a_file)
    def leave(self, person: NodeId, file: FileId) -> None:
        self.exchange.leave((person, file), self.now)
        for each in (self.theirs, self.allowed, self.owed):
            each.pop((person, file), None)  # type: ignore[attr-defined]
        self.hear()

    @rule(file=a_file, pieces=some_pieces)
    def gain(self, file: FileId, pieces: set[int]) -> None:
        pieces = {piece for piece in pieces if piece < PIECES}
        self.mine[file] |= pieces
        self.exchange.gained(file, pieces, self.now)
        self.hear()

    @rule(person=one_of_them, file=a_file, pieces=some_pieces)
    def told(self, person: NodeId, file: FileId, pieces: set[int]) -> None:
        self.exchange.has((person, file), pieces)
        if (person, file) in self.theirs:
            self.theirs[person, file] |= pieces

    @rule(person=one_of_them, size=st.integers(1, 10 * PIECE))
    def gave(self, person: NodeId, size: int) -> None:
        self.exchange.gave(person, size)

    @rule(person=one_of_them, file=a_file, count=st.integers(1, 4))
    def ask(self, person: NodeId, file: FileId, count: int) -> None:
        member = (person, file)
        may = self.exchange.asks(member, 0, count, self.now)
        assert may == (count <= self.allowed.get(member, 0)), "they know what they may ask for"
        if may:
            self.allowed[member] -= count
            self.owed[member] += count * PIECE
            self.theirs[member] |= set(range(count))
        self.hear()

    @precondition(lambda self: any(self.owed.values()))
    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        member = data.draw(st.sampled_from(sorted(member for member, owed in self.owed.items() if owed)))
        size = data.draw(st.integers(1, self.owed[member]))
        self.owed[member] -= size
        self.exchange.sent(member, size, self.now)
        self.hear()

    @rule(seconds=st.floats(0, 2 * SLOW_S))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.exchange.pass_time(self.now)
        self.hear()

    @invariant()
    def turns_are_bounded(self) -> None:
        assert len(self.exchange._turns) <= TURNS
        assert self.exchange._turns.keys() | self.exchange._line.keys() == self.theirs.keys()
        for member, allowed in self.allowed.items():
            assert not allowed or self.exchange.has_turn(member)

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        """If somebody lacks something, somebody has a turn, or time will bring one."""
        lacking = [member for member, theirs in self.theirs.items() if self.mine[member[1]] - theirs]
        if lacking and not any(self.exchange.has_turn(member) for member in lacking):
            assert (self.exchange._turns and self.exchange.next_timer() < math.inf) or not self.exchange._line

    def teardown(self) -> None:
        """In the end everybody who lacks something gets a turn, whatever they gave, if others use theirs; one
        person does not."""
        waiting = {member for member, theirs in self.theirs.items() if self.mine[member[1]] - theirs}
        for _ in range(4 * FREE_TURN * (len(waiting) + TURNS)):
            for member in [member for member in waiting if self.exchange.has_turn(member)]:
                waiting.remove(member)
                if member[0] != PEOPLE[0]:
                    self.exchange.has(member, self.mine[member[1]])
            self.now += SLOW_S
            self.exchange.answered(PEOPLE[0], self.now)
            self.exchange.pass_time(self.now)
        assert not waiting


TestExchange = ExchangeMachine.TestCase
TestExchange.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


class ShowingMachine(RuleBasedStateMachine):
    """What is shown grows, and whoever may fetch always finds something that they lack."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.showing = Showing(PIECES, PIECE, seed=1)
        self.shown: dict[NodeId, set[int]] = {}
        self.had: dict[NodeId, set[int]] = {}
        self.slots: set[NodeId] = set()

    def look(self) -> None:
        for person, pieces in self.showing.show(self.slots.__contains__).items():
            assert not set(pieces) & self.shown[person], "nothing is shown twice"
            assert len(self.showing) == 1 or person in self.slots
            self.shown[person] |= set(pieces)

    @rule(person=one_of_them)
    def join(self, person: NodeId) -> None:
        bitmap = self.showing.join(person)
        if bitmap is None:
            shown = set(range(PIECES))
        else:
            shown = {piece for pieces in RangeSet.from_bitmap(bitmap, PIECES) for piece in pieces}
        assert person not in self.shown or shown == self.shown[person]
        self.shown[person] = shown
        self.had.setdefault(person, set())

    @rule(person=one_of_them)
    def leave(self, person: NodeId) -> None:
        self.showing.leave(person)
        self.shown.pop(person, None)
        self.had.pop(person, None)

    @rule(person=one_of_them, holds=st.booleans())
    def slot(self, person: NodeId, holds: bool) -> None:
        (self.slots.add if holds else self.slots.discard)(person)

    @rule(person=one_of_them, pieces=some_pieces)
    def told(self, person: NodeId, pieces: set[int]) -> None:
        self.showing.has(person, pieces)
        if person in self.had:
            self.had[person] |= {piece for piece in pieces if piece < PIECES}

    @rule(person=one_of_them, piece=st.integers(0, PIECES - 1), seconds=st.floats(0, 5))
    def give(self, person: NodeId, piece: int, seconds: float) -> None:
        self.now += seconds
        self.showing.gave(person, piece, self.now)
        if person in self.had:
            self.had[person].add(piece)

    @invariant()
    def the_uplink_never_waits(self) -> None:
        self.look()
        able = [person for person in self.shown if person in self.slots]
        if any(set(range(PIECES)) - self.had[person] - self.shown[person] for person in able):
            assert any(self.shown[person] - self.had[person] for person in able)


TestShowing = ShowingMachine.TestCase
TestShowing.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
