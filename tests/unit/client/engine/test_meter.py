from __future__ import annotations

import pytest

from client.engine.meter import REMEMBERED_S, RateMeter


def test_a_steady_flow_is_shown_as_it_is() -> None:
    meter = RateMeter(now=0.0)
    for tenth in range(1, 301):
        meter.add(100.0, now=tenth / 10)
    assert meter.rate(30.0) == pytest.approx(1_000.0, rel=0.02)


def test_soon_after_the_start_the_rate_is_right_already() -> None:
    meter = RateMeter(now=0.0)
    for tenth in range(1, 11):
        meter.add(100.0, now=tenth / 10)
    assert meter.rate(1.0) == pytest.approx(1_000.0, rel=0.15)


def test_what_stopped_fades_away() -> None:
    meter = RateMeter(now=0.0)
    meter.add(1_000_000.0, now=0.1)
    assert meter.rate(0.1 + 10 * REMEMBERED_S) < 100.0
