"""What a comparison measured, and how it is shown. Pure: times in, tables out.

Every program was run in turn with ours, A B A B, so a ratio compares two runs that were neighbours in time.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scripts.bench.programs.program import Group, Run

MIB = 1 << 20
GIB = 1 << 30
MARKER = "<!-- speeds -->"
MARKER_END = "<!-- end -->"
OURS = "**p2pshare**"


@dataclass(frozen=True)
class Pairing:
    """One program and ours, in turn. The runs with the same number are neighbours."""

    program: str
    group: Group
    versions: str
    ours: tuple[Run, ...]
    theirs: tuple[Run, ...]


@dataclass(frozen=True)
class Figures:
    """One comparison."""

    date: str
    machine: str  # its size, in words
    mib: int  # size of the file
    pairings: tuple[Pairing, ...]
    missing: tuple[str, ...]  # one sentence for each program that was left out


@dataclass(frozen=True)
class Spread:
    """What several runs gave."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class Row:
    """One program. `times_faster` is how many times as fast ours was; None for ours."""

    program: str
    mb_per_s: Spread
    sender_cpu_s_per_gib: float
    receiver_cpu_s_per_gib: float
    times_faster: Spread | None


def spread(values: Iterable[float]) -> Spread:
    """Of at least one value."""
    ordered = sorted(values)
    return Spread(ordered[0], statistics.median(ordered), ordered[-1])


def row(program: str, runs: Sequence[Run], mib: int, ours: Sequence[Run] | None = None) -> Row:
    ratios = None
    if ours is not None:
        ratios = spread(their.seconds / our.seconds for their, our in zip(runs, ours, strict=True))
    scale = GIB / (mib * MIB)
    return Row(
        program,
        spread(mib * MIB / 1e6 / run.seconds for run in runs),
        scale * statistics.median(run.sender_cpu_s for run in runs),
        scale * statistics.median(run.receiver_cpu_s for run in runs),
        ratios,
    )


def rows(figures: Figures) -> dict[Group, list[Row]]:
    """Ours is the first of the first group; then the fastest of each group first."""
    grouped: dict[Group, list[Row]] = {group: [] for group in Group}
    for pairing in figures.pairings:
        grouped[pairing.group].append(row(pairing.program, pairing.theirs, figures.mib, pairing.ours))
    for each in grouped.values():
        each.sort(key=lambda one: -one.mb_per_s.middle)
    if figures.pairings:
        all_ours = [run for pairing in figures.pairings for run in pairing.ours]
        grouped[Group.VERIFIED].insert(0, row(OURS, all_ours, figures.mib))
    return {group: found for group, found in grouped.items() if found}


def terminal_table(figures: Figures) -> str:
    """For people at a terminal."""
    lines = [
        f"{figures.mib} MiB, one receiver, loopback, memory-backed; {figures.machine}; {figures.date}",
        f"{'':36}{'MB/s: min, median, max':>26}{'CPU s/GiB: sender + receiver':>32}{'ours is x as fast':>22}",
    ]
    for group, found in rows(figures).items():
        lines.append(f"{group}:")
        for each in found:
            speed, cpu = _whole(each.mb_per_s, "  "), _cpu(each)
            lines.append(f"  {each.program.strip('*'):34}{speed:>26}{cpu:>32}{_ratio(each, '  '):>22}")
    return "\n".join([*lines, *figures.missing])


def readme_table(figures: Figures) -> str:
    """The README's section, in Markdown."""
    lines = [
        f"One file of {figures.mib / 1024:g} GiB over loopback into memory-backed storage, in turn with ours"
        f" ({figures.date}; {figures.machine}). Each cell gives minimum, median and maximum of the runs."
        " Absolute speeds drift; read the ratio.",
        "",
        "| | MB/s | CPU seconds per GiB, sender + receiver | p2pshare is x as fast |",
        "|---|---|---|---|",
    ]
    for group, found in rows(figures).items():
        lines.append(f"| *{group}* | | | |")
        lines += [
            f"| {each.program} | {_whole(each.mb_per_s)} | {_cpu(each)} | {_ratio(each)} |" for each in found
        ]
    versions = sorted({version for each in figures.pairings for version in each.versions.split(", ")})
    return "\n".join([*lines, "", f"({', '.join(versions)}.)"])


def replaced(text: str, section: str, marker: str = MARKER) -> str:
    """A text with another section between the markers. Raises ValueError if it has no markers."""
    before, begin, rest = text.partition(marker + "\n")
    _, end, after = rest.partition(MARKER_END)
    if not (begin and end):
        raise ValueError(f"There is no {marker} with a {MARKER_END} behind it.")
    return f"{before}{begin}{section}\n{end}{after}"


def _whole(speed: Spread, gap: str = " ") -> str:
    return f"{speed.low:.0f}{gap}{speed.middle:.0f}{gap}{speed.high:.0f}"


def _cpu(each: Row) -> str:
    return f"{each.sender_cpu_s_per_gib:.2f} + {each.receiver_cpu_s_per_gib:.2f}"


def _ratio(each: Row, gap: str = " ") -> str:
    if each.times_faster is None:
        return ""
    ratio = each.times_faster
    return f"{ratio.low:.2f}{gap}{ratio.middle:.2f}{gap}{ratio.high:.2f}"
