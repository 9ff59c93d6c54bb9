"""Pieces that a player waits for."""

from __future__ import annotations

from client.engine.downloads.plan import Plan
from client.engine.downloads.source import Ask
from client.engine.downloads.urgent import AGAIN_MIN, AGAIN_PART
from p2pshare.identity import NodeId
from p2pshare.limits import KIB
from p2pshare.ranges import RangeSet
from tests.unit.client.engine.downloads.test_plan import SimDownload, SimSource

PIECE_SIZE = 64 * KIB
PIECES = 400
ALICE, BOB, CAROL, DAVE = (NodeId(bytes([n]) * 32) for n in (1, 2, 3, 4))


class Played(SimDownload):
    """A download whose player takes `rate` pieces a second, in order, from `start_s` on."""

    def __init__(self, sources: dict[NodeId, SimSource], first: int = 0, ahead: int = 60) -> None:
        super().__init__(Plan(PIECES, PIECE_SIZE, RangeSet(), seed=1), sources)
        self.came_at: dict[int, float] = {}
        self.position = first
        self._ahead = ahead
        self._want()

    def _want(self) -> None:
        self.plan.prefer(range(self.position, min(PIECES, self.position + self._ahead)))

    def _arrived(self, node: NodeId, piece: int) -> None:
        self.came_at.setdefault(piece, self.now)
        super()._arrived(node, piece)
        while self.position in self.came_at:
            self.position += 1
        self._want()

    def start_s(self, rate: float, first: int = 0) -> float:
        """How long a player must wait at the start, so as never to wait again."""
        return max(at - (piece - first) / rate for piece, at in self.came_at.items() if piece >= first)


def test_what_is_preferred_is_asked_for_first_and_in_order() -> None:
    plan = Plan(PIECES, PIECE_SIZE, RangeSet(), seed=1)
    plan.prefer([300, 301, 7, 302])
    plan.source_joined(ALICE, None)
    plan.source_ready(ALICE)
    asked: list[int] = []
    for now in range(4):
        for ask in plan.assign(float(now)):
            asked += range(ask.first, ask.end)
        plan.piece_arrived(ALICE, asked[now], now + 0.5)
    assert asked[:4] == [300, 301, 7, 302]


def test_neighbours_are_asked_for_in_one_request() -> None:
    plan = Plan(PIECES, PIECE_SIZE, RangeSet(), seed=1)
    plan.source_joined(ALICE, None)
    plan.source_ready(ALICE)
    plan.prefer(range(200, 208))
    (ask,) = plan.assign(0.0)
    assert (ask.first, ask.count) == (200, 8)


def test_a_slow_source_is_asked_for_what_is_needed_later() -> None:
    played = Played({ALICE: SimSource(10), BOB: SimSource(0.5)})
    played.run()
    theirs = [piece for ask in played.asks if ask.source == BOB for piece in range(ask.first, ask.end)]
    assert theirs, "it helps all the same"
    assert played.start_s(rate=10) <= 3.0


def test_a_player_a_little_slower_than_four_sources_together_waits_only_at_the_start() -> None:
    rates = {ALICE: 1.2, BOB: 1.0, CAROL: 0.8, DAVE: 1.0}
    played = Played({node: SimSource(rate) for node, rate in rates.items()})
    played.run()
    assert played.start_s(rate=3.6) <= 4.0
    assert played.now <= PIECES / 4.0 * 1.05, "the whole is not slower for it"
    assert played.sent - PIECES <= PIECES * 0.02


def test_after_a_seek_the_new_place_comes_first() -> None:
    played = Played({ALICE: SimSource(4), BOB: SimSource(4)})

    def seek() -> None:
        played.position = 300
        played._want()

    played.at(5.0, seek)
    played.run()
    assert played.came_at[300] - 5.0 <= 1.5
    assert played.start_s(rate=7, first=300) - 5.0 <= 1.5


def test_what_a_silent_source_owes_is_asked_for_elsewhere_before_long() -> None:
    played = Played({ALICE: SimSource(4), BOB: SimSource(4, stops_at=5.0)})
    played.run()
    assert played.start_s(rate=3.2) <= 6.0
    assert played.plan.duplicates == 0


def test_a_source_that_becomes_slow_costs_few_second_requests() -> None:
    class Slowing(SimSource):
        pass

    slow = Slowing(4)
    played = Played({ALICE: SimSource(4), BOB: slow})

    def slow_down() -> None:
        slow.rate = 0.2

    played.at(10.0, slow_down)
    played.run()
    again = sum(ask.count for ask in played.asks) - PIECES
    assert 0 < again <= max(AGAIN_MIN, PIECES * AGAIN_PART) + 8
    assert played.sent - PIECES <= PIECES * AGAIN_PART + 4


def test_a_source_that_holds_nothing_urgent_works_on_the_rest() -> None:
    plan = Plan(PIECES, PIECE_SIZE, RangeSet(), seed=1)
    plan.prefer(range(10))
    plan.source_joined(BOB, RangeSet([range(100, 200)]))
    plan.source_ready(BOB)
    asks = plan.assign(0.0)
    assert asks and all(100 <= ask.first < 200 for ask in asks)


def test_a_source_that_rests_is_asked_for_nothing_but_what_is_preferred() -> None:
    plan = Plan(PIECES, PIECE_SIZE, RangeSet(), seed=1)
    for source in (ALICE, BOB):
        plan.source_joined(source, None)
        plan.source_ready(source)
    assert plan.rest([ALICE]) and not plan.rest([ALICE])
    assert {ask.source for ask in plan.assign(0.0)} == {BOB}
    plan.prefer([17])
    assert [(ask.source, ask.first) for ask in plan.assign(0.0)] == [(ALICE, 17)]
    assert plan.rest(())
    assert {ask.source for ask in plan.assign(0.0)} == {ALICE}


def test_both_ends_are_had_from_a_source_that_lets_us_wait_one_piece_at_a_time() -> None:
    plan = Plan(PIECES, PIECE_SIZE, RangeSet(), seed=1)
    plan.source_joined(ALICE, None)
    plan.prefer([200, 0, PIECES - 1, 1])
    for first in (0, PIECES - 1, 1):
        assert plan.assign(0.0) == (Ask(ALICE, first, 1, preview=True),)
        assert plan.assign(0.0) == ()
        plan.piece_arrived(ALICE, first, 1.0)
    assert plan.assign(2.0) == (), "the middle is no preview"
    plan.source_ready(ALICE)
    assert plan.assign(3.0)[0] == Ask(ALICE, 200, 1)


def test_a_source_that_refuses_a_preview_is_not_asked_again() -> None:
    plan = Plan(PIECES, PIECE_SIZE, RangeSet(), seed=1)
    plan.source_joined(ALICE, None)
    plan.prefer([0])
    (ask,) = plan.assign(0.0)
    plan.ended(ALICE, ask.first)
    assert plan.assign(1.0) == ()


def test_what_nobody_wants_first_any_more_is_like_the_rest() -> None:
    played = Played({ALICE: SimSource(8), BOB: SimSource(0.1)})
    played.at(1.0, lambda: played.plan.prefer(()))
    played._ahead = 0
    played.run()
    assert played.plan.done
