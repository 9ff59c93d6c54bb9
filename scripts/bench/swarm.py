#!/usr/bin/env python3
"""How well many people who want the same file help each other: a table, and a picture of how copies grow.

One seed, N people who all begin at the same moment, equal uplinks. Efficiency is what no schedule can beat,
(F/u)(1 + floor(log2 N)/M), over what it took the last one. What can be run:

  model       the real plan, turns, slots and choice of neighbours, event by event: up to 1,000 people
  simulated   real engines and a real index server on simulated lines, up to 32 people
  sources     one person and several sources with unequal uplinks, simulated
  riders      40 % give nothing: what it costs the others, in the model and simulated
  processes   `p2pshare serve` processes on loopback beside libtorrent, up to 16 people

Uplinks are slow on purpose, so that the machine is not what is measured. libtorrent is a package of PyPI;
where it is not installed it is left out.
"""

from __future__ import annotations

import argparse
import datetime
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import structlog

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from p2pshare.limits import KIB, MIB, PIECE_BYTES_MIN  # noqa: E402
from scripts.bench.swarm_engine import run_engines, run_sources  # noqa: E402
from scripts.bench.swarm_model import run_model  # noqa: E402
from scripts.bench.swarm_outcome import HEAD, Outcome, Task  # noqa: E402
from scripts.bench.swarm_picture import Panel, growth_panel, picture, race_panel  # noqa: E402
from scripts.bench.swarm_processes import libtorrent, libtorrent_is_here, ours  # noqa: E402

MEMORY = Path("/dev/shm")
PICTURE = ROOT / "scripts" / "bench" / "swarm.svg"
FREE_RIDERS = 0.4
WAYS = ("model", "simulated", "sources", "riders", "processes")
SOURCES = ((512, 512), (96, 128, 192, 224), (64, 64, 64, 64, 64, 64, 64, 512))  # KiB/s
SCALE = 4  # the model counts pieces: it is given a quarter of the size and of the speed


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
            show(run_engines(number, size, uplink, options.seed))
    if "sources" in ways:
        for rates in SOURCES:
            used, twice = run_sources(tuple(rate * KIB for rate in rates), size, options.seed)
            told = ", ".join(map(str, rates))
            print(f"sources of {told} KiB/s: {used:.3f} of their sum, {twice:.2%} twice", flush=True)
    if "riders" in ways:
        for number in options.people or [32]:
            riders(number, size, uplink, options.seed)
    if "processes" in ways:
        for number in options.people or [4, 16]:
            race = processes(Task(number, size, PIECE_BYTES_MIN, uplink), options.pairs)
        panels.append(race_panel(race))
    if panels and (options.picture or ways == list(WAYS)):
        path = options.picture or PICTURE
        path.write_text(picture(panels, footnote(options.mib, options.uplink)), encoding="utf-8")
        print(f"drawn: {path}")
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


def processes(task: Task, pairs: int) -> list[Outcome]:
    """The last pair."""
    programs: list[Callable[[Path, Task], Outcome]] = [ours]
    if libtorrent_is_here():
        programs.append(libtorrent)
    else:
        print("libtorrent is not installed here and is left out: pip install libtorrent")
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


def footnote(mib: int, uplink: int) -> str:
    today = datetime.date.today().isoformat()
    return (
        f"Left: simulated, {mib // SCALE} MiB and {uplink // SCALE} KiB/s. Right: measured, {os.cpu_count()}"
        f" cores. Drawn by scripts/bench/swarm.py, {today}."
    )


if __name__ == "__main__":
    sys.exit(main())
