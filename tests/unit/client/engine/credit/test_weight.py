from __future__ import annotations

import pytest

from client.engine.credit.weight import (
    STRANGER,
    UNSIGNED_MAX,
    UNSIGNED_PART,
    WEIGHT_MAX,
    Flow,
    refuses_to_sign,
    weight,
)
from p2pshare.limits import GIB, MIB

NOTHING = Flow()


def signed(size: int) -> Flow:
    return Flow(size, size)


def test_a_stranger_waits_as_a_stranger() -> None:
    assert weight(given=NOTHING, taken=NOTHING) == STRANGER == 1.0


def test_who_only_takes_never_has_less_than_a_stranger() -> None:
    assert weight(given=signed(1_000 * GIB), taken=NOTHING) == STRANGER


@pytest.mark.parametrize(("mib", "expected"), [(3, 2.0), (8, 3.0), (15, 4.0), (1_000_000, 4.0)])
def test_giving_raises_it_with_the_root_and_only_so_far(mib: int, expected: float) -> None:
    assert weight(given=NOTHING, taken=signed(mib * MIB)) == expected


def test_taking_uses_it_up_at_twice_the_rate_of_giving() -> None:
    taken = signed(100 * MIB)
    assert weight(given=signed(50 * MIB), taken=taken) == WEIGHT_MAX
    assert weight(given=signed(100 * MIB), taken=taken) == 2.0
    assert weight(given=signed(200 * MIB), taken=taken) == STRANGER


def test_only_what_both_signed_raises_it() -> None:
    assert weight(given=NOTHING, taken=Flow(counted=100 * MIB, signed=0)) == STRANGER


def test_what_they_took_counts_against_them_whether_they_signed_or_not() -> None:
    taken = signed(32 * MIB)
    assert weight(given=Flow(32 * MIB, 0), taken=taken) == weight(given=signed(32 * MIB), taken=taken) == 2.0
    assert weight(given=Flow(0, 32 * MIB), taken=taken) == 2.0, "nor does a count that was lost help them"


def test_who_takes_and_does_not_sign_waits_as_a_stranger_whatever_they_gave() -> None:
    taken = signed(10 * GIB)
    assert weight(given=Flow(UNSIGNED_MAX + 1, 0), taken=taken) == STRANGER
    assert weight(given=Flow(UNSIGNED_MAX, 0), taken=taken) == WEIGHT_MAX, "some may be on its way"


def test_a_crash_that_lost_some_signatures_is_forgiven_as_more_is_signed() -> None:
    lost = GIB
    assert refuses_to_sign(Flow(2 * lost, lost))
    assert not refuses_to_sign(Flow(UNSIGNED_PART * lost, (UNSIGNED_PART - 1) * lost))
