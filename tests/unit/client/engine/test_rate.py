"""A limit that several uploads share."""

from __future__ import annotations

from client.engine.rate import BURST_S, STEP_BYTES_MIN, RateLimit
from p2pshare.limits import DATA_BYTES_MAX


def test_no_limit_never_waits() -> None:
    limit = RateLimit()
    assert [limit.take(10**9, 5.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert limit.step_bytes == DATA_BYTES_MAX


def test_who_takes_waits_for_what_was_taken_before() -> None:
    limit = RateLimit(100)
    assert limit.take(50, 10.0) == 0.0
    assert limit.take(50, 10.0) == 0.5 - BURST_S
    assert limit.take(100, 10.0) == 1.0 - BURST_S
    assert limit.take(1, 20.0) == 0.0, "a rest is no credit without end"
    assert limit.take(100, 20.0) < 0.1


def test_over_a_long_time_the_limit_is_kept() -> None:
    limit = RateLimit(1_000)
    now = moved = 0.0
    while now < 100.0:
        now += limit.take(77, now)
        moved += 77
    assert 0.99 <= moved / (now * 1_000) <= 1.01


def test_a_slow_stream_moves_in_small_steps() -> None:
    assert RateLimit(1).step_bytes == STEP_BYTES_MIN
    assert RateLimit(400_000).step_bytes == 50_000
    assert RateLimit(10**9).step_bytes == DATA_BYTES_MAX
