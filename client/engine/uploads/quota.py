"""How much each person was sent on which day, and when somebody who had their share gets more.

Days are those of the local calendar, by their number (`date.toordinal`); a week is today and the six days
before. Pure, but for the units at the end.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from p2pshare.identity import NodeId

WEEK_DAYS = 7


@dataclass(frozen=True)
class Quota:
    """Bytes that one person may be sent; 0 for as much as they like."""

    daily_bytes: int = 0
    weekly_bytes: int = 0


@dataclass
class Ledger:
    """The last week. Changes since `take_changes` was called are to be kept."""

    days: dict[NodeId, dict[int, int]] = field(default_factory=dict)
    changed: set[tuple[NodeId, int]] = field(default_factory=set)

    def add(self, person: NodeId, size: int, day: int) -> None:
        """They were sent so many bytes."""
        days = self.days.setdefault(person, {})
        if day not in days:
            for old in [old for old in days if old <= day - WEEK_DAYS]:
                del days[old]
        days[day] = days.get(day, 0) + size
        self.changed.add((person, day))

    def sent(self, person: NodeId, day: int) -> Quota:
        """What they had on a day, and in the week that ends with it."""
        days = self.days.get(person, {})
        week = sum(size for old, size in days.items() if day - WEEK_DAYS < old <= day)
        return Quota(days.get(day, 0), week)

    def free_on(self, person: NodeId, quota: Quota, day: int) -> int:
        """The first day, from `day` on, on which they may be sent more."""
        while _used_up(self.sent(person, day), quota):
            day += 1
        return day

    def take_changes(self) -> tuple[tuple[NodeId, int, int], ...]:
        """(person, day, bytes on that day) of every change since the last call."""
        changes = tuple((who, day, self.days.get(who, {}).get(day, 0)) for who, day in self.changed)
        self.changed.clear()
        return changes


def _used_up(sent: Quota, quota: Quota) -> bool:
    return (0 < quota.daily_bytes <= sent.daily_bytes) or (0 < quota.weekly_bytes <= sent.weekly_bytes)


def load_ledger(connection: sqlite3.Connection, day: int) -> Ledger:
    """The week that ends with `day`."""
    ledger = Ledger()
    rows = connection.execute("SELECT person, day, bytes FROM sent_on_day WHERE day > ?", (day - WEEK_DAYS,))
    for person, its_day, size in rows:
        ledger.days.setdefault(NodeId(person), {})[its_day] = size
    return ledger


def keep_changes(
    connection: sqlite3.Connection, changes: tuple[tuple[NodeId, int, int], ...], day: int
) -> None:
    """Keep what changed, and forget what is older than the week that ends with `day`."""
    connection.executemany(
        "INSERT INTO sent_on_day(person, day, bytes) VALUES (?, ?, ?)"
        " ON CONFLICT(person, day) DO UPDATE SET bytes = excluded.bytes",
        changes,
    )
    connection.execute("DELETE FROM sent_on_day WHERE day <= ?", (day - WEEK_DAYS,))
