"""Draws what a swarm did, as SVG: a program of its own, for matplotlib is installed with the other tools.

    python swarm_picture.py swarm.json swarm.svg

The JSON is what swarm.py keeps: panels with lines of (x, y), see `Panel` there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.fonttype"] = "none"  # words stay words
matplotlib.rcParams["svg.hashsalt"] = "p2pshare"  # the same figures, the same file
from matplotlib import pyplot  # noqa: E402

INCHES = (5.4, 4.0)  # of a panel
POINTS_MAX = 150  # of a line


def main(figures: Path, picture: Path) -> None:
    told = json.loads(figures.read_text(encoding="utf-8"))
    panels = told["panels"]
    size = (INCHES[0] * len(panels), INCHES[1])
    drawing, all_axes = pyplot.subplots(1, len(panels), figsize=size, squeeze=False, layout="constrained")
    for axes, panel in zip(all_axes[0], panels, strict=True):
        draw(axes, panel)
    drawing.supxlabel(told["footnote"], fontsize=8, color="#666666")
    drawing.savefig(picture, metadata={"Date": None})


def draw(axes: Any, panel: dict[str, Any]) -> None:
    lines = panel["lines"]
    colours = matplotlib.colormaps["viridis"]
    for number, (name, points) in enumerate(lines):
        every = max(1, len(points) // POINTS_MAX)
        x, y = zip(*points[::every], points[-1], strict=True)
        colour = colours(0.9 * number / max(1, len(lines) - 1))
        axes.plot(x, y, label=name, linewidth=1.5, color=colour)
    axes.set(title=panel["title"], xlabel=panel["below"], ylabel=panel["beside"])
    axes.set(xlim=(0, None), **({"yscale": "log", "ylim": (0.1, None)} if panel["logarithmic"] else {}))
    axes.title.set_fontsize(11)
    axes.grid(color="#e4e4e4")
    handles, names = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], names[::-1], fontsize=8, loc="lower right")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
