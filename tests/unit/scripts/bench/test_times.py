from __future__ import annotations

import json
import random

import pytest

from scripts.bench.times import Times, percentile


def test_a_percentile_is_right_within_two_percent() -> None:
    rng, times = random.Random(1), Times()
    values = [rng.lognormvariate(-6, 2) for _ in range(10_000)]
    for value in values:
        times.add(value)
    for percent in (1, 50, 99, 99.9):
        assert times.percentile_s(percent) == pytest.approx(percentile(values, percent), rel=0.021)


def test_no_percentile_is_beyond_the_longest() -> None:
    times = Times()
    times.add(0.5)
    assert times.percentile_s(99) <= times.longest_s == 0.5


def test_of_nothing_everything_is_zero() -> None:
    assert (len(Times()), Times().percentile_s(50), Times().longest_s) == (0, 0.0, 0.0)


def test_what_two_processes_counted_adds_up() -> None:
    one, other, both = Times(), Times(), Times()
    for number in range(100):
        (one if number % 3 else other).add(number / 1e3)
        both.add(number / 1e3)
    one.merge(Times.from_json(json.loads(json.dumps(other.to_json()))))
    assert (one.steps, one.longest_s) == (both.steps, both.longest_s)


def test_the_memory_does_not_grow_with_the_count() -> None:
    times = Times()
    for number in range(20_000):
        times.add(1e-5 + number * 1e-5)
    assert len(times) == 20_000
    assert len(times.steps) < 600


def test_a_percentile_of_a_few_values_is_one_of_them() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([3.0, 1.0, 2.0], 99) == 3.0
    assert percentile([3.0], 0) == 3.0
