#!/usr/bin/env python3
"""Runs scenarios in simulated worlds: one again as it failed, or many seeds to hunt for what goes wrong."""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.sim import scenarios  # noqa: E402
from tests.sim.world import run_scenario  # noqa: E402
from tests.world import SCENARIOS  # noqa: E402

assert scenarios  # they are told by importing them


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, epilog="Scenarios: " + ", ".join(SCENARIOS))
    parser.add_argument("names", nargs="*", metavar="SCENARIO", help="part of a name; all if none is given")
    parser.add_argument("--seed", type=int, help="run this seed only")
    parser.add_argument("--seeds", type=int, default=20, help="run so many seeds of each (default: 20)")
    parser.add_argument("--start", type=int, default=0, help="begin with this seed (default: 0)")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first failure")
    wanted = parser.parse_args()
    chosen = [name for name in SCENARIOS if not wanted.names or any(part in name for part in wanted.names)]
    if not chosen:
        parser.error("there is no such scenario")
    seeds = range(wanted.start, wanted.start + wanted.seeds) if wanted.seed is None else [wanted.seed]
    failed: list[str] = []
    began = time.perf_counter()
    for seed in seeds:
        for name in chosen:
            try:
                run_scenario(SCENARIOS[name][0], seed)
            except Exception:
                traceback.print_exc()
                failed.append(f"{name} --seed {seed}")
                print(f"FAILED: {failed[-1]}", flush=True)
                if not wanted.keep_going:
                    return 1
    runs, seconds = len(seeds) * len(chosen), time.perf_counter() - began
    print(
        f"{runs} runs of {len(chosen)} scenarios in {seconds:.0f} s, {len(failed)} failed.", *failed, sep="\n"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    # Sets of ids are in an order that follows from hashes, which differ from process to process unless told.
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})
    sys.exit(main())
