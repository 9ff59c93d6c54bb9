"""So many a minute, and no way around it."""

from __future__ import annotations

import pytest

from index_server import budgets as budgets_module
from index_server.budgets import Budgets
from p2pshare.errors import Reason, Refused


def take(budgets: Budgets, who: int, now: float, what: str = "searches") -> None:
    budgets.take(who, what, most=2, period_s=60, now=now)


def test_a_burst_is_fine_then_one_waits_and_is_told_how_long() -> None:
    budgets = Budgets()
    take(budgets, 1, 0)
    take(budgets, 1, 0)
    with pytest.raises(Refused, match="Too many searches") as caught:
        take(budgets, 1, 0)
    assert (caught.value.reason, caught.value.retry_after_s) == (Reason.TOO_MUCH, 30)
    take(budgets, 1, 30)


def test_people_and_things_are_counted_apart() -> None:
    budgets = Budgets()
    for who, what in ((1, "searches"), (2, "searches"), (1, "tickets")):
        take(budgets, who, 0, what)
        take(budgets, who, 0, what)


def test_what_is_left_can_be_told() -> None:
    budgets = Budgets()
    assert budgets.left(1, "searches", most=2, now=0) == 2
    take(budgets, 1, 0)
    assert [budgets.left(1, "searches", most=2, now=now) for now in (0, 29, 30, 900)] == [1, 1, 2, 2]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets_module, "BUCKETS_MAX", 3)
    budgets = Budgets()
    for who in (1, 2, 3, 1, 4):
        take(budgets, who, 0)
    with pytest.raises(Refused):
        take(budgets, 1, 0)  # asked again since
    for _ in range(2):
        take(budgets, 2, 0)  # asked longest ago, so forgotten and forgiven
