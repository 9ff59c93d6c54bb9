"""What a comparison of search engines or of servers measured, and how it is shown. PURE.

All of them answered in the same round, one after the other, so a ratio compares what was measured within
seconds. Minimum, median and maximum are over the rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scripts.bench.figures import Spread, spread
from scripts.bench.times import percentile

SEARCHES_MARKER = "<!-- searches -->"


@dataclass(frozen=True)
class Cell:
    """One program at one task: what it took in each round, in milliseconds."""

    p50_ms: tuple[float, ...]
    p99_ms: tuple[float, ...] = ()
    """Empty if there was one measurement a round."""


@dataclass(frozen=True)
class Comparison:
    """`cells`: for each task, one of each program; ours first. `facts`: more rows, as texts."""

    title: str
    programs: tuple[str, ...]
    cells: dict[str, tuple[Cell, ...]]
    facts: dict[str, tuple[str, ...]]
    missing: tuple[str, ...]


def cell(rounds: Sequence[Sequence[float]]) -> Cell:
    """Of seconds, several a round."""
    p50 = tuple(1e3 * percentile(times, 50) for times in rounds)
    if all(len(times) == 1 for times in rounds):
        return Cell(p50)
    return Cell(p50, tuple(1e3 * percentile(times, 99) for times in rounds))


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> Spread:
    """How many times as long theirs took, round by round."""
    return spread(their / our for their, our in zip(theirs, ours, strict=True))


def milliseconds(one: Cell) -> str:
    """Medians over the rounds: p50 and p99."""
    parts = [spread(one.p50_ms).middle, *([spread(one.p99_ms).middle] if one.p99_ms else [])]
    return " / ".join(_short(part) for part in parts)


def times_as_long(theirs: Cell, ours: Cell) -> str:
    """Minimum, median and maximum of the ratio at p50; the median at p99, too."""
    middle = ratio(theirs.p50_ms, ours.p50_ms)
    text = f"{_short(middle.low)} {_short(middle.middle)} {_short(middle.high)}"
    if theirs.p99_ms:
        text += f" / {_short(ratio(theirs.p99_ms, ours.p99_ms).middle)}"
    return text


def terminal_table(comparison: Comparison) -> str:
    heads = "".join(f"{name:>30}" for name in comparison.programs)
    lines = [comparison.title, "", f"{'ms: p50 / p99':28}{heads}"]
    for task, cells in comparison.cells.items():
        lines.append(f"{task:28}" + "".join(f"{milliseconds(one):>30}" for one in cells))
        ratios = "".join(f"{'x ' + times_as_long(one, cells[0]):>30}" for one in cells[1:])
        lines.append(f"{'':28}{'':30}{ratios}")
    for name, texts in comparison.facts.items():
        lines.append(f"{name:28}" + "".join(f"{text:>30}" for text in texts))
    return "\n".join([*lines, *comparison.missing])


def readme_table(comparison: Comparison) -> str:
    """The README's section, in Markdown."""
    lines = [
        comparison.title,
        "",
        f"| | {' | '.join(comparison.programs)} |",
        "|---" * (1 + len(comparison.programs)) + "|",
    ]
    for task, cells in comparison.cells.items():
        texts = [f"**{milliseconds(cells[0])}**"]
        texts += [f"{milliseconds(one)} (x {times_as_long(one, cells[0])})" for one in cells[1:]]
        lines.append(f"| {task} | {' | '.join(texts)} |")
    lines += [f"| {name} | {' | '.join(texts)} |" for name, texts in comparison.facts.items()]
    return "\n".join([*lines, *([""] if comparison.missing else []), *comparison.missing])


def _short(value: float) -> str:
    """Two digits that count, or all of them."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
