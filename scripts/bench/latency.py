#!/usr/bin/env python3
"""How soon somebody is answered while 1 GiB moves both ways: idle, then under load.

    .venv/bin/python scripts/bench/latency.py [--mib 1024] [--rounds 5]

Alice and Bob fetch a large file from each other, both at once and as fast as they can. Meanwhile, again and
again:

    own loop         Alice's program is asked for nothing at all: the way to its loop and back
    search           Alice's program searches at the index server
    browse, loaded   Alice's program asks Bob what he shares, over the channel that carries the files
    browse, calm     Carol's program, which is idle, asks Alice, on a channel of their own

Every answer makes the way of a command, through the control socket of a running `p2pshare serve`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from client.engine.face import Face  # noqa: E402
from p2pshare.transport.local_calls import RunningProgram  # noqa: E402
from scripts.bench.compare import MEMORY, machine_size, touch_memory, write_random  # noqa: E402
from scripts.bench.figures import MIB  # noqa: E402
from scripts.bench.programs.p2pshare import Person, fetch, index, person, seconds_taken, share, until_found  # noqa: E402

PAUSE_S = 0.1  # asking costs the programs that are measured some of their time
IDLE_S = 5.0
GOAL_MS = 50.0

Probe = Callable[[], Awaitable[object]]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mib", type=int, default=1024, help="size of each of the two files (default: 1024)")
    parser.add_argument("--rounds", type=int, default=5, help="how often both are fetched (default: 5)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="p2pshare-bench-", dir=MEMORY) as name, ExitStack() as stack:
        folder = Path(name)
        touch_memory(folder / "touched", 4 * options.mib)
        invite = stack.enter_context(index(folder))
        people, links = {}, {}
        for nick in ("alice", "bob", "carol"):
            people[nick] = stack.enter_context(person(folder, nick, invite))
            shared = folder / f"of {nick}"
            shared.mkdir()
            write_random(shared / f"{nick}.bin", options.mib if nick != "carol" else 1)
            links[nick] = share(people[nick], shared / f"{nick}.bin")
        until_found(people["alice"], "bob")
        until_found(people["bob"], "alice")
        print(f"{options.mib} MiB both ways, {options.rounds} times; {machine_size()}")
        trio.run(measure, people, links, options.mib, options.rounds)
    return 0


async def measure(people: dict[str, Person], links: dict[str, str], mib: int, rounds: int) -> None:
    alice, bob, carol = (people[name].face for name in ("alice", "bob", "carol"))
    assert isinstance(alice, RunningProgram)
    probes: dict[str, Probe] = {
        "own loop": alice.check,
        "search": lambda: alice.search("bin"),
        "browse, loaded": lambda: alice.browse("bob"),
        "browse, calm": lambda: carol.browse("alice"),
    }
    idle: dict[str, list[float]] = {name: [] for name in probes}
    with trio.move_on_after(IDLE_S):
        await probe_all(probes, idle)
    loaded: dict[str, list[float]] = {name: [] for name in probes}
    rates: list[float] = []

    async def move(face: Face, link: str) -> None:
        view = await fetch(face, link)
        await trio.Path(view.target).unlink()
        rates.append(mib * MIB / 1e6 / seconds_taken(view))

    for number in range(rounds + 1):  # the first only touches the memory
        async with trio.open_nursery() as probing:
            if number:
                probing.start_soon(probe_all, probes, loaded)
            async with trio.open_nursery() as moving:
                moving.start_soon(move, alice, links["bob"])
                moving.start_soon(move, bob, links["alice"])
            probing.cancel_scope.cancel()
        await alice.clear()
        await bob.clear()
    show(idle, loaded, rates[2:])


async def probe_all(probes: dict[str, Probe], answers_s: dict[str, list[float]]) -> None:
    """Asks until cancelled. A question that is cancelled counts with the time that it had waited."""

    async def ask(name: str, probe: Probe) -> None:
        while True:
            began = trio.current_time()
            try:
                await probe()
            finally:
                answers_s[name].append(trio.current_time() - began)
            await trio.sleep(PAUSE_S)

    async with trio.open_nursery() as nursery:
        for name, probe in probes.items():
            nursery.start_soon(ask, name, probe)


def show(idle: dict[str, list[float]], loaded: dict[str, list[float]], rates: list[float]) -> None:
    slow, fast = min(rates), max(rates)
    print(f"moved at {slow:.0f} to {fast:.0f} MB/s each way (median {statistics.median(rates):.0f})")
    print(f"{'milliseconds':18}{'idle: p50':>12}{'p99':>8}{'max':>8}{'loaded: p50':>16}{'p99':>8}{'max':>8}")
    worst = 0.0
    for name in idle:
        (i50, i99, i100), (l50, l99, l100) = cuts_ms(idle[name]), cuts_ms(loaded[name])
        worst = max(worst, l99)
        print(f"{name:18}{i50:12.1f}{i99:8.1f}{i100:8.1f}{l50:16.1f}{l99:8.1f}{l100:8.1f}")
    verdict = "reached" if worst <= GOAL_MS else "missed"
    print(f"{sum(map(len, loaded.values()))} answers; the goal, {GOAL_MS:.0f} ms at p99, is {verdict}.")


def cuts_ms(seconds: list[float]) -> tuple[float, float, float]:
    """Median, 99th percentile and maximum in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return 1e3 * cuts[49], 1e3 * cuts[98], 1e3 * max(seconds)


if __name__ == "__main__":
    sys.exit(main())
