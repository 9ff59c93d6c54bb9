"""Whatever sources do, the plan asks only for what it should, and ends."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from client.engine.downloads.plan import SNUB_S, Plan
from client.engine.downloads.source import REFILL_PART, Ask
from p2pshare.identity import NodeId
from p2pshare.limits import KIB
from p2pshare.ranges import RangeSet

PIECES = 40
SOURCES = [NodeId(bytes([n]) * 32) for n in range(5)]
one_of_them = st.sampled_from(SOURCES)
some_pieces = st.sets(st.integers(0, PIECES - 1))


class PlanMachine(RuleBasedStateMachine):
    """Sources join, leave, get slots, deliver, lie, refuse and fall silent in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.plan = Plan(PIECES, 64 * KIB, RangeSet(), seed=1)
        self.done: set[int] = set()
        self.held: dict[NodeId, set[int]] = {}
        self.complete: set[NodeId] = set()
        self.ready: set[NodeId] = set()
        self.liars: set[NodeId] = set()
        self.open: dict[tuple[NodeId, int], list[int]] = {}  # (source, first piece) -> pieces not sent yet

    @rule(source=one_of_them, pieces=st.none() | some_pieces)
    def join(self, source: NodeId, pieces: set[int] | None) -> None:
        self.plan.source_joined(source, None if pieces is None else ranges(pieces))
        if source not in self.held and source not in self.liars:
            self.held[source] = set(range(PIECES)) if pieces is None else pieces
            if pieces is None:
                self.complete.add(source)

    @rule(source=one_of_them)
    def leave(self, source: NodeId) -> None:
        self.plan.source_left(source)
        self.forget(source)

    @rule(source=one_of_them)
    def get_slot(self, source: NodeId) -> None:
        self.plan.source_ready(source)
        if source in self.held:
            self.ready.add(source)

    @rule(source=one_of_them)
    def lose_slot(self, source: NodeId) -> None:
        self.plan.source_waits(source)
        self.ready.discard(source)

    @rule(source=one_of_them, pieces=some_pieces)
    def have_more(self, source: NodeId, pieces: set[int]) -> None:
        self.plan.source_has(source, pieces)
        if source in self.held:
            self.held[source] = self.held[source] | pieces

    @rule(seconds=st.floats(0, 2 * SNUB_S))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def assign(self) -> None:
        before = {source: self.plan.waiting(source) for source in self.held}
        asks = self.plan.assign(self.now)
        for ask in asks:
            self.check_and_note(ask)
        for source in self.held:
            if self.plan.waiting(source) > before[source]:
                assert self.plan.waiting(source) <= self.plan.window(source), "over the window"
        asked = {piece for pieces in self.open.values() for piece in pieces}
        for source in self.ready:
            window, waiting = self.plan.window(source), self.plan.waiting(source)
            full = (window - waiting) * REFILL_PART < window
            assert full or not (self.held[source] - self.done - asked), (
                "a free piece of a ready source with room"
            )

    def check_and_note(self, ask: Ask) -> None:
        pieces = list(range(ask.first, ask.end))
        assert ask.source in self.ready, "asked somebody without a slot"
        assert set(pieces) <= self.held[ask.source], "asked for what it lacks"
        assert not set(pieces) & self.done, "asked for what is here"
        open_there = {
            piece for (source, _), open_ in self.open.items() if source == ask.source for piece in open_
        }
        assert not set(pieces) & open_there, "asked the same twice"
        assert (ask.source, ask.first) not in self.open
        self.open[ask.source, ask.first] = pieces

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        source, first = data.draw(st.sampled_from(sorted(self.open)))
        piece = self.open[source, first].pop(0)
        if not self.open[source, first]:
            del self.open[source, first]
        duplicates = self.plan.duplicates
        cancels = self.plan.piece_arrived(source, piece, self.now)
        assert (self.plan.duplicates > duplicates) == (piece in self.done)
        self.done.add(piece)
        for cancel in cancels:
            unsent = self.open.pop((cancel.source, cancel.first))
            assert set(unsent) <= self.done, "cancelled what is still needed"

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def lie(self, data: st.DataObject) -> None:
        source, first = data.draw(st.sampled_from(sorted(self.open)))
        self.plan.piece_bad(source, self.open[source, first][0])
        self.forget(source)
        self.liars.add(source)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), lacks=st.booleans())
    def refuse(self, data: st.DataObject, lacks: bool) -> None:
        source, first = data.draw(st.sampled_from(sorted(self.open)))
        unsent = self.open.pop((source, first))
        self.plan.ended(source, first, lacks=lacks)
        if lacks:
            self.held[source] = self.held[source] - {piece for piece in unsent if piece not in self.done}

    @invariant()
    def agree(self) -> None:
        assert RangeSet.from_bitmap(self.plan.bitmap(), PIECES) == ranges(self.done)
        assert self.plan.missing == PIECES - len(self.done)
        assert self.plan.done == (len(self.done) == PIECES)

    def teardown(self) -> None:
        """An honest, complete source joins and answers: it ends."""
        last = NodeId(b"\xff" * 32)
        self.plan.source_joined(last, None)
        self.plan.source_ready(last)
        for _ in range(50 * PIECES):
            if self.plan.done:
                return
            asks = [ask for ask in self.plan.assign(self.now) if ask.source == last]
            for ask in asks:
                for piece in range(ask.first, ask.end):
                    self.plan.piece_arrived(last, piece, self.now)
            if not asks:
                self.now = max(self.plan.next_timer(self.now), self.now)
        raise AssertionError("it does not end")

    def forget(self, source: NodeId) -> None:
        self.held.pop(source, None)
        self.ready.discard(source)
        self.complete.discard(source)
        self.open = {key: pieces for key, pieces in self.open.items() if key[0] != source}


def ranges(pieces: set[int]) -> RangeSet:
    return RangeSet(range(piece, piece + 1) for piece in pieces)


TestPlan = PlanMachine.TestCase
TestPlan.settings = settings(stateful_step_count=50)


@given(some_pieces, st.integers(0, PIECES - 1), st.integers(1, PIECES))
def test_sets_of_pieces_behave_like_sets(pieces: set[int], start: int, most: int) -> None:
    from client.engine.downloads.pieces import Pieces

    space = Pieces(PIECES)
    bits = space.of(ranges(pieces))
    assert set(space.each(bits)) == pieces
    if pieces:
        behind = [piece for piece in pieces if piece >= start]
        assert space.first_from(bits, start) == min(behind or pieces)
    length = 0
    while length < most and start + length in pieces:
        length += 1
    assert space.run(bits, start, most) == length


@given(st.lists(some_pieces, max_size=6), st.data())
def test_the_rarest_pieces_are_those_that_the_fewest_hold(
    holders: list[set[int]], data: st.DataObject
) -> None:
    from client.engine.downloads.pieces import Pieces, Rarity

    space = Pieces(PIECES)
    rarity = Rarity(space)
    for pieces in holders:
        rarity.add(space.of(ranges(pieces)))
    if holders:
        gone = data.draw(st.sampled_from(holders))
        rarity.remove(space.of(ranges(gone)))
        holders.remove(gone)
    wanted = data.draw(some_pieces)
    counts = {piece: sum(piece in pieces for pieces in holders) for piece in wanted}
    rarest = {piece for piece in wanted if counts[piece] == min(counts.values())}
    assert set(space.each(rarity.rarest(space.of(ranges(wanted))))) == rarest
