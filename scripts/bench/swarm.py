#!/usr/bin/env python3
"""How well many people who want the same file help each other: a table, and a picture of how copies grow.

One seed, N people who all begin at the same moment, equal uplinks. Efficiency is what no schedule can beat,
(F/u)(1 + floor(log2 N)/M), over what it took the last one. What can be run:

  model       the real plan, turns, slots and choice of neighbours, event by event: up to 1,000 people
  simulated   real engines and a real index server on simulated lines, up to 32 people
  sources     one person and several sources with unequal uplinks, simulated
  riders      40 % give nothing: what it costs the others, in the model and simulated
  processes   `p2pshare serve` processes on loopback beside libtorrent, up to 16 people

Uplinks are slow on purpose, so that the machine is not what is measured. libtorrent, and matplotlib for the
picture, are looked for among the tools of compare.py; what is not installed is left out:

    ~/.cache/p2pshare-bench/bin/pip install libtorrent matplotlib
"""

from __future__ import annotations

import argparse
import datetime
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs
import structlog

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from p2pshare.limits import KIB, MIB, PIECE_BYTES_MIN  # noqa: E402
from scripts.bench.swarm_engine import run_engines, run_sources  # noqa: E402
from scripts.bench.swarm_model import run_model  # noqa: E402
from scripts.bench.swarm_outcome import HEAD, Outcome, Task  # noqa: E402
from scripts.bench.swarm_processes import has, libtorrent, ours  # noqa: E402

