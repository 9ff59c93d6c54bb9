"""Other limits at other times of the day: the lines of the setting `schedule`, and what holds at a moment.

    mon-fri 08:00-18:00 up=500 down=2000
    sat,sun 23:00-07:00 up=0 trusted.up=0          from 23:00 until 07:00 of the day after; 0 for no limit
    08:00-18:00 everyone.up=200                    every day

Of the lines that fit, the first that names a limit decides it; a limit that none of them names is that of the
settings. Pure: the local time is given, and only its weekday, hour and minute count. So when the clocks are
changed, a line holds by what the clock on the wall shows, and an hour that comes twice is simply longer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from client.engine.groups import SERVED

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
LINES_MAX = 100
RATE_MAX_KIB_S = 1 << 30  # a TiB per second
LIMITS = ("up", "down", *(f"{group}.{way}" for group in SERVED for way in ("up", "down")))
"""Everything a line can limit: all traffic, or that with the people of one group."""

_TIMES = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
_LIMIT = re.compile(r"([a-z.]+)=(\d{1,10})")


@dataclass(frozen=True)
class Line:
    """One line. `end` may be up to a day after midnight, for a night."""

    text: str
    days: frozenset[int]  # on which it begins; Monday is 0
    start: int  # minutes since midnight
    end: int
    limits: dict[str, int]  # KiB per second, by the names of LIMITS

    def holds(self, local: datetime) -> bool:
        """At this local time?"""
        day, minute = local.weekday(), local.hour * 60 + local.minute
        return (day in self.days and self.start <= minute < self.end) or (
            (day - 1) % 7 in self.days and minute < self.end - DAY_MINUTES
        )


def parse_line(text: str) -> Line:
    """Raises ValueError with a sentence."""
    words = text.lower().split()
    days = frozenset(range(7))
    if words and not words[0][0].isdigit():
        days = _days(words.pop(0))
    match = _TIMES.fullmatch(words.pop(0)) if words else None
    if match is None:
        raise ValueError("The days, if any, are followed by the times, like 08:00-18:00.")
    start, end = (_minutes(hour, minute) for hour, minute in (match.groups()[:2], match.groups()[2:]))
    if start == end or start == DAY_MINUTES:
        raise ValueError("It must end at another time than it begins; the whole day is 00:00-24:00.")
    if not words:
        raise ValueError("Say what is limited, in KiB per second, like up=500 or down=2000.")
    return Line(text, days, start, end if end > start else end + DAY_MINUTES, dict(map(_limit, words)))


def limit_at(lines: Iterable[Line], name: str, local: datetime) -> tuple[int, str] | None:
    """What the schedule says of a limit at this local time, in KiB per second, and the line that says it."""
    for line in lines:
        if name in line.limits and line.holds(local):
            return line.limits[name], line.text
    return None


def _days(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        try:
            begin = DAYS.index(first)
            count = (DAYS.index(last) - begin) % 7 if dash else 0
        except ValueError:
            raise ValueError(f"{part!r} is no day. Write days as mon, mon-fri or sat,sun.") from None
        days.update((begin + day) % 7 for day in range(count + 1))
    return frozenset(days)


def _minutes(hour: str, minute: str) -> int:
    minutes = int(hour) * 60 + int(minute)
    if int(minute) > 59 or minutes > DAY_MINUTES:
        raise ValueError(f"{hour}:{minute} is no time of day.")
    return minutes


def _limit(word: str) -> tuple[str, int]:
    match = _LIMIT.fullmatch(word)
    if match is None or match[1] not in LIMITS:
        raise ValueError(f"{word!r} is no limit. There are, with a number each: {', '.join(LIMITS)}.")
    if int(match[2]) > RATE_MAX_KIB_S:
        raise ValueError(f"{word!r}: at most {RATE_MAX_KIB_S}.")
    return match[1], int(match[2])
