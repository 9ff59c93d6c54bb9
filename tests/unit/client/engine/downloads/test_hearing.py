"""What a source tells before it is known well enough is not lost."""

from __future__ import annotations

from types import SimpleNamespace

from client.engine.downloads.hearing import Hearing
from client.engine.downloads.plan import Plan
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.limits import KIB
from p2pshare.ranges import RangeSet

FILM = FileId(bytes(32))
BOB = NodeId(bytes(32))


def test_haves_and_turns_that_come_early_count_when_the_source_joins() -> None:
    link = SimpleNamespace(haves={}, turns={})
    arranged: list[None] = []
    hearing = Hearing(link, BOB, lambda: arranged.append(None))  # type: ignore[arg-type]
    hearing.listen(FILM)
    link.haves[FILM]((1, 2))
    link.turns[FILM](2)
    assert not hearing.joined and arranged == []
    plan = Plan(8, 64 * KIB, RangeSet(), seed=1)
    plan.source_joined(BOB, RangeSet())
    hearing.join(plan, in_turns=True)
    assert arranged
    [*asks] = plan.assign(0.0)
    assert {piece for ask in asks for piece in range(ask.first, ask.end)} == {1, 2}
    hearing.leave()
    assert link.haves == link.turns == {}


def test_who_gives_by_slots_cannot_hold_us_up_with_turns() -> None:
    link = SimpleNamespace(haves={}, turns={})
    hearing = Hearing(link, BOB, lambda: None)  # type: ignore[arg-type]
    hearing.listen(FILM)
    plan = Plan(8, 64 * KIB, RangeSet(), seed=1)
    plan.source_joined(BOB, None)
    plan.source_ready(BOB)
    hearing.join(plan, in_turns=False)
    link.turns[FILM](0)
    assert plan.assign(0.0)
