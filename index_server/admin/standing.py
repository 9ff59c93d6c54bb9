"""How a server stands, at one glance: for `p2pshare-index admin status`, the status page and the metrics."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import trio

from index_server.admin.health import Signs, problems
from index_server.admin.people import count_people
from index_server.admin.pulse import Pulse
from index_server.server import IndexServer
from p2pshare.wire.fields import Rule, RuleAction, Subject

SEARCH = "search"  # the message whose times people feel
FILTERS_MAX = 20
FRESH_S = 1.0  # however many look, nothing is counted more often
OWN_FILES = Path("/proc/self/fd")
OWN_MEMORY = Path("/proc/self/statm")


_FILTERED = {
    (RuleAction.BAN, Subject.ACCOUNT): "People banned",
    (RuleAction.BAN, Subject.ADDRESS): "Addresses banned",
    (RuleAction.BAN, Subject.FILE): "Files banned",
    (RuleAction.HIDE, Subject.FILE): "Files hidden from search",
    (RuleAction.HIDE, Subject.WORD): "Words hidden from search",
}


@dataclass(frozen=True)
class RequestsView:
    """Requests of one kind."""

    kind: str
    per_second: float
    """Within the last minute, as the two times."""
    p50_ms: float
    p99_ms: float
    total: int
    """Since the start, as the refusals."""
    refused: int


@dataclass(frozen=True)
class FilterView:
    """Rules of one kind and reason. What they hit is not told."""

    what: str
    """"Words hidden", "Files banned" ..."""
    why: str
    count: int


@dataclass(frozen=True)
class StandingView:
    """Everything at one glance. Numbers only: nobody's nick, address, offer or search."""

    name: str
    version: str
    up_s: float
    online: int
    online_history: tuple[int, ...]
    """Every ten seconds of the last half hour, oldest first."""
    connections_max: int
    accounts: int
    registration: str
    files: int
    """Different ones that people offer, online or not."""
    kinds: dict[str, int]
    """How many of these are what: "audio", "video" ..."""
    ready: bool
    """Everything that was on disk at the start can be found."""
    searches_per_second: float
    search_p50_ms: float
    search_p99_ms: float
    search_history: tuple[float, ...]
    requests: tuple[RequestsView, ...]
    """By kind, the most frequent of the last minute first."""
    filters: tuple[FilterView, ...]
    """What moderators keep out, the most first."""
    late_s: float
    """How long the server took at worst, within the last minute, to turn to somebody."""
    memory_bytes: int
    """0 where the system does not tell."""
    files_open: int
    files_open_max: int
    problems: tuple[str, ...]
    """What is wrong and what to do, in sentences."""


class Standing:
    """Looks at a server, at most once a second."""

    def __init__(self, server: IndexServer, pulse: Pulse, version: str) -> None:
        self._server = server
        self._pulse = pulse
        self._version = version
        self._view: StandingView | None = None
        self._seen_at = 0.0

    async def view(self) -> StandingView:
        now = trio.current_time()
        if self._view is None or now - self._seen_at >= FRESH_S:
            self._view, self._seen_at = await self._look(now), now
        return self._view

    async def _look(self, now: float) -> StandingView:
        desk = self._server.desk
        measures, config = desk.measures, desk.config
        requests = _requests(self._server, now)
        search = next((one for one in requests if one.kind == SEARCH), None)
        files_open, files_open_max = _open_files()
        ready = self._server.filled.is_set()
        signs = Signs(
            filled=ready,
            online=len(desk.online),
            connections_max=config.connections.total,
            files_open=files_open,
            files_open_max=files_open_max,
            late_s=self._pulse.late_s,
            disk_free_bytes=_disk_free(config.data_folder),
        )
        return StandingView(
            name=config.server.name,
            version=self._version,
            up_s=now - measures.started_at,
            online=signs.online,
            online_history=tuple(self._pulse.people),
            connections_max=signs.connections_max,
            accounts=await desk.database.read(count_people),
            registration=desk.registration.mode,
            files=len(desk.catalogue),
            kinds={kind.name.lower(): count for kind, count in desk.catalogue.kinds().items()},
            ready=ready,
            searches_per_second=search.per_second if search else 0.0,
            search_p50_ms=search.p50_ms if search else 0.0,
            search_p99_ms=search.p99_ms if search else 0.0,
            search_history=tuple(measures.history(SEARCH, now)),
            requests=requests,
            filters=_filters(desk.rules.in_force()),
            late_s=signs.late_s,
            memory_bytes=_memory_bytes(),
            files_open=files_open,
            files_open_max=files_open_max,
            problems=problems(signs),
        )


def _requests(server: IndexServer, now: float) -> tuple[RequestsView, ...]:
    measures = server.desk.measures
    lately = {one.kind: one for one in measures.lately(now)}
    kinds = [*lately, *sorted(measures.kinds.keys() - lately.keys())]
    found = []
    for kind in kinds:
        tally, recent = measures.kinds[kind], lately.get(kind)
        found.append(
            RequestsView(
                kind,
                recent.per_second if recent else 0.0,
                recent.p50_s * 1_000 if recent else 0.0,
                recent.p99_s * 1_000 if recent else 0.0,
                tally.times.count,
                tally.refused.total(),
            )
        )
    return tuple(found)


def _filters(rules: Iterable[Rule]) -> tuple[FilterView, ...]:
    """By kind and reason: what they hit is not for everybody's eyes."""
    counts = Counter((_FILTERED[rule.action, rule.subject], rule.reason) for rule in rules)
    return tuple(FilterView(what, why, count) for (what, why), count in counts.most_common(FILTERS_MAX))


def _open_files() -> tuple[int, int]:
    """(open, allowed); zeros where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0, 0  # Windows has no such limit
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    number = _told(lambda: len(os.listdir(OWN_FILES)))
    return number, 0 if most == resource.RLIM_INFINITY else most


def _memory_bytes() -> int:
    return _told(lambda: int(OWN_MEMORY.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))


def _disk_free(folder: Path) -> int:
    return _told(lambda: shutil.disk_usage(folder).free)


def _told(ask: Callable[[], int]) -> int:
    try:
        return ask()
    except OSError:
        return 0
