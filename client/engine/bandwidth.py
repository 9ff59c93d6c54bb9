"""The limits of bytes a second as they hold now: the settings, and what the schedule makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import trio

from client.engine.declared import values
from client.engine.groups import SERVED, Group
from client.engine.rate import RateLimit
from client.engine.schedule import LIMITS, limit_at, parse_line
from client.engine.settings import Settings
from client.engine.status import LimitView
from client.engine.valve import LimitsChanged, Valve
from p2pshare.identity import NodeId
from p2pshare.limits import KIB

PREVIEWS_BYTES_PER_S = 256 * KIB  # all previews together: enough to look at something, too little to fetch it
FOLLOW_EVERY_S = 60.0  # the schedule knows minutes


@dataclass(frozen=True)
class Clock:
    """What time it is."""

    unix_now: Callable[[], float]
    local_time: Callable[[float], datetime]
    """The clock on the wall at a Unix time, without a time zone."""

    def local(self) -> datetime:
        return self.local_time(self.unix_now())

    def seconds_to(self, day: int) -> float:
        """From now to the first moment of a local day, by its number (`date.toordinal`)."""
        now = at = self.unix_now()
        for _ in range(3):  # one step, and again if the clocks are changed on the way
            at += (datetime.fromordinal(day) - self.local_time(at)).total_seconds()
        return at - now


class Bandwidth:
    """All limits of one engine. `run` beside everything."""

    def __init__(self, settings: Settings, clock: Clock, group_of: Callable[[NodeId], Group]) -> None:
        self._settings = settings
        self._clock = clock
        self._group_of = group_of
        self._limits = {name: RateLimit() for name in LIMITS}
        self._people: dict[NodeId, RateLimit] = {}  # who is being served
        self._changed = LimitsChanged()
        self._previews = RateLimit(PREVIEWS_BYTES_PER_S)
        self._rescheduled = trio.Event()
        self._apply()

    # --- who is limited by what ----------------------------------------------------------------------

    def upload(self, person: NodeId) -> Valve:
        """For what goes to somebody."""
        return Valve(lambda: self._upload_limits(person), self._changed)

    def preview(self, person: NodeId) -> Valve:
        """For what goes to somebody who looks before they wait."""
        return Valve(lambda: (self._previews, *self._upload_limits(person)), self._changed)

    async def arrived(self, person: NodeId, size: int, waiting: Callable[[], None] = lambda: None) -> None:
        """So much came from somebody: wait as long as no more may come, and call `waiting` meanwhile."""
        limits = Valve(lambda: self._in_use(self._group_name(person, "down"), "down"), self._changed)
        await limits.passes(size, waiting)

    def arrives_freely(self) -> bool:
        """Whether nobody has to wait there."""
        return not any(limit.bytes_per_s for name, limit in self._limits.items() if name.endswith("down"))

    def forget(self, person: NodeId) -> None:
        """They went."""
        self._people.pop(person, None)

    def _upload_limits(self, person: NodeId) -> tuple[RateLimit, ...]:
        limits = self._in_use(self._group_name(person, "up"), "up")
        rate = self._person_rate(person)
        if not rate:
            return limits
        return (self._people.setdefault(person, RateLimit(rate)), *limits)

    def _in_use(self, *names: str) -> tuple[RateLimit, ...]:
        return tuple([limit for name in names if (limit := self._limits[name]).bytes_per_s])

    def _group_name(self, person: NodeId, way: str) -> str:
        group = self._group_of(person)
        return f"{Group.EVERYONE if group is Group.BLOCKED else group}.{way}"

    def _person_rate(self, person: NodeId) -> int:
        rules = getattr(self._settings.groups, self._group_of(person), self._settings.groups.everyone)
        rate: int = rules.person_rate
        return rate * KIB

    # --- what holds ----------------------------------------------------------------------------------

    def set(self, settings: Settings) -> None:
        """Other settings, from now on."""
        self._settings = settings
        self._apply()
        self._rescheduled.set()

    def regrouped(self) -> None:
        """Somebody is in another group now."""
        self._apply()

    async def run(self) -> None:
        """Follow the schedule, for ever."""
        while True:
            self._rescheduled = trio.Event()
            with trio.move_on_after(self._pause_s()):
                await self._rescheduled.wait()
            self._apply()

    def _pause_s(self) -> float:
        return FOLLOW_EVERY_S - self._clock.local().second if self._settings.schedule else float("inf")

    def _apply(self) -> None:
        now = trio.current_time()
        for view in self.views():
            self._limits[view.name].set(view.rate * KIB, now)
        for person, limit in self._people.items():
            limit.set(self._person_rate(person), now)
        self._changed.tell()

    def views(self) -> tuple[LimitView, ...]:
        """What holds at the moment, and why."""
        local = self._clock.local()
        lines = [parse_line(text) for text in self._settings.schedule]
        chosen = values(self._settings)
        views = []
        for name in LIMITS:
            usual: int = chosen[setting_of(name)]
            found = limit_at(lines, name, local)
            rate, line = found if found is not None else (usual, "")
            views.append(LimitView(name=name, rate=rate, line=line, usual=usual))
        return tuple(views)


def setting_of(limit: str) -> str:
    """The setting behind a limit of the schedule: "trusted.up" -> "groups.trusted.upload_rate"."""
    group, _, way = limit.rpartition(".")
    name = {"up": "upload_rate", "down": "download_rate"}[way]
    return f"groups.{group}.{name}" if group else name


assert all(hasattr(Settings().groups, group) for group in SERVED)
