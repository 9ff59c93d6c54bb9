#!/usr/bin/env python3
"""Memory of sender and receiver, which must not grow with the file; and a sparse file of 100 GiB.

    .venv/bin/python scripts/bench/memory.py [--mib 256 1024 4096] [--sparse-gib 100]

First whole files are moved, with new programs for each, and the memory of both ends is looked at all the
while. Then somebody offers a file of 100 GiB that takes no room on the disk; the other end fetches some of
it, is killed, and goes on where it was. Hashing 100 GiB takes a minute or more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.bench.compare import MEMORY, machine_size, touch_memory, write_random  # noqa: E402
from scripts.bench.figures import GIB, MIB  # noqa: E402
from scripts.bench.programs.p2pshare import Person, fetch, index, person, share, until_found  # noqa: E402
from scripts.bench.programs.processes import cpu_s, until  # noqa: E402

LOOK_PAUSE_S = 0.1
SPARSE_PART = 0.01  # of the sparse file that is there when the receiver is killed


@dataclass
class Use:
    """Memory of a process in bytes, without files that it maps: before, and at most meanwhile."""

    pid: int
    before: int = 0
    most: int = 0

    def __post_init__(self) -> None:
        self.before = self.most = resident_bytes(self.pid)

    def look(self) -> None:
        self.most = max(self.most, resident_bytes(self.pid))

    def __str__(self) -> str:
        return f"{self.before / MIB:4.0f} MiB before, {self.most / MIB:4.0f} at most"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mib", type=int, nargs="*", default=[256, 1024, 4096], help="sizes of the files")
    parser.add_argument("--sparse-gib", type=int, default=100, help="size of the sparse file, 0 for none")
    parser.add_argument(
        "--folder",
        type=Path,
        default=MEMORY,
        help="where the sparse file is, and room for it (default: memory)",
    )
    options = parser.parse_args()
    print(machine_size())
    for mib in options.mib:
        with tempfile.TemporaryDirectory(prefix="p2pshare-bench-", dir=MEMORY) as name:
            whole_file(Path(name), mib)
    if options.sparse_gib:
        with tempfile.TemporaryDirectory(prefix="p2pshare-bench-", dir=options.folder) as name:
            sparse_file(Path(name), options.sparse_gib * GIB)
    return 0


def whole_file(folder: Path, mib: int) -> None:
    with ExitStack() as stack:
        touch_memory(folder / "touched", 2 * mib)
        (folder / "shared").mkdir()
        write_random(folder / "shared" / "big.bin", mib)
        invite = stack.enter_context(index(folder))
        sender, receiver = (
            stack.enter_context(person(folder, name, invite)) for name in ("sender", "receiver")
        )
        link = share(sender, folder / "shared" / "big.bin")
        until_found(receiver, "big")
        uses = Use(sender.pid), Use(receiver.pid)
        trio.run(fetch_watched, receiver, link, uses)
        print(f"{mib:6} MiB: sender {uses[0]}; receiver {uses[1]}", flush=True)


async def fetch_watched(receiver: Person, link: str, uses: tuple[Use, ...]) -> None:
    async def watch() -> None:
        while True:
            for use in uses:
                use.look()
            await trio.sleep(LOOK_PAUSE_S)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await fetch(receiver.face, link)
        nursery.cancel_scope.cancel()


def sparse_file(folder: Path, size: int) -> None:
    (folder / "shared").mkdir()
    file = folder / "shared" / "sparse.bin"
    with file.open("wb") as made:
        made.truncate(size)
    with index(folder) as invite, person(folder, "sender", invite) as sender:
        began, cpu_before, use = time.perf_counter(), cpu_s(sender.pid), Use(sender.pid)
        link = share(sender, file)
        use.look()
        took, cpu = time.perf_counter() - began, cpu_s(sender.pid) - cpu_before
        print(f"{size / GIB:.0f} GiB, sparse: hashed in {took:.0f} s, {cpu:.0f} CPU seconds; sender {use}")
        if shutil.disk_usage(folder).free < size:
            print("  not fetched: there is no room for it. Choose another place with --folder.")
            return
        wanted = int(size * SPARSE_PART)
        with person(folder, "receiver", invite) as receiver:
            use = Use(receiver.pid)
            receiver.ask(lambda face: face.get(link))
            killed_at = until(lambda: _done(receiver, wanted, use), "a part of it is there", LOOK_PAUSE_S)
            os.kill(receiver.pid, signal.SIGKILL)
        print(f"  {killed_at / MIB:.0f} MiB had arrived when it was killed; receiver {use}")
        began = time.perf_counter()
        with person(folder, "receiver", invite) as receiver:
            use = Use(receiver.pid)
            took = time.perf_counter() - began
            [view] = receiver.ask(lambda face: face.downloads())
            print(f"  {view.done_bytes / MIB:.0f} MiB were there again after {took:.1f} s")
            until(lambda: _done(receiver, killed_at + wanted // 4, use), "it went on", LOOK_PAUSE_S)
            [view] = receiver.ask(lambda face: face.downloads())
            receiver.ask(lambda face: face.cancel(view.id))
            print(f"  it went on to {view.done_bytes / MIB:.0f} MiB; receiver {use}")


def _done(receiver: Person, wanted: int, use: Use) -> int | None:
    """The bytes of the only download that are there, once they are as many as wanted."""
    use.look()
    [view] = receiver.ask(lambda face: face.downloads())
    return view.done_bytes if view.done_bytes >= wanted else None


def resident_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [kib] = [int(line.split()[1]) for line in lines if line.startswith("RssAnon:")]
    return kib << 10


if __name__ == "__main__":
    sys.exit(main())
