"""The plan against simulated sources: exact times, no clock."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest

from client.engine.downloads.plan import SNUB_S, Plan
from client.engine.downloads.source import Ask, Cancel
from p2pshare.identity import NodeId
from p2pshare.limits import KIB, PIECES_MAX
from p2pshare.ranges import RangeSet

PIECE_SIZE = 64 * KIB
ALICE, BOB, CAROL = (NodeId(bytes([n]) * 32) for n in (1, 2, 3))


@dataclass
class SimSource:
    """Sends pieces one after the other at a steady rate, each `delay_s` away, as long as it lives."""

    rate: float  # pieces per second
    delay_s: float = 0.02
    stops_at: float = math.inf
    todo: deque[tuple[int, int]] = field(default_factory=deque)  # (first piece of its request, piece)
    busy: bool = False


class SimDownload:
    """Runs a plan against sources by jumping from event to event."""

    def __init__(self, plan: Plan, sources: dict[NodeId, SimSource]) -> None:
        self.plan = plan
        self.sources = sources
        self.now = 0.0
        self.sent = 0.0  # pieces that left a source, in parts too: what a cancelled one had sent of its piece
        self.asks: list[Ask] = []
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, time: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (time, next(self._order), event))

    def run(self) -> float:
        """The time of the last piece."""
        for node in self.sources:
            self.plan.source_joined(node, None)
            self.plan.source_ready(node)
        self._assign()
        while not self.plan.done:
            timer = self.plan.next_timer(self.now)
            if self._events and self._events[0][0] <= timer:
                self.now, _, event = heapq.heappop(self._events)
                event()
            else:
                assert timer < math.inf, "nothing will ever happen again"
                self.now = max(timer, self.now)
            self._assign()
        return self.now

    def _assign(self) -> None:
        for ask in self.plan.assign(self.now):
            self.asks.append(ask)
            self.at(self.now + self.sources[ask.source].delay_s, partial(self._hear, ask))

    def _hear(self, ask: Ask) -> None:
        at = self.sources[ask.source]
        at.todo.extend((ask.first, piece) for piece in range(ask.first, ask.end))
        self._begin(ask.source)

    def _begin(self, node: NodeId) -> None:
        at = self.sources[node]
        if at.busy or not at.todo or self.now >= at.stops_at:
            return
        at.busy = True
        _, piece = at.todo.popleft()
        self.at(self.now + 1 / at.rate, lambda: self._sent(node, piece))

    def _sent(self, node: NodeId, piece: int) -> None:
        at = self.sources[node]
        at.busy = False
        self.sent += 1
        self._begin(node)
        self.at(self.now + at.delay_s, lambda: self._arrived(node, piece))

    def _arrived(self, node: NodeId, piece: int) -> None:
        for cancel in self.plan.piece_arrived(node, piece, self.now):
            self.at(self.now + self.sources[cancel.source].delay_s, partial(self._drop, cancel))

    def _drop(self, cancel: Cancel) -> None:
        at = self.sources[cancel.source]
        at.todo = deque(each for each in at.todo if each[0] != cancel.first)


@pytest.mark.parametrize("seed", range(20))
def test_three_unequal_sources_finish_together(seed: int) -> None:
    plan = Plan(200, PIECE_SIZE, RangeSet(), seed)
    sim = SimDownload(plan, {ALICE: SimSource(8), BOB: SimSource(4), CAROL: SimSource(1)})
    assert sim.run() <= 200 / 13 * 1.05
    assert sim.sent - 200 <= 2, "at most 1 % arrives twice"


def test_a_source_that_dies_holds_nothing_up() -> None:
    plan = Plan(200, PIECE_SIZE, RangeSet(), seed=1)
    sim = SimDownload(plan, {ALICE: SimSource(8), BOB: SimSource(8, stops_at=3.0)})
    sim.run()
    left_at_3 = 200 - 2 * 8 * 3
    assert sim.now <= (3 + left_at_3 / 8) * 1.05
    assert plan.duplicates == 0


def test_a_long_fat_path_is_filled() -> None:
    plan = Plan(4_000, PIECE_SIZE, RangeSet(), seed=1)
    sim = SimDownload(plan, {ALICE: SimSource(1_000, delay_s=0.05)})
    slow_start_s = 0.1 * math.log2(100)  # a window of 100 pieces, reached by doubling
    assert sim.run() <= 4.0 * 1.02 + slow_start_s
    assert len(sim.asks) < 400, "many pieces in one request"


def ready_plan(pieces: int, *sources: NodeId) -> Plan:
    plan = Plan(pieces, PIECE_SIZE, RangeSet(), seed=7)
    for source in sources:
        plan.source_joined(source, None)
        plan.source_ready(source)
    return plan


def asked_pieces(asks: tuple[Ask, ...], source: NodeId) -> set[int]:
    return {piece for ask in asks if ask.source == source for piece in range(ask.first, ask.end)}


def test_the_rarest_piece_is_asked_for_first() -> None:
    plan = Plan(64, PIECE_SIZE, RangeSet(), seed=3)
    plan.source_joined(ALICE, None)
    plan.source_joined(BOB, RangeSet([range(0, 10), range(11, 64)]))
    plan.source_ready(ALICE)
    assert plan.assign(0.0)[0] == Ask(ALICE, 10, 1)


def test_a_have_makes_a_piece_less_rare_and_makes_its_source_askable() -> None:
    plan = Plan(2, 1024 * KIB, RangeSet(), seed=3)
    plan.source_joined(ALICE, RangeSet([range(0, 1)]))
    plan.source_has(ALICE, [1, 2, 65_535])
    plan.source_ready(ALICE)
    assert asked_pieces(plan.assign(0.0), ALICE) == {0, 1}


def test_nobody_is_asked_without_a_slot_there() -> None:
    plan = Plan(10, PIECE_SIZE, RangeSet(), seed=3)
    plan.source_joined(ALICE, None)
    assert plan.assign(0.0) == ()
    plan.source_ready(ALICE)
    assert plan.assign(0.0)
    plan.source_waits(ALICE)
    plan.source_joined(BOB, None)
    assert plan.assign(1.0) == ()


def test_what_was_asked_of_a_source_that_leaves_is_asked_of_another() -> None:
    plan = ready_plan(4, ALICE)
    assert asked_pieces(plan.assign(0.0), ALICE) == {0, 1, 2, 3}
    plan.source_left(ALICE)
    plan.source_joined(BOB, None)
    plan.source_ready(BOB)
    assert asked_pieces(plan.assign(1.0), BOB) == {0, 1, 2, 3}


def test_a_liar_is_dropped_and_never_asked_again() -> None:
    plan = ready_plan(4, ALICE)
    plan.assign(0.0)
    plan.piece_bad(ALICE, 2)
    assert plan.lied(ALICE)
    plan.source_joined(ALICE, None)
    plan.source_ready(ALICE)
    assert plan.assign(1.0) == ()
    plan.source_joined(BOB, None)
    plan.source_ready(BOB)
    assert asked_pieces(plan.assign(1.0), BOB) == {0, 1, 2, 3}


def test_a_refused_run_is_asked_elsewhere_and_not_again_of_who_lacks_it() -> None:
    plan = ready_plan(2, ALICE)
    for ask in plan.assign(0.0):
        plan.ended(ALICE, ask.first, lacks=True)
    assert plan.assign(0.0) == ()
    plan.source_has(ALICE, [1])
    assert plan.assign(0.0) == (Ask(ALICE, 1, 1),)


def test_a_silent_source_is_demoted_and_its_pieces_are_free_for_others() -> None:
    plan = ready_plan(100, ALICE, BOB)
    asks = plan.assign(0.0)
    for piece in asked_pieces(asks, BOB):
        plan.piece_arrived(BOB, piece, 1.0)
    plan.heard(BOB, SNUB_S - 1)
    plan.source_left(BOB)
    assert plan.next_timer(1.0) <= SNUB_S
    silent = asked_pieces(asks, ALICE)
    assert plan.assign(SNUB_S) == ()
    assert plan.window(ALICE) == 1
    plan.source_joined(CAROL, None)
    plan.source_ready(CAROL)
    again: set[int] = set()
    now = SNUB_S
    while not silent <= again:
        now += 1
        for piece in (asked := asked_pieces(plan.assign(now), CAROL)):
            plan.piece_arrived(CAROL, piece, now)
        assert asked
        again |= asked


def test_a_source_that_wakes_up_keeps_what_nobody_else_was_asked_for() -> None:
    plan = ready_plan(4, ALICE)
    plan.assign(0.0)
    plan.assign(SNUB_S)
    plan.heard(ALICE, SNUB_S + 1)
    plan.source_joined(BOB, None)
    plan.source_ready(BOB)
    assert plan.assign(SNUB_S + 1) == ()


def test_the_loser_of_a_race_is_cancelled() -> None:
    plan = ready_plan(1, ALICE, BOB)
    first = plan.assign(0.0)
    assert len(first) == 1, "no second request before the first one is late"
    second = plan.assign(3.0)
    assert len(second) == 1 and second[0].source != first[0].source
    assert plan.piece_arrived(second[0].source, 0, 3.5) == (Cancel(first[0].source, 0),)
    assert plan.done
    assert plan.piece_arrived(first[0].source, 0, 4.0) == ()
    assert plan.duplicates == 1


def test_nothing_is_asked_for_twice_while_something_is_free_elsewhere() -> None:
    plan = ready_plan(100, ALICE)
    asked = asked_pieces(plan.assign(0.0), ALICE)
    assert len(asked) < 100
    plan.source_joined(BOB, RangeSet(range(piece, piece + 1) for piece in asked))
    plan.source_ready(BOB)
    assert plan.assign(30.0) == (), "Bob holds nothing that is free, and Alice is late but has no room"
    for piece in range(100):
        if piece not in asked:
            plan.piece_arrived(CAROL, piece, 30.0)
    assert plan.assign(30.0) != ()


def test_a_run_ends_without_a_cancel_when_it_was_answered_in_full() -> None:
    plan = ready_plan(64, ALICE)
    asks = plan.assign(0.0)
    assert asks[0].count > 1
    for piece in range(asks[0].first, asks[0].end):
        assert plan.piece_arrived(ALICE, piece, 1.0) == ()


def test_the_bitmap_tells_what_is_done() -> None:
    plan = Plan(12, PIECE_SIZE, RangeSet([range(0, 3)]), seed=0)
    plan.source_joined(ALICE, None)
    plan.piece_arrived(ALICE, 11, 1.0)
    assert plan.bitmap() == bytes([0b11100000, 0b00010000])
    assert plan.missing == 8
    assert not plan.needs(11) and plan.needs(10)


def test_an_empty_file_is_done_at_once() -> None:
    plan = Plan(0, PIECE_SIZE, RangeSet(), seed=0)
    plan.source_joined(ALICE, None)
    plan.source_ready(ALICE)
    assert plan.done and plan.assign(0.0) == () and plan.next_timer(0.0) == math.inf


def test_everybody_begins_somewhere_else() -> None:
    """If all began with the same piece, a source would send it to each of them instead of others."""
    firsts = set()
    for seed in range(20):
        plan = Plan(200, PIECE_SIZE, RangeSet(), seed)
        plan.source_joined(ALICE, None)
        plan.source_ready(ALICE)
        firsts.add(plan.assign(0.0)[0].first)
    assert len(firsts) > 10


def test_where_a_source_gives_in_turns_no_more_is_asked_for_than_a_turn_allows() -> None:
    plan = Plan(100, PIECE_SIZE, RangeSet(), seed=1)
    plan.source_joined(ALICE, None)
    plan.source_allows(ALICE, 0)
    assert plan.assign(0.0) == ()
    plan.source_allows(ALICE, 3)
    asked = asked_pieces(plan.assign(0.0), ALICE)
    assert len(asked) == 3
    plan.source_allows(ALICE, 1)
    plan.source_allows(ALICE, 0)
    assert plan.assign(0.0) == (), "what was not used was taken back"
    for piece in asked:
        plan.piece_arrived(ALICE, piece, 1.0)
    assert plan.assign(1.0) == ()
    plan.source_allows(ALICE, 1)
    assert len(asked_pieces(plan.assign(1.0), ALICE)) == 1
    plan.source_allows(BOB, 1)  # who is not here


def test_what_a_source_hides_is_asked_for_only_if_it_is_preferred() -> None:
    plan = Plan(8, PIECE_SIZE, RangeSet(), seed=1)
    plan.source_joined(ALICE, RangeSet([range(2, 3)]))
    plan.source_hides(ALICE)
    plan.source_ready(ALICE)
    assert asked_pieces(plan.assign(0.0), ALICE) == {2}
    plan.prefer([5])
    assert asked_pieces(plan.assign(0.0), ALICE) == {5}
    plan.source_has(ALICE, [6])
    assert asked_pieces(plan.assign(0.0), ALICE) == {6}
    plan.ended(ALICE, 5, lacks=True)
    assert plan.assign(0.0) == (), "they do not have it after all"


def test_a_snubbed_source_that_delivers_again_is_asked_as_before() -> None:
    """Demoted, not banned."""
    plan = ready_plan(100, ALICE)
    asked = asked_pieces(plan.assign(0.0), ALICE)
    plan.assign(SNUB_S)
    assert plan.window(ALICE) == 1
    for piece in sorted(asked):
        plan.piece_arrived(ALICE, piece, SNUB_S + 1)
    assert plan.window(ALICE) > 1
    assert asked_pieces(plan.assign(SNUB_S + 1), ALICE)


def test_the_pieces_that_are_done_are_told() -> None:
    plan = Plan(20, PIECE_SIZE, RangeSet([range(3, 5)]), seed=1)
    plan.source_joined(ALICE, None)
    plan.piece_arrived(ALICE, 9, 1.0)
    assert plan.done_pieces() == [3, 4, 9]


def test_the_longest_file_is_planned() -> None:
    plan = ready_plan(PIECES_MAX, ALICE, BOB)
    plan.source_joined(CAROL, RangeSet([range(0, PIECES_MAX, 1)]))
    plan.source_ready(CAROL)
    asks = plan.assign(0.0)
    assert {ask.source for ask in asks} == {ALICE, BOB, CAROL}
