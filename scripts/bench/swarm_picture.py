"""The growth of copies over time as an SVG picture, written by hand: lines, axes and words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from scripts.bench.swarm_outcome import Outcome

WIDTH, HEIGHT = 460, 330  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 58, 96, 46, 44
COLOURS = ("#1b6ca8", "#2a9d8f", "#8ab17d", "#c9a227", "#e07a2f", "#b23a48", "#6d597a", "#444444")


@dataclass(frozen=True)
class Panel:
    """One diagram: copies over time, or the part that is there over time."""

    title: str
    below: str
    beside: str
    lines: Sequence[tuple[str, Sequence[tuple[float, float]]]]
    x_max: float
    y_min: float
    y_max: float
    logarithmic: bool


def growth_panel(outcomes: Sequence[Outcome]) -> Panel:
    """Copies on a logarithmic scale: a straight line upwards is doubling."""
    lines = []
    for outcome in outcomes:
        points = [(at / outcome.task.copy_s, copies) for at, copies in outcome.growth if copies > 0]
        lines.append((f"{outcome.task.people}", points))
    return Panel(
        title="One seed, N people, equal uplinks: copies in the swarm",
        below="time, in the time one copy takes through one uplink",
        beside="copies (all pieces added up)",
        lines=lines,
        x_max=1.25,
        y_min=0.1,
        y_max=max(outcome.task.people for outcome in outcomes) * 1.3,
        logarithmic=True,
    )


def race_panel(outcomes: Sequence[Outcome]) -> Panel:
    """How much of all the copies is there, for several programs doing the same."""
    task = outcomes[0].task
    lines = [
        (outcome.who, [(at, 100 * copies / outcome.task.people) for at, copies in outcome.growth])
        for outcome in outcomes
    ]
    ideal = [(0.0, 0.0), (task.ideal_s, 100.0)]
    return Panel(
        title=f"Processes: {task.size >> 20} MiB to {task.people} people, {task.uplink >> 10} KiB/s each",
        below="seconds",
        beside="% of all copies",
        lines=[*lines, ("no faster", ideal)],
        x_max=max(outcome.took_s for outcome in outcomes) * 1.05,
        y_min=0.0,
        y_max=100.0,
        logarithmic=False,
    )


def picture(panels: Sequence[Panel], footnote: str) -> str:
    """The whole SVG text."""
    width, height = WIDTH * len(panels), HEIGHT + 22
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
        f' font-size="11" role="img">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for number, panel in enumerate(panels):
        parts.append(f'<g transform="translate({number * WIDTH} 0)">')
        parts += _panel(panel)
        parts.append("</g>")
    parts.append(f'<text x="12" y="{height - 8}" fill="#666">{escape(footnote)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel) -> list[str]:
    inner_w, inner_h = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(value: float) -> float:
        return LEFT + inner_w * value / panel.x_max

    def y(value: float) -> float:
        if panel.logarithmic:
            low, high = math.log(panel.y_min), math.log(panel.y_max)
            part = (math.log(max(value, panel.y_min)) - low) / (high - low)
        else:
            part = (value - panel.y_min) / (panel.y_max - panel.y_min)
        return TOP + inner_h * (1 - part)

    parts = [f'<text x="{LEFT}" y="22" font-size="13">{escape(panel.title)}</text>']
    for tick in _ticks(panel.y_min, panel.y_max, panel.logarithmic):
        parts.append(
            f'<path d="M{LEFT} {y(tick):.1f}h{inner_w}" stroke="#e4e4e4"/>'
            f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    for tick in _ticks(0.0, panel.x_max, False):
        parts.append(
            f'<path d="M{x(tick):.1f} {TOP + inner_h}v4" stroke="#888"/>'
            f'<text x="{x(tick):.1f}" y="{TOP + inner_h + 16}" text-anchor="middle">{tick:g}</text>'
        )
    parts.append(f'<path d="M{LEFT} {TOP}V{TOP + inner_h}h{inner_w}" stroke="#888" fill="none"/>')
    middle = LEFT + inner_w / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{HEIGHT - 10}" text-anchor="middle">{escape(panel.below)}</text>'
        f'<text transform="translate(14 {TOP + inner_h / 2:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(panel.beside)}</text>"
    )
    for number, (name, points) in enumerate(panel.lines):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in _thinned(points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        label = TOP + 12 + 16 * (len(panel.lines) - 1 - number if panel.logarithmic else number)
        at = LEFT + inner_w + 8
        parts.append(
            f'<path d="M{at} {label - 4}h14" stroke="{colour}" stroke-width="2.4"/>'
            f'<text x="{at + 18}" y="{label}">{escape(("N = " if panel.logarithmic else "") + name)}</text>'
        )
    return parts


def _ticks(low: float, high: float, logarithmic: bool) -> list[float]:
    if logarithmic:
        return [10.0**n for n in range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high)) + 1)]
    step = 10.0 ** math.floor(math.log10(high))
    while high / step < 4:
        step /= 2 if high / step >= 2 else 4
    return [step * n for n in range(math.floor(high / step + 1e-9) + 1) if step * n >= low]


def _thinned(points: Sequence[tuple[float, float]], most: int = 160) -> list[tuple[float, float]]:
    every = max(1, len(points) // most)
    return [*points[::every], points[-1]] if points else []
