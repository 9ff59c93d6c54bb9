from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from client.engine.schedule import limit_at, parse_line


def at(text: str) -> datetime:
    """2026-11-23 was a Monday."""
    return datetime.fromisoformat(text)


def limit(name: str, local: datetime, *lines: str) -> tuple[int, str] | None:
    return limit_at([parse_line(line) for line in lines], name, local)


def test_a_line_holds_on_its_days_and_at_its_times() -> None:
    line = "mon-fri 08:00-18:00 up=500 down=2000"
    assert limit("up", at("2026-11-23T08:00"), line) == (500, line)
    assert limit("down", at("2026-11-27T17:59"), line) == (2000, line)
    assert limit("up", at("2026-11-27T18:00"), line) is None
    assert limit("up", at("2026-11-28T12:00"), line) is None
    assert limit("trusted.up", at("2026-11-23T12:00"), line) is None


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    line = "sat 23:00-07:00 up=0"
    assert limit("up", at("2026-11-28T23:00"), line) == (0, line)
    assert limit("up", at("2026-11-29T06:59"), line) == (0, line)
    assert limit("up", at("2026-11-29T07:00"), line) is None
    assert limit("up", at("2026-11-28T06:59"), line) is None
    sunday = "sun 23:00-01:00 up=1"
    assert limit("up", at("2026-11-23T00:30"), sunday) == (1, sunday), "over the end of the week"


def test_without_days_a_line_holds_every_day_and_a_whole_day_can_be_said() -> None:
    assert limit("up", at("2026-11-25T09:30"), "9:00-10:00 up=1") == (1, "9:00-10:00 up=1")
    assert limit("down", at("2026-11-29T23:59"), "sat,sun 00:00-24:00 down=5") is not None
    assert limit("down", at("2026-11-30T00:00"), "sat,sun 00:00-24:00 down=5") is None
    assert limit("up", at("2026-11-23T00:00"), "fri-mon 00:00-24:00 up=5") is not None
    assert limit("up", at("2026-11-24T00:00"), "fri-mon 00:00-24:00 up=5") is None


def test_the_first_line_that_names_a_limit_decides_it() -> None:
    lines = ("mon 12:00-13:00 up=900", "mon-fri 08:00-18:00 up=100 trusted.up=0", "00:00-24:00 down=7")
    assert limit("up", at("2026-11-23T12:30"), *lines) == (900, lines[0])
    assert limit("trusted.up", at("2026-11-23T12:30"), *lines) == (0, lines[1])
    assert limit("down", at("2026-11-23T12:30"), *lines) == (7, lines[2])
    assert limit("up", at("2026-11-23T13:00"), *lines) == (100, lines[1])


def test_the_clock_on_the_wall_counts_when_the_clocks_are_changed() -> None:
    berlin, line = ZoneInfo("Europe/Berlin"), "sun 02:00-03:00 up=1"

    def minutes(first: datetime) -> int:
        start = first.timestamp()
        walls = (datetime.fromtimestamp(start + 60 * n, berlin) for n in range(24 * 60))
        return sum(limit("up", wall, line) is not None for wall in walls)

    assert minutes(datetime(2026, 10, 24, 22, tzinfo=UTC)) == 120, "that hour came twice"
    assert minutes(datetime(2026, 3, 28, 23, tzinfo=UTC)) == 0, "that hour was left out"
    assert minutes(datetime(2026, 11, 21, 23, tzinfo=UTC)) == 60


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "followed by the times"),
        ("mon", "followed by the times"),
        ("mon 8-18 up=1", "followed by the times"),
        ("noday 08:00-18:00 up=1", "'noday' is no day"),
        ("mon-foo 08:00-18:00 up=1", "'mon-foo' is no day"),
        ("mon, 08:00-18:00 up=1", "'' is no day"),
        ("mon 08:00-24:01 up=1", "24:01 is no time of day"),
        ("mon 08:60-09:00 up=1", "08:60 is no time of day"),
        ("mon 08:00-08:00 up=1", "another time than it begins"),
        ("mon 24:00-08:00 up=1", "another time than it begins"),
        ("mon 08:00-18:00", "Say what is limited"),
        ("mon 08:00-18:00 up", "'up' is no limit"),
        ("mon 08:00-18:00 up=-1", "'up=-1' is no limit"),
        ("mon 08:00-18:00 blocked.up=1", "is no limit"),
        ("mon 08:00-18:00 up=9999999999", "at most"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused_in_words(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parse_line(text)
