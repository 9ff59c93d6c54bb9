"""An honest client never goes beyond what it was told."""

from __future__ import annotations

import pytest

from client.engine.network.pace import PATIENCE_S, Pace
from p2pshare.errors import Reason, Refused
from p2pshare.wire.fields import Budget

KIND = 52


def paced(per_minute: int, left: int) -> Pace:
    pace = Pace()
    pace.told([Budget(kind=KIND, per_minute=per_minute, left=left)], 0)
    return pace


def test_what_is_left_goes_at_once_and_the_rest_in_order() -> None:
    pace = paced(60, 2)
    waits = [pace.wait_s(KIND, 0) for _ in range(4)]
    assert waits[:2] == [0, 0] and 1 < waits[2] < waits[3] < 2.1


def test_kinds_that_have_no_budget_never_wait() -> None:
    assert [paced(60, 0).wait_s(kind, 0) for kind in (KIND + 2, 4)] == [0, 0]


def test_who_would_wait_for_long_is_told_so_and_holds_up_nobody() -> None:
    pace = paced(2, 0)
    first = pace.wait_s(KIND, 0)
    with pytest.raises(Refused) as refused:
        pace.wait_s(KIND, 0)
    assert refused.value.reason is Reason.TOO_MUCH and refused.value.retry_after_s > PATIENCE_S
    assert pace.wait_s(KIND, first) == pytest.approx(first)


def test_after_a_refusal_nothing_is_left() -> None:
    pace = paced(60, 60)
    pace.refused(KIND, 0)
    assert pace.wait_s(KIND, 0) > 1
    Pace().refused(KIND, 0)
