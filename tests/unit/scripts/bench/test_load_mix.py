from __future__ import annotations

import random
import statistics
from collections import Counter

import pytest

from scripts.bench.load_mix import (
    HOUR_S,
    SESSION_MEDIAN_S,
    SHARE_NOTHING,
    Mix,
    files_shared,
    rest_of_session_s,
    session_s,
)

DRAWS = 20_000


def test_there_are_four_tickets_for_each_search() -> None:
    rng = random.Random(1)
    drawn = Counter(Mix().next_kind(rng) for _ in range(DRAWS))
    assert drawn["ask_ticket"] / drawn["search"] == pytest.approx(4, rel=0.1)
    assert set(drawn) == set(Mix().kinds)


def test_somebody_in_a_hurry_asks_so_many_times_as_often() -> None:
    rng = random.Random(1)
    calm = statistics.mean(Mix().next_in_s(rng, 1) for _ in range(DRAWS))
    hasty = statistics.mean(Mix().next_in_s(rng, 20) for _ in range(DRAWS))
    assert calm == pytest.approx(HOUR_S / Mix().an_hour, rel=0.05)
    assert calm / hasty == pytest.approx(20, rel=0.05)


def test_half_of_all_stay_longer_than_an_hour() -> None:
    rng = random.Random(1)
    assert statistics.median(session_s(rng) for _ in range(DRAWS)) == pytest.approx(
        SESSION_MEDIAN_S, rel=0.05
    )


def test_who_is_found_online_leaves_at_the_same_rate_as_others_come() -> None:
    """In a network that has run for long, with one place kept filled, departures are one per mean session."""
    rng = random.Random(1)
    mean = statistics.mean(session_s(rng) for _ in range(50_000))
    soon = mean / 20
    leave = sum(rest_of_session_s(rng) < soon for _ in range(DRAWS)) / DRAWS
    assert leave == pytest.approx(soon / mean, rel=0.15)


def test_some_share_nothing_and_the_mean_is_as_wanted() -> None:
    rng = random.Random(1)
    shares = [files_shared(rng, 200) for _ in range(DRAWS)]
    assert shares.count(0) / DRAWS == pytest.approx(SHARE_NOTHING, rel=0.05)
    assert statistics.mean(shares) == pytest.approx(200, rel=0.05)
    assert files_shared(rng, 0) == 0
