#!/usr/bin/env python3
"""One source at the far end of a long fat path: p2pshare beside nginx and curl, and what it could carry.

    sudo .venv/bin/python scripts/bench/long_path.py [--rtt-ms 100] [--mbit 1000] [--mib 512] [--pairs 3]

Both ends live in network namespaces of their own, joined by a wire that delays and limits (wire.py), so this
needs root, and nothing leaves the machine. What is compared is the share of the path that each uses.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.bench import wire  # noqa: E402
from scripts.bench.compare import MEMORY, TOOLS, machine_size, touch_memory, write_random  # noqa: E402
from scripts.bench.figures import MIB  # noqa: E402
from scripts.bench.programs.p2pshare import fetch, index, person, seconds_taken, share, until_found  # noqa: E402
from scripts.bench.programs.processes import run_to_end, running  # noqa: E402
from scripts.bench.programs.program import Place  # noqa: E402
from scripts.bench.programs.web import nginx  # noqa: E402

CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")  # namespaces inherit it
NEAR, FAR = "10.77.0.1", "10.77.0.2"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rtt-ms", type=float, default=100, help="there and back (default: 100)")
    parser.add_argument("--mbit", type=float, default=1000, help="rate each way, Mbit/s (default: 1000)")
    parser.add_argument(
        "--queue-ms", type=float, default=100, help="what waits longer is lost (default: 100)"
    )
    parser.add_argument("--mib", type=int, default=512, help="size of the file (default: 512)")
    parser.add_argument("--pairs", type=int, default=3, help="counted pairs of runs (default: 3)")
    options = parser.parse_args()
    if os.geteuid() != 0 or not Path("/dev/net/tun").exists() or shutil.which("ip") is None:
        print("This needs root, /dev/net/tun and the command ip (apt install iproute2).")
        return 1
    runs = measure(options)
    ideal = options.mbit / 8
    print(
        f"{options.mib} MiB over {options.mbit:.0f} Mbit/s with {options.rtt_ms:.0f} ms round trip,"
        f" {CONGESTION.read_text().strip()}; {machine_size()}"
    )
    for name, seconds in runs.items():
        rates = sorted(options.mib * MIB / 1e6 / each for each in seconds)
        middle = statistics.median(rates)
        used, in_flight = middle / ideal, middle * options.rtt_ms / 1e3
        print(
            f"{name:16} {rates[0]:6.1f} to {rates[-1]:.1f} MB/s, median {middle:.1f}:"
            f" {used:.0%} of the path, {in_flight:.1f} MB in flight"
        )
    ours, theirs = runs.values()
    ratios = sorted(their / our for our, their in zip(ours, theirs, strict=True))
    print(f"ours is x as fast: {ratios[0]:.2f} to {ratios[-1]:.2f}, median {statistics.median(ratios):.2f}")
    return 0


def measure(options: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of every run of each program."""
    with tempfile.TemporaryDirectory(prefix="p2pshare-bench-", dir=MEMORY) as name, ExitStack() as stack:
        folder = Path(name)
        source = folder / "big.bin"
        touch_memory(folder / "touched", 4 * options.mib)
        write_random(source, options.mib)
        near, far = f"p2pshare{os.getpid()}a", f"p2pshare{os.getpid()}b"
        stack.enter_context(wire.namespaces(near, far))
        lay_wire(stack, folder, near, far, options)
        place = Place(folder / "place", source, TOOLS)
        programs = {
            "p2pshare": ours(stack, place, near, far),
            "nginx + curl": theirs(stack, place, near, far),
        }
        runs: dict[str, list[float]] = {program: [] for program in programs}
        for number in range(options.pairs + 1):
            for program, transfer in programs.items():
                seconds = transfer()
                if number:  # the first pair only touches the memory
                    runs[program].append(seconds)
        return runs


def lay_wire(stack: ExitStack, folder: Path, near: str, far: str, options: argparse.Namespace) -> None:
    shape = [str(options.rtt_ms / 2), str(options.mbit), str(options.queue_ms)]
    command = [sys.executable, ROOT / "scripts/bench/wire.py", near, NEAR, far, FAR, *shape]
    carrier = stack.enter_context(running(command, folder / "wire.log", stdout=subprocess.PIPE))
    assert carrier.stdout is not None
    if not carrier.stdout.readline():
        raise ChildProcessError((folder / "wire.log").read_text())


def ours(stack: ExitStack, place: Place, near: str, far: str) -> Callable[[], float]:
    with wire.inside(near):
        invite = stack.enter_context(index(place.folder, NEAR))
        sender = stack.enter_context(person(place.folder, "sender", invite))
        link = share(sender, place.source)
    with wire.inside(far):
        receiver = stack.enter_context(person(place.folder, "receiver", invite))
        until_found(receiver, place.source.stem)

    def transfer() -> float:
        with wire.inside(far):
            view = receiver.ask(lambda face: fetch(face, link))
            place.take(Path(view.target))
            receiver.ask(lambda face: face.clear())
        return seconds_taken(view)

    return transfer


def theirs(stack: ExitStack, place: Place, near: str, far: str) -> Callable[[], float]:
    with wire.inside(near):
        server = stack.enter_context(nginx(place, https=True, host=NEAR))
    target = place.folder / "arrived"
    command = ["curl", "-fsk", "--tlsv1.3", "-o", target, "-w", "%{time_total}", *server.urls]

    def transfer() -> float:
        with wire.inside(far):
            ended = run_to_end(command, place.folder / "curl.log")
        place.take(target)
        return float(ended.output)

    return transfer


if __name__ == "__main__":
    sys.exit(main())
