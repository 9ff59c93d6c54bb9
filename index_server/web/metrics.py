"""The figures for Prometheus: counters and times of `Measures`, and what `StandingView` says now."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from index_server.admin.standing import StandingView
from index_server.commands import Desk
from index_server.measures import BOUNDS_S

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "p2pshare_index_"


class Metrics:
    """What Prometheus is told of one server."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._view: StandingView | None = None
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self, view: StandingView) -> bytes:
        self._view = view
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        if self._view is None:
            return
        view = self._view
        about = InfoMetricFamily(PREFIX + "server", "What runs.")
        about.add_metric([], {"version": view.version, "name": view.name})
        yield about
        for name, meaning, value in (
            ("online", "People who are online.", view.online),
            ("connections_max", "Most that can be connected at the same time.", view.connections_max),
            ("accounts", "Accounts.", view.accounts),
            ("files", "Different files that people offer, online or not.", view.files),
            ("ready", "1 once everything that was on disk at the start can be found.", view.ready),
            ("problems", "Problems that the status page names.", len(view.problems)),
            (
                "late_seconds",
                "Longest time in the last minute until the server turned to somebody.",
                view.late_s,
            ),
        ):
            yield GaugeMetricFamily(PREFIX + name, meaning, value)
        yield from self._requests()

    def _requests(self) -> Iterable[Metric]:
        times = HistogramMetricFamily(
            PREFIX + "request_seconds", "From the arrival of a request to its answer.", labels=["kind"]
        )
        refused = CounterMetricFamily(
            PREFIX + "refused", "Requests that were refused.", labels=["kind", "reason"]
        )
        for kind, tally in self._desk.measures.kinds.items():
            reached, buckets = 0, []
            for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), tally.times.buckets, strict=True):
                reached += count
                buckets.append((bound, reached))
            times.add_metric([kind], buckets, tally.times.total_s)
            for reason, count in tally.refused.items():
                refused.add_metric([kind, reason.name.lower()], count)
        yield times
        yield refused