MEMORY = Path("/dev/shm")
PICTURE = ROOT / "scripts" / "bench" / "swarm.svg"
TOOLS = platformdirs.user_cache_path("p2pshare-bench") / "bin"
FREE_RIDERS = 0.4
WAYS = ("model", "simulated", "sources", "riders", "processes")
SOURCES = ((512, 512), (96, 128, 192, 224), (64, 64, 64, 64, 64, 64, 64, 512))  # KiB/s
SCALE = 4  # what is simulated counts pieces: it is given a quarter of the size and of the speed

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """One diagram."""

    title: str
    below: str
    beside: str
    lines: list[tuple[str, Points]]
    logarithmic: bool


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ways", nargs="*", metavar="WAY", help="which of them; all if none is named")
    parser.add_argument("--people", type=int, nargs="*", help="N, instead of the usual ones")
    parser.add_argument("--mib", type=int, default=64, help="size of the file (default: 64)")
    parser.add_argument("--uplink", type=int, default=512, help="KiB/s (default: 512)")
    parser.add_argument("--pairs", type=int, default=1, help="runs of each program, in turn")
    parser.add_argument("--seed", type=int, default=0, help="of what is left to chance in simulations")
    parser.add_argument("--picture", type=Path, help=f"where to draw (usual: {PICTURE.relative_to(ROOT)})")
    parser.add_argument("--tools", type=Path, default=TOOLS, help="where pip put them (default: %(default)s)")
    options = parser.parse_args()
    ways = options.ways or list(WAYS)
    if unknown := [way for way in ways if way not in WAYS]:
        parser.error(f"there is no {unknown[0]!r}; there are: {', '.join(WAYS)}")
    size, uplink = options.mib * MIB, options.uplink * KIB
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print(f"{options.mib} MiB, uplinks of {options.uplink} KiB/s; {os.cpu_count()} cores")
    print(HEAD, flush=True)
    panels: list[Panel] = []
    if "model" in ways:
        people = options.people or [4, 8, 16, 32, 100, 316, 1_000]
        tasks = [Task(number, size // SCALE, PIECE_BYTES_MIN, uplink // SCALE) for number in people]
        panels.append(growth_panel([show(run_model(task, options.seed)) for task in tasks]))
    if "simulated" in ways:
        for number in options.people or [8, 32]:
            show(run_engines(number, size // SCALE, uplink // SCALE, options.seed))
    if "sources" in ways:
        for rates in SOURCES:
            used, twice = run_sources(tuple(rate * KIB for rate in rates), size, options.seed)
            told = ", ".join(map(str, rates))
            print(f"sources of {told} KiB/s: {used:.3f} of their sum, {twice:.2%} twice", flush=True)
    if "riders" in ways:
        for number in options.people or [32]:
            riders(number, size // SCALE, uplink // SCALE, options.seed)
    if "processes" in ways:
        for number in options.people or [4, 16]:
            race = processes(Task(number, size, PIECE_BYTES_MIN, uplink), options.pairs, options.tools)
        panels.append(race_panel(race))
    if panels and (options.picture or ways == list(WAYS)):
        draw(panels, footnote(options.mib, options.uplink), options.picture or PICTURE, options.tools)
    return 0


def show(outcome: Outcome) -> Outcome:
    print(outcome.row(), flush=True)
    return outcome


def riders(people: int, size: int, uplink: int, seed: int) -> None:
    """What free riders cost those who give."""
    free = round(people * FREE_RIDERS)
    for who, run in (("model", run_model_of), ("real engines, simulated", run_engines)):
        without = run(people - free, size, uplink, seed, 0)
        with_them = run(people, size, uplink, seed, free)
        with_them.who = f"{who[:12]}, {free} take only"
        show(without)
        show(with_them)
        print(f"  the others take {with_them.took_s / without.took_s - 1:+.1%} longer with them", flush=True)


def run_model_of(people: int, size: int, uplink: int, seed: int, free_riders: int) -> Outcome:
    return run_model(Task(people, size, PIECE_BYTES_MIN, uplink), seed, free_riders)


def processes(task: Task, pairs: int, tools: Path) -> list[Outcome]:
    """The last pair."""
    programs: list[Callable[[Path, Task], Outcome]] = [ours]
    if has(tools, "libtorrent"):
        programs.append(lambda folder, task: libtorrent(folder, task, tools))
    else:
        print(f"libtorrent was left out: it is not installed in {tools.parent}.")
    last: list[Outcome] = []
    for _ in range(pairs):
        last = []
        for program in programs:
            folder = Path(tempfile.mkdtemp(prefix="p2pshare-swarm-", dir=MEMORY if MEMORY.is_dir() else None))
            try:
                last.append(show(program(folder, task)))
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    return last


# --- the picture ------------------------------------------------------------------------------------------


def growth_panel(outcomes: Sequence[Outcome]) -> Panel:
    """Copies on a logarithmic scale: a straight line upwards is doubling."""
    return Panel(
        title="One seed, N people, equal uplinks",
        below="time, in the time one copy takes through one uplink",
        beside="copies in the swarm, all pieces added up",
        lines=[
            (
                f"N = {outcome.task.people}",
                [(at / outcome.task.copy_s, copies) for at, copies in outcome.growth if copies > 0],
            )
            for outcome in outcomes
        ],
        logarithmic=True,
    )


def race_panel(outcomes: Sequence[Outcome]) -> Panel:
    """How much of all the copies is there, for several programs doing the same."""
    task = outcomes[0].task
    return Panel(
        title=f"Processes: {task.size // MIB} MiB to {task.people} people, {task.uplink // KIB} KiB/s each",
        below="seconds",
        beside="% of all copies",
        lines=[
            *(
                (outcome.who, [(at, 100 * copies / task.people) for at, copies in outcome.growth])
                for outcome in outcomes
            ),
            ("no schedule is faster", [(0.0, 0.0), (task.ideal_s, 100.0)]),
        ],
        logarithmic=False,
    )


def draw(panels: list[Panel], words: str, path: Path, tools: Path) -> None:
    if not has(tools, "matplotlib"):
        print(f"No picture was drawn: matplotlib is not installed in {tools.parent}.")
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "swarm.json"
        told = {"panels": [asdict(panel) for panel in panels], "footnote": words}
        figures.write_text(json.dumps(told), encoding="utf-8")
        program = Path(__file__).with_name("swarm_picture.py")
        subprocess.run([tools / "python", program, figures, path], check=True)
    print(f"drawn: {path}")


def footnote(mib: int, uplink: int) -> str:
    today = datetime.date.today().isoformat()
    return (
        f"Left: simulated, {mib // SCALE} MiB and {uplink // SCALE} KiB/s. Right: measured, {os.cpu_count()}"
        f" cores. Drawn by scripts/bench/swarm.py, {today}."
    )


if __name__ == "__main__":
    sys.exit(main())
