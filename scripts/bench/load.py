#!/usr/bin/env python3
"""A crowd on an index server: what people do, as many at once, and what the server does about it.

    .venv/bin/python scripts/bench/load.py                              four minutes, 1,000 clients
    .venv/bin/python scripts/bench/load.py --clients 5000 --soak 15     a soak; exit code 1 if it finds fault

A real `p2pshare-index` with its default settings is put under load by processes of their own, each with
hundreds or thousands of clients, through real encrypted connections over loopback, each client from an
address of its own in 127.0.0.0/8. In turn:

    come        everybody registers, logs in, publishes, and has their port tested
    live        people search, ask for tickets (four times as often), look for sources, publish changes,
                leave, and others come: each as often as measured, times --hurry; files by Zipf's law
    search      one search after the other, then as many as the server can answer, for each class of words
    share       one newcomer offers much at once, while another process searches
    restart     the server is ended and started again; everybody comes back as clients do
    rest        nobody asks anything: what an idle connection costs; then everybody loses it, and is back

A soak is `come`, and then `live` for so long. Nothing listens anywhere but on loopback; everything is ended
and deleted at the end.
"""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.bench.compare import MEMORY, machine_size  # noqa: E402
from scripts.bench.corpus import QUERY_CLASSES  # noqa: E402
from scripts.bench.figures import replaced  # noqa: E402
from scripts.bench.load_report import (  # noqa: E402
    MARKER,
    MIB,
    Report,
    Row,
    expected_refusals,
    growth,
    readme_table,
    rows,
    terminal_table,
    troubles,
)
from scripts.bench.load_server import Crowds, Outcome, Server, crowds, serving  # noqa: E402
from scripts.bench.load_tally import Tally  # noqa: E402
from scripts.bench.times import Times  # noqa: E402

GUIDE = ROOT / "index_server" / "README.md"
PHASES = ("come", "live", "search", "share", "restart", "rest")
PROCESSES_MAX = 8
CLIENTS_MAX = 20_000
RETURN_WITHIN_S = 120.0
REST_S = 5.0
WINDOW = 32  # searches under way when the server is to do what it can


