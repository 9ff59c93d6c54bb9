"""What a load test measured, and what it says about it. PURE."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scripts.bench.load_tally import Tally

MIB = 1 << 20
WARM_UP = 1 / 3  # of a soak: until the memory of a program is what its work needs
GROWTH_MAX = 0.02  # of the memory, over the rest of the soak ...
GROWTH_BYTES_MAX = 8 * MIB  # ... or this much, if that is more: what an allocator breathes
OFFER_BYTES = 106  # of one that the server keeps, by state.py: people who come for the first time bring some
EXPECTED = {"OFFLINE", "UNREACHABLE"}  # reasons of honest refusals: people leave, and have closed ports
MARKER = "<!-- capacity -->"


@dataclass(frozen=True)
class Row:
    """One kind of question in one phase."""

    phase: str
    what: str
    count: int
    a_second: float
    p50_ms: float
    p99_ms: float
    longest_ms: float
    cpu_ms: float | None = None
    """Of the server, for each; None where several kinds shared it."""


@dataclass(frozen=True)
class Report:
    """A whole test."""

    title: str
    rows: tuple[Row, ...]
    facts: tuple[tuple[str, str], ...]
    troubles: tuple[str, ...]


@dataclass(frozen=True)
class Growth:
    """How the memory of the server went, once it was warm."""

    bytes_at_first: float
    bytes_at_last: float
    more_offers: float
    """How many more it keeps than at first."""

    @property
    def flat(self) -> bool:
        grown = self.bytes_at_last - self.bytes_at_first - OFFER_BYTES * self.more_offers
        return grown <= max(GROWTH_BYTES_MAX, GROWTH_MAX * self.bytes_at_first)

    def __str__(self) -> str:
        verdict = "flat" if self.flat else "GROWING"
        return (
            f"{self.bytes_at_first / MIB:.1f} MiB, then {self.bytes_at_last / MIB:.1f}"
            f" with {self.more_offers:,.0f} more offers: {verdict}"
        )


def growth(samples: Sequence[float], more_offers: int = 0) -> Growth:
    """Of samples of the memory at equal distances, at least six. The warm-up does not count. `more_offers`
    came over the whole time, evenly.

    A straight line through the rest, by the medians of its two halves: one peak does not tilt it.
    """
    warm = samples[int(len(samples) * WARM_UP) :]
    half = len(warm) // 2
    early, late = statistics.median(warm[:half]), statistics.median(warm[half:])
    return Growth(early - (late - early) / 2, late + (late - early) / 2, more_offers * (1 - WARM_UP))


def rows(phase: str, tally: Tally, seconds: float, cpu_s: float | None = None) -> list[Row]:
    """One for each kind of question. `cpu_s`: of the server, if there was one kind only."""
    found = []
    for kind, times in sorted(tally.answers.items(), key=lambda item: -len(item[1])):
        if kind.startswith("(") or not times:  # the crowd's own, or all refused
            continue
        found.append(
            Row(
                phase=phase,
                what=kind.replace("_", " "),
                count=len(times),
                a_second=len(times) / seconds,
                p50_ms=1e3 * times.percentile_s(50),
                p99_ms=1e3 * times.percentile_s(99),
                longest_ms=1e3 * times.longest_s,
                cpu_ms=None if cpu_s is None else 1e3 * cpu_s / len(times),
            )
        )
    return found


def troubles(phase: str, tally: Tally) -> list[str]:
    """What should not happen to honest clients."""
    found = [
        f"{phase}: {count} x refused, {what}"
        for what, count in tally.refused.most_common()
        if what.rpartition(": ")[2] not in EXPECTED
    ]
    found += [f"{phase}: {count} x disconnected, {why}" for why, count in tally.ended.most_common()]
    if missed := tally.counts["ports not reached"]:
        found.append(f"{phase}: {missed} x an open port was not reached")
    return found


def expected_refusals(tallies: Iterable[Tally]) -> str:
    """The honest ones, for the record."""
    all_of_them: Counter[str] = Counter()
    for tally in tallies:
        all_of_them.update(tally.refused)
    named = [f"{what} {n:,}" for what, n in all_of_them.most_common() if what.rpartition(": ")[2] in EXPECTED]
    return ", ".join(named) or "none"


def terminal_table(report: Report) -> str:
    lines = [report.title]
    phase = None
    heads = f"{'count':>10}{'a second':>10}{'p50 ms':>9}{'p99 ms':>9}{'longest':>9}{'CPU ms':>8}"
    for row in report.rows:
        if row.phase != phase:
            phase = row.phase
            lines += ["", f"{phase:46}{heads}"]
        cpu = "" if row.cpu_ms is None else f"{row.cpu_ms:.3f}"
        lines.append(
            f"  {row.what:44}{row.count:10,}{row.a_second:10,.1f}{row.p50_ms:9.2f}{row.p99_ms:9.2f}"
            f"{row.longest_ms:9.1f}{cpu:>8}"
        )
    lines.append("")
    lines += [f"{name:46}{value}" for name, value in report.facts]
    return "\n".join([*lines, *report.troubles])


def readme_table(report: Report) -> str:
    """The section of the operator's guide, in Markdown."""
    lines = [report.title, "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in report.facts]
    lines += [
        "",
        "| | a second | p50 ms | p99 ms | CPU ms of the server, each |",
        "|---|---|---|---|---|",
    ]
    phase = None
    for row in report.rows:
        if row.phase != phase:
            phase = row.phase
            lines.append(f"| *{phase}* | | | | |")
        cpu = "" if row.cpu_ms is None else f"{row.cpu_ms:.2f}"
        lines.append(f"| {row.what} | {row.a_second:,.1f} | {row.p50_ms:.2f} | {row.p99_ms:.2f} | {cpu} |")
    return "\n".join([*lines, *([""] if report.troubles else []), *(f"- {each}" for each in report.troubles)])
