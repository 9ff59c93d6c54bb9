#!/usr/bin/env python3
"""Our index server beside a Direct Connect hub, on the same job over sockets: so many people, who search.

    apt install uhub
    .venv/bin/python scripts/bench/hubs.py --readme

uhub (C, one thread) keeps no index: it passes every search on to everybody, who look for themselves. Ours
answers it, with names, sizes and sources, through encrypted connections; the hub's are plain, and what the
people answer goes around it and is not counted, nor is how their programs look for it. Both get the same
queries, in turn: first one after the other, then several at a time. Everything listens on 127.0.0.1 only.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.bench.compare import MEMORY, README, machine_size  # noqa: E402
from scripts.bench.corpus import Corpus  # noqa: E402
from scripts.bench.figures import replaced  # noqa: E402
from scripts.bench.hubs_adc import Clients, hub  # noqa: E402
from scripts.bench.load_server import crowds, serving  # noqa: E402
from scripts.bench.memory import resident_bytes  # noqa: E402
from scripts.bench.programs.direct_connect import NEEDS  # noqa: E402
from scripts.bench.programs.processes import cpu_s, search_path  # noqa: E402
from scripts.bench.search_figures import Cell, Comparison, readme_table, terminal_table  # noqa: E402

HUBS_MARKER = "<!-- hubs -->"
WINDOW = 16
CLIENTS_MAX = 5_000


class Rounds:
    """What each round gave, in milliseconds, for ours and for the hub."""

    def __init__(self) -> None:
        self._values: defaultdict[str, tuple[list[tuple[float, ...]], ...]] = defaultdict(lambda: ([], []))

    def add(self, task: str, who: int, *seconds: float) -> None:
        """`seconds`: one, or those at p50 and at p99."""
        self._values[task][who].append(tuple(1e3 * each for each in seconds))

    def cells(self) -> dict[str, tuple[Cell, ...]]:
        return {task: tuple(map(self._cell, both)) for task, both in self._values.items()}

    @staticmethod
    def _cell(rounds: list[tuple[float, ...]]) -> Cell:
        columns = list(zip(*rounds, strict=True))
        return Cell(columns[0], columns[1] if len(columns) > 1 else ())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--clients", type=int, nargs="+", default=[100, 1_000, 3_000], help="people (default: 100 1000 3000)"
    )
    parser.add_argument("--files", type=float, default=100, help="of each, in the mean (default: 100)")
    parser.add_argument("--names", type=int, default=50_000, help="different files (default: 50000)")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds (default: 5)")
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement (default: 2)")
    parser.add_argument("--readme", action="store_true", help="show the table in the README")
    options = parser.parse_args()
    if max(options.clients) > CLIENTS_MAX:
        parser.error(f"At most {CLIENTS_MAX} clients: on a hub, everybody is told of everybody.")
    if options.readme and HUBS_MARKER not in README.read_text(encoding="utf-8"):
        parser.error(f"{README} has no {HUBS_MARKER}.")
    if shutil.which("uhub", path=search_path()) is None:
        print("There is nothing to compare with: uhub is not installed (apt install uhub).")
        return 1
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # to clean up then, too
    try:
        comparison = measure(options)
    except KeyboardInterrupt:
        print("Interrupted; everything is cleaned up.")
        return 1
    print(terminal_table(comparison))
    if options.readme:
        text = replaced(README.read_text(encoding="utf-8"), readme_table(comparison), HUBS_MARKER)
        README.write_text(text, encoding="utf-8")
    return 0


def measure(options: argparse.Namespace) -> Comparison:
    rounds = Rounds()
    memory: dict[str, tuple[str, ...]] = {}
    corpus = Corpus(options.names)
    for clients in options.clients:
        with tempfile.TemporaryDirectory(prefix="p2pshare-hubs-", dir=MEMORY) as name:
            memory[f"{clients:,} people: memory of each, KiB"] = _side_by_side(
                Path(name), clients, options, corpus, rounds
            )
    [uhub] = [tool for tool in NEEDS if tool.name == "uhub"]
    title = (
        f"People with {options.files:g} files each; a search is answered when the hub has told everybody of"
        " it, or when ours has said who has what; milliseconds at p50 and p99, and how many times as long as"
        f" ours (minimum, median, maximum of {options.rounds} rounds)"
        f" ({date.today():%Y-%m-%d}; {machine_size()}; uhub {uhub.version(ROOT)})."
    )
    return Comparison(title, ("p2pshare", "uhub, plain"), rounds.cells(), memory, ())


def _side_by_side(
    folder: Path, clients: int, options: argparse.Namespace, corpus: Corpus, rounds: Rounds
) -> tuple[str, str]:
    """Memory for each connection, of ours and of the hub."""
    print(f"{clients} people ...", file=sys.stderr, flush=True)
    with ExitStack() as stack:
        pid, port = stack.enter_context(hub(folder / "hub", clients))
        hub_before = resident_bytes(pid)
        people = Clients(port, clients)
        stack.callback(people.close)
        server = stack.enter_context(serving(folder / "ours", [f"connections.total={clients + 100}"]))
        where = server.start()
        ours_before = server.resident_bytes()
        crowd = stack.enter_context(
            crowds(
                server,
                where,
                folder,
                processes=1,
                clients=clients,
                files=options.files,
                names=options.names,
            )
        )
        crowd.do({"do": "come"})
        grown = server.resident_bytes() - ours_before, resident_bytes(pid) - hub_before
        for number in range(options.rounds + 1):  # the first warms both up
            for window, how in ((1, "one search after the other"), (WINDOW, f"{WINDOW} at a time")):
                order = {"do": "search", "kind": "", "seconds": options.seconds, "round": number}
                outcome = crowd.do({**order, "window": window})
                times = outcome.tally.answers["search"]
                words = _queries(corpus, f"searches  {number}")  # as the crowd has them
                cpu_before = cpu_s(pid)
                asked, seconds = people.search(options.seconds, window, words)
                hub_cpu_s = cpu_s(pid) - cpu_before
                if not number:
                    continue
                task = f"{clients:,} people, {how}"
                if window == 1:
                    for who, each in enumerate((times, people.times)):
                        rounds.add(task, who, each.percentile_s(50), each.percentile_s(99))
                else:
                    rounds.add(f"{task}: each", 0, outcome.results[0]["seconds"] / len(times))
                    rounds.add(f"{task}: each", 1, seconds / asked)
                    rounds.add(f"{task}: CPU of the server", 0, outcome.cpu_s / len(times))
                    rounds.add(f"{task}: CPU of the server", 1, hub_cpu_s / asked)
    return f"{grown[0] / clients / 1024:.1f}, with its files", f"{grown[1] / clients / 1024:.1f}"


def _queries(corpus: Corpus, seed: str) -> Callable[[], tuple[str, ...]]:
    """The words of one query after the other, in every run the same."""
    rng = random.Random(seed)
    return lambda: corpus.query(rng).words


if __name__ == "__main__":
    sys.exit(main())
