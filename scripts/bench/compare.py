#!/usr/bin/env python3
"""One file, from one machine to itself: p2pshare beside every installed program that moves files.

Each program runs in turn with ours, A B A B, with nothing else beside them; the first pair only touches the
memory, shows that what arrives is the file, and is not counted. Everything listens on 127.0.0.1 only, lies in
memory-backed storage and is gone at the end, and nobody asks anybody outside.

    apt install nginx-light curl openssl aria2 syncthing rsync openssh-server ncdc uhub
    python3 -m venv ~/.cache/p2pshare-bench
    ~/.cache/p2pshare-bench/bin/pip install libtorrent magic-wormhole magic-wormhole-mailbox-server
    .venv/bin/python scripts/bench/compare.py --readme

A program that is not installed is left out.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import sys
import tempfile
from datetime import date
from pathlib import Path

import msgspec
import platformdirs

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.bench.figures import MIB, Figures, Pairing, readme_table, replaced, terminal_table  # noqa: E402
from scripts.bench.programs import p2pshare  # noqa: E402
from scripts.bench.programs.others import OTHERS  # noqa: E402
from scripts.bench.programs.program import Place, Program, Transfer  # noqa: E402

MEMORY = Path("/dev/shm")
RESULTS = Path(__file__).with_name("figures.json")
README = ROOT / "README.md"
TOOLS = platformdirs.user_cache_path("p2pshare-bench") / "bin"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mib", type=int, default=1024, help="size of the file (default: 1024)")
    parser.add_argument("--pairs", type=int, default=5, help="counted pairs of runs (default: 5)")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="parts of the programs' names")
    parser.add_argument(
        "--tools", type=Path, default=TOOLS, help="where pip put commands (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, help="also write what was measured to this file")
    parser.add_argument(
        "--readme", action="store_true", help=f"keep it in {RESULTS.name} and show it in the README"
    )
    parser.add_argument("--list", action="store_true", help="only say which programs there are")
    options = parser.parse_args()
    chosen = [
        program
        for program in OTHERS
        if not options.only or any(part.lower() in program.name.lower() for part in options.only)
    ]
    if options.list:
        for program in chosen:
            missing = program.missing(options.tools)
            print(f"{program.name:36}{f'not installed: {program.install}' if missing else 'installed'}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # to clean up then, too
    try:
        figures = measure(chosen, options.mib, options.pairs, options.tools)
    except KeyboardInterrupt:
        print("Interrupted; everything is cleaned up.")
        return 1
    print(terminal_table(figures))
    for target in (options.json, RESULTS if options.readme else None):
        if target is not None:
            target.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=1) + b"\n")
    if options.readme:
        README.write_text(
            replaced(README.read_text(encoding="utf-8"), readme_table(figures)), encoding="utf-8"
        )
    return 0


def measure(programs: list[Program], mib: int, pairs: int, tools: Path) -> Figures:
    pairings, missing = [], []
    with tempfile.TemporaryDirectory(prefix="p2pshare-bench-", dir=MEMORY) as name:
        folder = Path(name)
        source = folder / "big.bin"
        touch_memory(folder / "touched", 4 * mib)
        write_random(source, mib)
        with p2pshare.start(Place(folder / "ours", source, tools)) as ours:
            for number, program in enumerate(programs):
                if lacking := program.missing(tools):
                    what = ", ".join(lacking)
                    missing.append(
                        f"{program.name} was left out: {what} is not installed ({program.install})."
                    )
                    continue
                print(f"{program.name} ...", file=sys.stderr, flush=True)
                place = Place(folder / str(number), source, tools)
                try:
                    with program.start(place) as theirs:
                        pairings.append(pair(program, tools, ours, theirs, pairs))
                except (ChildProcessError, TimeoutError, ValueError) as error:
                    missing.append(f"{program.name} was left out: {error}")
                finally:
                    shutil.rmtree(place.folder)
    return Figures(f"{date.today():%Y-%m-%d}", machine_size(), mib, tuple(pairings), tuple(missing))


def pair(program: Program, tools: Path, ours: Transfer, theirs: Transfer, pairs: int) -> Pairing:
    runs = [(ours(), theirs()) for _ in range(pairs + 1)][1:]
    mine, others = zip(*runs, strict=True)
    return Pairing(program.name, program.group, program.versions(tools), mine, others)


def touch_memory(path: Path, mib: int) -> None:
    """A virtual machine's first use of a page is several times slower than any later one."""
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(bytes(MIB))
    path.unlink()


def write_random(path: Path, mib: int) -> None:
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))


def machine_size() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    system = f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}"
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {system}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
