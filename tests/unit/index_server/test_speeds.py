"""How fast somebody gives is what others signed for, and nothing that they say themselves."""

from __future__ import annotations

import pytest

from index_server import speeds as module
from index_server.speeds import APART_MAX_S, APART_MIN_S, TAKERS, TAKERS_KEPT, Speeds
from p2pshare.identity import NodeId
from p2pshare.receipts import Receipt
from p2pshare.wire.fields import SpeedClass

GIVER = NodeId(b"g" * 32)
MB = 1_000_000


def taker(number: int) -> NodeId:
    return NodeId(number.to_bytes(32, "big"))


def took(speeds: Speeds, number: int, total: int, now: float) -> None:
    speeds.note(Receipt(GIVER, taker(number), total, b"", b""), now)


def transfer(speeds: Speeds, number: int, mb_per_s: int, *, start: float = 0, lasts_s: float = 60) -> None:
    took(speeds, number, 1, start)
    took(speeds, number, 1 + int(mb_per_s * MB * lasts_s), start + lasts_s)


def test_a_speed_needs_several_people_who_found_it() -> None:
    speeds = Speeds()
    for number in range(TAKERS - 1):
        transfer(speeds, number, 500)
    assert speeds.of(GIVER) is SpeedClass.UNKNOWN
    transfer(speeds, TAKERS, 12)
    assert speeds.of(GIVER) is SpeedClass.FAST, "two may be friends, the third decides"
    transfer(speeds, TAKERS + 1, 500)
    assert speeds.of(GIVER) is SpeedClass.VERY_FAST
    assert speeds.of(taker(1)) is SpeedClass.UNKNOWN


def test_what_is_told_too_close_together_is_measured_with_the_next() -> None:
    speeds = Speeds()
    for number in range(TAKERS):
        took(speeds, number, 1, 0)
        took(speeds, number, 900 * MB, APART_MIN_S / 2)
    assert speeds.of(GIVER) is SpeedClass.UNKNOWN
    for number in range(TAKERS):
        took(speeds, number, 901 * MB, 60)
    assert speeds.of(GIVER) is SpeedClass.FAST


def test_a_long_pause_says_nothing_and_the_last_measure_stays() -> None:
    speeds = Speeds()
    for number in range(TAKERS):
        transfer(speeds, number, 2)
        took(speeds, number, 200 * MB, 60 + 2 * APART_MAX_S)
    assert speeds.of(GIVER) is SpeedClass.MEDIUM


def test_only_the_last_takers_are_remembered() -> None:
    speeds = Speeds()
    for number in range(TAKERS):
        transfer(speeds, number, 200)
    for number in range(TAKERS, TAKERS + TAKERS_KEPT):
        transfer(speeds, number, 0, lasts_s=30)
    assert speeds.of(GIVER) is SpeedClass.UNKNOWN


def test_of_too_many_givers_the_one_not_heard_of_for_longest_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "GIVERS_KEPT", 1)
    speeds = Speeds()
    for number in range(TAKERS):
        transfer(speeds, number, 200)
    speeds.note(Receipt(taker(1), taker(2), 5, b"", b""), 99)
    assert speeds.of(GIVER) is SpeedClass.UNKNOWN
