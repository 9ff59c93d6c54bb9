#!/usr/bin/env python3
"""Our catalogue beside the search engines that others would use, as libraries, on the same files and queries.

    apt install python3-xapian postgresql
    python3 -m venv ~/.cache/p2pshare-bench
    ~/.cache/p2pshare-bench/bin/pip install tantivy 'psycopg[binary]'
    .venv/bin/python scripts/bench/search_engines.py --readme

Each engine is a process of its own with its files in memory-backed storage; all hold the same names and get
the same queries, and give the 50 files that most people hold, each with its name. They work in turn, class by
class and round by round, one at a time. Ours does more: it also knows who holds each file, hides what nobody
online holds, counts all matches, and ranks by where the words stand. An engine that is not installed is left
out. PostgreSQL runs in a cluster of its own that listens on no network.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.bench.compare import MEMORY, README, TOOLS, machine_size  # noqa: E402
from scripts.bench.corpus import QUERY_CLASSES  # noqa: E402
from scripts.bench.engines.engine import KINDS, LIMIT, Kind  # noqa: E402
from scripts.bench.figures import replaced  # noqa: E402
from scripts.bench.programs.processes import running  # noqa: E402
from scripts.bench.search_figures import (  # noqa: E402
    SEARCHES_MARKER,
    Comparison,
    cell,
    readme_table,
    terminal_table,
)

MIB = 1 << 20
CHANGED = 1_000  # files added and removed at a time
SYSTEM_PYTHON = Path("/usr/bin/python3")


class Running:
    """An engine in its process."""

    def __init__(self, kind: Kind, process: subprocess.Popen[str], log: Path) -> None:
        self.kind = kind
        self._process = process
        self._log = log

    def read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildProcessError(f"{self.kind.name} has ended: {self._log.read_text()[-400:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def do(self, **order: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self.read()

    def end(self) -> None:
        """The end of its input is its end; it cleans up."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


@contextmanager
def engine(kind: Kind, folder: Path, names: int, sources: float, tools: Path) -> Iterator[Running]:
    python = {"ours": Path(sys.executable), "system": SYSTEM_PYTHON, "tools": tools / "python"}[kind.python]
    if not python.exists():
        raise FileNotFoundError(f"{python} is not there")
    place, log = folder / kind.module, folder / f"{kind.module}.log"
    place.mkdir()
    command = [python, "-m", "scripts.bench.engines.worker", kind.module, names, sources, place]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with running(command, log, env={"PYTHONPATH": str(ROOT)}, cwd=ROOT, **pipes) as process:
        running_engine = Running(kind, process, log)
        try:
            yield running_engine
        finally:
            running_engine.end()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--names", type=int, default=100_000, help="different files (default: 100000)")
    parser.add_argument(
        "--sources", type=float, default=2, help="people who hold each, mean; ours keeps all (default: 2)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds (default: 5)")
    parser.add_argument("--queries", type=int, default=100, help="of each class in each round (default: 100)")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="parts of the engines' names")
    parser.add_argument(
        "--tools", type=Path, default=TOOLS, help="where pip put things (default: %(default)s)"
    )
    parser.add_argument("--readme", action="store_true", help="show the table in the README")
    options = parser.parse_args()
    if options.readme and SEARCHES_MARKER not in README.read_text(encoding="utf-8"):
        parser.error(f"{README} has no {SEARCHES_MARKER}.")
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # to clean up then, too
    try:
        comparison = measure(options)
    except KeyboardInterrupt:
        print("Interrupted; everything is cleaned up.")
        return 1
    print(terminal_table(comparison))
    if options.readme:
        text = replaced(README.read_text(encoding="utf-8"), readme_table(comparison), SEARCHES_MARKER)
        README.write_text(text, encoding="utf-8")
    return 0


def measure(options: argparse.Namespace) -> Comparison:
    wanted = [
        kind
        for number, kind in enumerate(KINDS)
        if not number or not options.only or any(part.lower() in kind.name.lower() for part in options.only)
    ]
    engines: list[Running] = []
    versions: list[str] = []
    missing: list[str] = []
    with tempfile.TemporaryDirectory(prefix="p2pshare-search-", dir=MEMORY) as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL runs as another user, and goes through to its own folder
        for kind in wanted:
            print(f"{kind.name} ...", file=sys.stderr, flush=True)
            try:
                one = stack.enter_context(engine(kind, folder, options.names, options.sources, options.tools))
                said = one.read()
                if "missing" in said:
                    raise FileNotFoundError(said["missing"])
            except (ChildProcessError, FileNotFoundError) as error:
                missing.append(f"{kind.name} was left out: {error} ({kind.install}).")
                continue
            engines.append(one)
            versions.append(said["version"])
        built = [_built(one) for one in engines]
        times, disagreements = _rounds(engines, options.rounds, options.queries)
    facts = {
        "memory, MiB": tuple(f"{each['bytes'] / MIB:,.0f}" for each in built),
        "files beside it, MiB": tuple(f"{each['file_bytes'] / MIB:,.0f}" for each in built),
        "taking up all, s": tuple(f"{each['seconds']:.1f}" for each in built),
        "finds as many as ours": ("", *disagreements),
    }
    title = (
        f"{options.names:,} names, held by {options.sources:g} people each; the best {LIMIT}; milliseconds at"
        f" p50 and p99, and how many times as long as ours at p50 (minimum, median, maximum of"
        f" {options.rounds} rounds) and at p99 ({date.today():%Y-%m-%d}; {machine_size()};"
        f" {', '.join(versions[1:])})."
    )
    cells = {task: tuple(cell(rounds) for rounds in each) for task, each in times.items()}
    return Comparison(title, tuple(one.kind.name for one in engines), cells, facts, tuple(missing))


def _built(one: Running) -> dict[str, Any]:
    print(f"{one.kind.name} takes up all files ...", file=sys.stderr, flush=True)
    return one.do(do="build")


def _rounds(
    engines: list[Running], rounds: int, queries: int
) -> tuple[dict[str, list[list[list[float]]]], list[str]]:
    """Seconds by task, engine and round; and how often each of the others found as many as ours."""
    times: defaultdict[str, list[list[list[float]]]] = defaultdict(lambda: [[] for _ in engines])
    same, asked = [0] * len(engines), 0
    for number in range(rounds + 1):  # the first warms everything up
        print(f"round {number} ...", file=sys.stderr, flush=True)
        for kind in QUERY_CLASSES:
            answers = [one.do(do="search", kind=kind, round=number, count=queries) for one in engines]
            asked += queries
            for place, answer in enumerate(answers):
                same[place] += sum(map(int.__eq__, answer["found"], answers[0]["found"]))
                if number:
                    times[kind][place].append(answer["times"])
        for place, one in enumerate(engines):
            changed = one.do(do="change", round=number, count=CHANGED)
            if number:
                times[f"add {CHANGED:,} files"][place].append([changed["add"]])
                times[f"remove {CHANGED:,} files"][place].append([changed["remove"]])
    return dict(times), [f"{100 * count / asked:.1f} %" for count in same[1:]]


if __name__ == "__main__":
    sys.exit(main())
