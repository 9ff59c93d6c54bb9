from __future__ import annotations

from p2pshare.session.budget import TokenBucket


def test_a_burst_passes_and_one_more_does_not() -> None:
    bucket = TokenBucket(per_s=10, burst=3, now=100.0)
    assert [bucket.take(1, 100.0) for _ in range(4)] == [True, True, True, False]


def test_it_fills_at_its_rate_up_to_the_burst() -> None:
    bucket = TokenBucket(per_s=10, burst=3, now=100.0)
    bucket.take(3, 100.0)
    assert not bucket.take(1, 100.05)
    assert bucket.take(1, 100.125)
    assert bucket.take(3, 200.0)
    assert not bucket.take(1, 200.0)


def test_what_is_refused_costs_nothing() -> None:
    bucket = TokenBucket(per_s=1, burst=5, now=0.0)
    assert not bucket.take(6, 0.0)
    assert bucket.take(5, 0.0)


def test_a_clock_that_steps_back_neither_fills_nor_empties() -> None:
    bucket = TokenBucket(per_s=1, burst=5, now=100.0)
    assert bucket.take(4, 100.0)
    assert bucket.take(1, 50.0)
    assert not bucket.take(1, 60.0)
    assert not bucket.take(2, 101.0)
    assert bucket.take(1, 101.0)
