"""Who comes in at once, and when the others come again."""

from __future__ import annotations

from p2pshare.limits import COME_AGAIN_S_MAX
from p2pshare.transport.admission import Admission


def test_as_many_come_in_at_once_as_in_a_second() -> None:
    admission = Admission(10, now=0)
    assert [admission.enter(0.0) for _ in range(10)] == [0] * 10
    assert admission.enter(0.0) == 1


def test_a_crowd_is_spread_over_the_seconds_that_it_takes() -> None:
    admission = Admission(10, now=0)
    told = [admission.enter(0.0) for _ in range(60)]
    assert [told.count(seconds) for seconds in range(6)] == [10, 10, 10, 10, 10, 10]


def test_whoever_comes_when_told_comes_in() -> None:
    admission = Admission(10, now=0)
    told = [admission.enter(0.0) for _ in range(100)]
    for seconds in range(1, 10):
        for _ in range(10):
            admission.leave()
        assert [admission.enter(float(seconds)) for _ in range(told.count(seconds))] == [0] * 10


def test_handshakes_that_do_not_end_take_the_places_of_others() -> None:
    admission = Admission(10, now=0)
    for _ in range(10):
        admission.enter(0.0)
    assert admission.enter(100.0) == 1  # nobody has finished
    admission.leave()
    assert admission.enter(100.0) == 0


def test_nobody_is_sent_away_for_longer_than_a_stranger_may_ask_for() -> None:
    admission = Admission(1, now=0)
    assert max(admission.enter(0.0) for _ in range(1_000)) == COME_AGAIN_S_MAX
