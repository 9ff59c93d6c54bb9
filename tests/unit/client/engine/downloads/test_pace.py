"""Windows that follow what a source delivers."""

from __future__ import annotations

from client.engine.downloads.pace import (
    AHEAD_S,
    WINDOW_BYTES_MAX,
    WINDOW_FIRST_BYTES,
    WINDOW_MIN,
    WINDOW_SNUBBED,
    Pace,
)
from p2pshare.limits import KIB, MIB


def test_a_source_that_showed_nothing_is_asked_for_a_little() -> None:
    assert Pace(64 * KIB).window == WINDOW_FIRST_BYTES // (64 * KIB)
    assert Pace(16 * MIB).window == WINDOW_MIN


def test_the_window_is_bandwidth_times_delay_with_room_to_grow() -> None:
    pace = Pace(64 * KIB)
    pace.arrived(asked_at=0.0, delivered_then=0, now=0.5)
    for _ in range(99):
        pace.arrived(asked_at=0.5, delivered_then=1, now=1.5)
    assert pace.rate == 99.0
    assert pace.window == 99  # 99 a second x 0.5 s x 2


def test_a_short_path_still_has_work_waiting() -> None:
    pace = Pace(64 * KIB)
    for _ in range(100):
        pace.arrived(asked_at=0.0, delivered_then=0, now=0.1)
    assert pace.window == 1_000 * AHEAD_S


def test_memory_bounds_the_window_of_large_pieces() -> None:
    pace = Pace(16 * MIB)
    for _ in range(10):
        pace.arrived(asked_at=0.0, delivered_then=0, now=0.01)
    assert pace.window == WINDOW_BYTES_MAX // (16 * MIB)


def test_a_faster_round_counts_at_once_and_a_slower_one_a_little() -> None:
    pace = Pace(64 * KIB)
    pace.arrived(0.0, 0, 0.1)
    assert pace.rate is not None and round(pace.rate, 6) == 10.0
    pace.arrived(0.1, 1, 1.1)
    assert round(pace.rate, 6) == 10.0 - 9.0 / 8
    pace.arrived(1.1, 2, 1.11)
    assert round(pace.rate, 6) == 100.0


def test_a_silent_source_is_expected_later_and_later() -> None:
    pace = Pace(64 * KIB)
    pace.arrived(0.0, 0, 0.1)
    pace.waiting_since = 0.1
    assert round(pace.expected_s(0, 0.1), 6) == 0.1
    assert round(pace.expected_s(2, 0.1), 6) == 0.3
    assert round(pace.expected_s(0, 5.1), 6) == 5.0
    pace.snub()
    assert pace.window == WINDOW_SNUBBED
