from __future__ import annotations

import pytest

from index_server.measures import BOUNDS_S, SLOT_S, SLOTS, Measures, quantile
from p2pshare.errors import Reason
from p2pshare.wire.index import LookUp, Search, SearchHits
from p2pshare.wire.session import Refused

SEARCH = Search(request=1, query="blue")
HITS = SearchHits(request=1, total=0, hits=())
NO = Refused(request=1, reason=Reason.TOO_MUCH)


def test_requests_are_counted_by_kind_and_refusals_by_reason() -> None:
    measures = Measures(0.0)
    measures.note(SEARCH, HITS, started_at=1.0, now=1.003)
    measures.note(SEARCH, NO, started_at=2.0, now=2.0)
    measures.note(LookUp(request=2), None, started_at=2.0, now=5.0)
    search = measures.kinds["search"]
    assert (search.times.count, search.refused) == (2, {Reason.TOO_MUCH: 1})
    assert search.times.total_s == pytest.approx(0.003)
    assert measures.kinds["look_up"].times.buckets[-2] == 1


def test_a_time_on_a_bound_counts_below_it_and_one_beyond_all_counts_last() -> None:
    measures = Measures(0.0)
    measures.note(SEARCH, HITS, started_at=0.0, now=BOUNDS_S[0])
    measures.note(SEARCH, HITS, started_at=0.0, now=1_000.0)
    assert measures.kinds["search"].times.buckets == [1, *[0] * (len(BOUNDS_S) - 1), 1]


def test_lately_is_the_last_minute_with_the_most_frequent_kind_first() -> None:
    measures = Measures(0.0)
    for second in range(0, 600):
        measures.note(SEARCH, HITS, started_at=second, now=second + 0.002)
        if second % 2:
            measures.note(LookUp(request=2), None, started_at=second, now=second + 0.2)
    search, look_up = measures.lately(600.0)
    assert (search.kind, look_up.kind) == ("search", "look_up")
    assert search.per_second == pytest.approx(1.0)
    assert look_up.per_second == pytest.approx(0.5)
    assert 0.001 < search.p50_s <= search.p99_s <= 0.002
    assert 0.1 < look_up.p50_s <= 0.25
    assert measures.lately(700.0) == []


def test_just_after_the_start_a_rate_is_that_of_the_time_there_was() -> None:
    measures = Measures(1_000.0)
    for _ in range(10):
        measures.note(SEARCH, HITS, started_at=1_001.0, now=1_001.0)
    assert measures.lately(1_005.0)[0].per_second == pytest.approx(2.0)


def test_the_history_has_a_place_for_every_ten_seconds_and_forgets_after_half_an_hour() -> None:
    measures = Measures(0.0)
    measures.note(SEARCH, HITS, started_at=5.0, now=5.0)
    for _ in range(20):
        measures.note(SEARCH, HITS, started_at=25.0, now=25.0)
    assert measures.history("search", 39.0) == [0.1, 0.0, 2.0]
    later = measures.history("search", 25.0 + SLOTS * SLOT_S)
    assert len(later) == SLOTS - 1
    assert set(later) == {0.0}


@pytest.mark.parametrize(
    ("counts", "part", "expected"),
    [
        ({}, 0.99, 0.0),
        ({0: 2}, 0.5, BOUNDS_S[0] / 2),
        ({3: 1}, 1.0, BOUNDS_S[3]),
        ({len(BOUNDS_S): 4}, 0.5, BOUNDS_S[-1]),
    ],
)
def test_a_quantile_lies_within_its_bucket(counts: dict[int, int], part: float, expected: float) -> None:
    buckets = [counts.get(number, 0) for number in range(len(BOUNDS_S) + 1)]
    assert quantile(buckets, part) == pytest.approx(expected)
