"""A limit that several uploads share."""

from __future__ import annotations

import pytest

from client.engine.rate import BURST_S, STEP_BYTES, STEP_BYTES_MIN, RateLimit
from p2pshare.limits import DATA_BYTES_MAX


def wait_s(limit: RateLimit, size: int, now: float) -> float:
    return limit.wait_s(limit.take(size, now), now)


def test_no_limit_never_waits() -> None:
    limit = RateLimit()
    assert [wait_s(limit, 10**9, 5.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert limit.step_bytes == DATA_BYTES_MAX


def test_who_takes_waits_for_what_was_taken_before() -> None:
    limit = RateLimit(100)
    assert wait_s(limit, 50, 10.0) == 0.0
    assert wait_s(limit, 50, 10.0) == 0.5 - BURST_S
    assert wait_s(limit, 100, 10.0) == 1.0 - BURST_S
    assert wait_s(limit, 1, 20.0) == 0.0, "a rest is no credit without end"
    assert wait_s(limit, 100, 20.0) < 0.1


def test_over_a_long_time_the_limit_is_kept() -> None:
    limit = RateLimit(1_000)
    now = moved = 0.0
    while now < 100.0:
        now += wait_s(limit, 77, now)
        moved += 77
    assert 0.99 <= moved / (now * 1_000) <= 1.01


def test_another_limit_holds_for_who_waits_already() -> None:
    limit = RateLimit(100)
    limit.take(1_000, 10.0)
    mark = limit.take(10, 10.0)
    assert limit.wait_s(mark, 10.0) == pytest.approx(10.0 - BURST_S)
    limit.set(1_000, 12.0)  # of the 1,000 bytes, 200 have moved, and 10 could before
    assert limit.wait_s(mark, 12.0) == pytest.approx(0.79)
    limit.set(50, 12.5)
    assert limit.wait_s(mark, 12.5) == pytest.approx(5.8)
    limit.set(0, 13.0)
    assert limit.wait_s(mark, 13.0) == 0.0


def test_what_moved_without_a_limit_is_not_held_against_anybody() -> None:
    limit = RateLimit()
    mark = limit.take(10**9, 1.0)
    limit.set(100, 2.0)
    assert limit.wait_s(mark, 2.0) == 0.0
    assert wait_s(limit, 10_000, 2.0) == 0.0
    limit.set(0, 3.0)  # whoever waits may move now
    limit.set(100, 3.0)
    assert wait_s(limit, 1, 3.0) == 0.0


def test_a_wait_that_no_clock_can_pass_is_none() -> None:
    limit = RateLimit(10**9)
    assert limit.wait_s(limit.take(1, 1e9) + 0.5, 1e9) == 0.0


def test_a_slow_stream_moves_in_small_steps() -> None:
    assert RateLimit(1).step_bytes == STEP_BYTES_MIN
    assert RateLimit(60_000).step_bytes == 30_000
    assert RateLimit(400_000).step_bytes == STEP_BYTES
    assert RateLimit(800_000).step_bytes == 100_000
    assert RateLimit(10**9).step_bytes == DATA_BYTES_MAX
