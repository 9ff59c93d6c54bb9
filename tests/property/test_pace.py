"""A client that waits as its server tells it is never refused for being too fast."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from client.engine.network.pace import Pace
from index_server.budgets import Budgets
from p2pshare.errors import Refused
from p2pshare.wire.fields import Budget

KIND = 52


@given(
    per_minute=st.integers(4, 600),
    before=st.integers(0, 700),
    gaps=st.lists(st.floats(0, 20), min_size=1, max_size=60),
)
def test_who_waits_as_told_is_never_refused(per_minute: int, before: int, gaps: list[float]) -> None:
    """Whatever was asked in an earlier run, and however the questions come."""
    budgets, now = Budgets(), 0.0

    def take(at: float) -> None:
        budgets.take(1, "searches", most=per_minute, period_s=60, now=at)

    for _ in range(min(before, per_minute)):
        take(now)
    pace = Pace()
    left = budgets.left(1, "searches", most=per_minute, now=now)
    pace.told([Budget(kind=KIND, per_minute=per_minute, left=left)], now)
    turns = []
    for gap in gaps:
        now += gap
        try:
            turns.append(now + pace.wait_s(KIND, now))
        except Refused:
            continue
    for at in turns:
        take(at)