class Test:
    """One test, phase by phase."""

    def __init__(self, server: Server, crowd: Crowds, options: argparse.Namespace) -> None:
        self.server = server
        self.crowd = crowd
        self.options = options
        self.rows: list[Row] = []
        self.facts: list[tuple[str, str]] = []
        self.troubles: list[str] = []
        self.tallies: list[Tally] = []

    def note(self, phase: str, outcome: Outcome, *, one_kind: bool = False, expected: str = "") -> None:
        """`expected`: an ending that belongs to the phase."""
        self.rows += rows(phase, outcome.tally, outcome.seconds, outcome.cpu_s if one_kind else None)
        outcome.tally.ended.pop(expected, None)
        self.troubles += troubles(phase, outcome.tally)
        self.tallies.append(outcome.tally)

    def come(self) -> None:
        before = self.server.resident_bytes()
        outcome = self.crowd.do({"do": "come"})
        self.note("everybody comes", outcome)
        offers = outcome.tally.counts["offers published"]
        online = sum(result["online"] for result in outcome.results)
        used = (self.server.resident_bytes() - before) / MIB
        self.facts += [
            ("clients online", f"{online:,}, with {offers:,} offers"),
            ("all came, and published, within", f"{outcome.seconds:.1f} s"),
            ("memory of the server then", f"{self.server.resident_bytes() / MIB:.0f} MiB ({used:+.0f})"),
        ]

    def live(self, seconds: float) -> None:
        outcome = self.crowd.do({"do": "live", "seconds": seconds, "hurry": self.options.hurry})
        self.note(f"people as they are, {self.options.hurry:g} x as fast", outcome)
        unanswered = sum(result["unanswered"] for result in outcome.results)
        if unanswered:
            self.troubles.append(f"live: {unanswered} x no answer")
        late = outcome.tally.answers["(late)"]
        self.facts += [
            ("server's CPU meanwhile", f"{100 * outcome.cpu_s / outcome.seconds:.0f} % of one core"),
            ("people who left, and others came", f"{outcome.tally.counts['left']:,}"),
            ("told of callers", f"{outcome.tally.counts['heard caller']:,}"),
            ("the crowd itself was late by", f"{1e3 * late.percentile_s(99):.1f} ms at p99"),
        ]
        if len(outcome.memory) >= 6:
            grown = growth(outcome.memory, outcome.tally.counts["more offers"])
            self.facts.append(("memory of the server meanwhile", str(grown)))
            if self.options.soak and not grown.flat:
                self.troubles.append("The memory of the server did not stay flat.")

    def search(self) -> None:
        """All by one process: the server has a core of its own, if the machine has two."""
        seconds = self.options.seconds / 30
        answered, used_s = 0, 0.0
        for window, title in (
            (1, "searches, one after the other"),
            (WINDOW, "as many searches as it can answer"),
        ):
            for kind in self.options.words:
                order = {"do": "search", "seconds": seconds, "kind": kind, "window": window}
                outcome = self.crowd.do(order, *[None] * (len(self.crowd) - 1))
                outcome.tally.answers[kind] = outcome.tally.answers.pop("search", Times())
                [result] = outcome.results
                self.note(title, dataclasses.replace(outcome, seconds=result["seconds"]), one_kind=True)
                answered += len(outcome.tally.answers[kind])
                used_s += result["cpu_s"]
        self.facts.append(("CPU of the crowd for one search", f"{1e3 * used_s / max(1, answered):.2f} ms"))

    def share(self) -> None:
        """The last process publishes; the first searches all the while, and then as long without."""
        searching = {"do": "search", "kind": "", "window": 1}
        idle = [None] * (len(self.crowd) - 2)
        publish = {"do": "share", "files": self.options.newcomer}
        alone = self.crowd.do(*[None] * (len(self.crowd) - 1), publish)
        seconds = max(1.0, alone.seconds)
        beside = self.crowd.do({**searching, "seconds": seconds}, *idle, publish)
        calm = self.crowd.do({**searching, "seconds": seconds}, *idle, None)
        self.note("a newcomer offers much at once", alone)
        self.note("the same beside one search after the other", beside)
        self.note("these searches without it", calm)
        rate = self.options.newcomer / alone.results[0]["seconds"]
        self.facts.append(("offers a second from one newcomer", f"{rate:,.0f}"))

    def restart(self) -> None:
        down = 0.0

        def again() -> None:
            nonlocal down
            began = time.monotonic()
            self.server.stop()
            self.server.start()
            down = time.monotonic() - began

        clients = self.options.clients
        outcome = self.crowd.do({"do": "return", "seconds": RETURN_WITHIN_S}, meanwhile=again)
        # The goodbye, attempts while nobody listens, and those who are told when there will be a place.
        for code in ("GOING_AWAY", "no word", "TOO_MANY"):
            outcome.tally.ended.pop(code, None)
        self.note("everybody comes back after a restart", outcome)
        online = sum(result["online"] for result in outcome.results)
        if online < clients:
            self.troubles.append(f"restart: {clients - online} were not back after {RETURN_WITHIN_S:.0f} s")
        filled = self.filled()
        self.facts += [
            (
                "restart: from the signal until it serves",
                f"{down:.1f} s, of which the start {self.server.starting_s:.1f}",
            ),
            ("restart: the catalogue was filled after", f"{filled.get('seconds', '?')} s"),
            ("restart: everybody was back after", f"{outcome.seconds:.1f} s"),
            ("restart: most memory meanwhile", f"{max(outcome.memory) / MIB:.0f} MiB"),
        ]

    def rest(self) -> None:
        """Start anew with nobody, then let everybody come: the difference is theirs."""
        self.crowd.do({"do": "leave"})
        self.server.stop()
        self.server.start()
        self.filled()
        time.sleep(1.0)
        before = self.server.resident_bytes()
        outcome = self.crowd.do({"do": "come"})
        self.note("everybody logs in again, nothing changed", outcome)
        logins = len(outcome.tally.answers["come online"])
        time.sleep(REST_S)
        cpu_before = self.server.cpu_s()
        each = (self.server.resident_bytes() - before) / logins
        time.sleep(REST_S)
        idle = (self.server.cpu_s() - cpu_before) / REST_S
        self.crowd.do({"do": "leave", "goodbye": False})
        time.sleep(1.0)
        again = self.crowd.do({"do": "come"})
        again.tally.ended.pop("TOO_MANY", None)  # they were told when there is a place, and came then
        self.note("everybody lost the connection, and resumes", again)
        resumed = len(again.tally.answers["come online"])
        self.facts += [
            ("logins a second, manifest unchanged", f"{logins / outcome.seconds:,.0f}"),
            ("CPU of the server for one such login", f"{1e3 * outcome.cpu_s / logins:.2f} ms"),
            ("memory of an idle connection", f"{each / 1024:.1f} KiB"),
            (f"CPU with {logins:,} idle connections", f"{100 * idle:.1f} % of one core"),
            ("sessions resumed a second", f"{resumed / again.seconds:,.0f}"),
            ("CPU of the server for one of these", f"{1e3 * again.cpu_s / resumed:.2f} ms"),
        ]

    def filled(self) -> dict[str, Any]:
        """What the server says once everything on its disk can be found; empty if it does not in time."""
        deadline = time.monotonic() + RETURN_WITHIN_S
        while time.monotonic() < deadline:
            if (said := self.server.said("catalogue filled")) is not None:
                return said
            time.sleep(0.2)
        return {}

    def report(self) -> Report:
        self.troubles += [f"The server's log: {event}" for event in dict.fromkeys(self.server.mistakes())]
        self.facts.append(("refused as it should be", expected_refusals(self.tallies)))
        self.facts.append(
            ("what went wrong", f"{len(self.troubles)} kinds, below" if self.troubles else "nothing")
        )
        title = f"Measured {date.today():%Y-%m-%d} by `scripts/bench/load.py` on {machine_size()}."
        return Report(title, tuple(self.rows), tuple(self.facts), tuple(self.troubles))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=1_000, help="connections (default: 1000)")
    parser.add_argument("--processes", type=int, default=2, help="that hold them, 2 to 8 (default: 2)")
    parser.add_argument("--files", type=float, default=100, help="offers of one client, mean (default: 100)")
    parser.add_argument(
        "--names", type=int, default=100_000, help="files that several may hold (default: 100000)"
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long people live (default: 60)")
    parser.add_argument("--hurry", type=float, default=20, help="times as fast as people (default: 20)")
    parser.add_argument(
        "--newcomer", type=int, default=20_000, help="offers of the newcomer (default: 20000)"
    )
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="only come and live, for so long")
    parser.add_argument(
        "--only", nargs="+", choices=PHASES, default=list(PHASES), metavar="PHASE", help=", ".join(PHASES)
    )
    parser.add_argument(
        "--words",
        nargs="+",
        choices=QUERY_CLASSES,
        default=list(QUERY_CLASSES),
        metavar="CLASS",
        help=f"of the searches: {', '.join(QUERY_CLASSES)}",
    )
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="SECTION.KEY=VALUE", help="settings of the server"
    )
    parser.add_argument(
        "--folder", type=Path, default=MEMORY, help="where its data is meanwhile (default: memory)"
    )
    parser.add_argument("--readme", action="store_true", help=f"show the table in {GUIDE.relative_to(ROOT)}")
    options = parser.parse_args()
    if not (2 <= options.processes <= PROCESSES_MAX and options.processes <= options.clients <= CLIENTS_MAX):
        parser.error(
            f"2 to {PROCESSES_MAX} processes and at most {CLIENTS_MAX} clients, at least one in each."
        )
    if options.readme and MARKER not in GUIDE.read_text(encoding="utf-8"):
        parser.error(f"{GUIDE} has no {MARKER}.")
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # to clean up then, too
    try:
        report = run(options)
    except KeyboardInterrupt:
        print("Interrupted; everything is cleaned up.")
        return 1
    print(terminal_table(report))
    if options.readme:
        text = replaced(GUIDE.read_text(encoding="utf-8"), readme_table(report), MARKER)
        GUIDE.write_text(text, encoding="utf-8")
    return 1 if options.soak and report.troubles else 0


def run(options: argparse.Namespace) -> Report:
    settings = [f"connections.total={options.clients + 100}", *options.set]
    with tempfile.TemporaryDirectory(prefix="p2pshare-load-", dir=options.folder) as name:
        folder = Path(name)
        with (
            serving(folder, settings) as server,
            crowds(
                server,
                server.start(),
                folder,
                processes=options.processes,
                clients=options.clients,
                files=options.files,
                names=options.names,
            ) as crowd,
        ):
            print(f"The server is process {server.pid}.", file=sys.stderr, flush=True)
            test = Test(server, crowd, options)
            for phase in ("come", "live") if options.soak else PHASES:
                if options.soak or phase in options.only or phase == "come":
                    print(f"{phase} ...", file=sys.stderr, flush=True)
                    began = time.monotonic()
                    if phase == "live":
                        test.live(options.soak * 60 if options.soak else options.seconds)
                    else:
                        getattr(test, phase)()
                    print(f"    {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
            return test.report()


if __name__ == "__main__":
    sys.exit(main())
