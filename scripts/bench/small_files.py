#!/usr/bin/env python3
"""Ten thousand small files as one folder: p2pshare beside rsync over ssh and syncthing, as ratios.

    .venv/bin/python scripts/bench/small_files.py [--files 10000] [--bytes 4096] [--pairs 5] [--share-onward]

What is timed of ours is what `p2pshare get` does, from the request for the folder until its last file is
complete: looked up at the index server, listed, connected, encrypted, verified, written, synced, and noted in
the library. With `--share-onward` the receiver also takes the files into its own shares, as it does unless a
person says otherwise; the others have nothing like it. rsync is timed as a person runs it, logging in
included; syncthing from the moment the receiver begins to pull, by which time the two are connected and both
know the list. Everything lies in memory-backed storage; the first run of each is not counted.

    apt install rsync openssh-server syncthing
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from client.engine.face import Face  # noqa: E402
from scripts.bench.compare import MEMORY, machine_size  # noqa: E402
from scripts.bench.figures import spread  # noqa: E402
from scripts.bench.programs import ssh, syncthing  # noqa: E402
from scripts.bench.programs.p2pshare import fetch, index, person, seconds_taken  # noqa: E402
from scripts.bench.programs.processes import cpu_s, until  # noqa: E402
from scripts.bench.programs.program import Run, Transfer  # noqa: E402

FILES_PER_FOLDER = 500
PATIENCE_S = 300.0
NEEDS = (ssh.SSH, ssh.SSHD, ssh.RSYNC, *syncthing.PROGRAM.needs)


class Small:
    """The files, some hundreds in each of several folders."""

    def __init__(self, folder: Path, files: int, size: int) -> None:
        self.folder = folder
        self.files = files
        for number in range(files):
            place = folder / f"{number // FILES_PER_FOLDER:03}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number:05}.dat").write_bytes(os.urandom(size))

    def take(self, copy: Path) -> None:
        """Deletes a copy, once it is sure that it is whole. Raises ValueError."""
        for path in self.folder.rglob("*.dat"):
            if (copy / path.relative_to(self.folder)).read_bytes() != path.read_bytes():
                raise ValueError(f"{path} did not arrive as it was sent.")
        shutil.rmtree(copy)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=4096, help="size of each")
    parser.add_argument("--pairs", type=int, default=5, help="counted runs of each")
    parser.add_argument("--share-onward", action="store_true", help="the receiver shares what it gets")
    options = parser.parse_args()
    if missing := [tool.name for tool in NEEDS if tool.version(Path()) is None]:
        print(f"Not installed: {', '.join(missing)}. Try: apt install rsync openssh-server syncthing")
        return 1
    with tempfile.TemporaryDirectory(prefix="p2pshare-bench-", dir=MEMORY) as name, ExitStack() as stack:
        top = Path(name)
        small = Small(top / "share", options.files, options.bytes)
        starting: dict[str, AbstractContextManager[Transfer]] = {
            "p2pshare": ours(top, small, options.share_onward),
            "rsync over ssh": over_ssh(top, small),
            "syncthing": by_syncthing(top, small),
        }
        transfers = {program: stack.enter_context(start) for program, start in starting.items()}
        runs: dict[str, list[Run]] = {program: [] for program in transfers}
        for number in range(options.pairs + 1):
            for program, transfer in transfers.items():
                run = transfer()
                if number:
                    runs[program].append(run)
    print(f"{options.files:,} files of {options.bytes:,} bytes, loopback, memory-backed; {machine_size()}")
    show(runs)
    return 0


def show(runs: dict[str, list[Run]]) -> None:
    print(
        f"{'':<16}{'seconds: min, median, max':>28}{'CPU s: sender + receiver':>28}{'ours is x as fast':>20}"
    )
    for program, each in runs.items():
        took = spread(run.seconds for run in each)
        cpu = [
            statistics.median(getattr(run, f"{end}_cpu_s") for run in each) for end in ("sender", "receiver")
        ]
        times = f"{took.low:.2f}  {took.middle:.2f}  {took.high:.2f}"
        faster = spread(run.seconds / mine.seconds for run, mine in zip(each, runs["p2pshare"], strict=True))
        ratio = f"{faster.low:.2f}  {faster.middle:.2f}  {faster.high:.2f}" if program != "p2pshare" else ""
        print(f"{program:<16}{times:>28}{f'{cpu[0]:.2f} + {cpu[1]:.2f}':>28}{ratio:>20}")


@contextmanager
def ours(top: Path, small: Small, shares_onward: bool) -> Iterator[Transfer]:
    with (
        index(top) as invite,
        person(top, "alice", invite) as sender,
        person(top, "bob", invite, shares_onward=shares_onward) as receiver,
    ):
        sender.ask(lambda face: face.add_share(str(small.folder)))
        sender.ask(until_told)

        def transfer() -> Run:
            receiver.ask(until_told)  # what an earlier run left to do is not charged to this one
            before = cpu_s(sender.pid), cpu_s(receiver.pid)
            view = receiver.ask(lambda face: fetch(face, f"alice/{small.folder.name}"))
            after = cpu_s(sender.pid), cpu_s(receiver.pid)
            small.take(Path(view.target))
            receiver.ask(lambda face: face.clear())
            receiver.ask(lambda face: face.rescan())
            return Run(seconds_taken(view), after[0] - before[0], after[1] - before[1])

        yield transfer


async def until_told(face: Face) -> None:
    """Until everything is hashed and published."""
    with trio.fail_after(PATIENCE_S):
        while True:
            view = await face.status()
            if (
                view.servers
                and not view.hashing_left
                and not any(each.offers_pending for each in view.servers)
            ):
                return
            await trio.sleep(0.1)


@contextmanager
def over_ssh(top: Path, small: Small) -> Iterator[Transfer]:
    with ssh.sshd(top) as server:
        copy = top / "by rsync"
        command = ["rsync", "-a", "-e", server.shell, f"127.0.0.1:{small.folder}/", f"{copy}/"]

        def transfer() -> Run:
            run = ssh.timed(server, command, top / "rsync.log")
            small.take(copy)
            return run

        yield transfer


@contextmanager
def by_syncthing(top: Path, small: Small) -> Iterator[Transfer]:
    """A new receiver for each run."""
    log = top / "syncthing.log"
    homes = [top / f"syncthing-{end}" for end in ("sender", "receiver")]
    sender, receiver = (syncthing.make_device(home, log) for home in homes)
    keys = top / "syncthing-keys"
    shutil.copytree(receiver.home, keys)
    sender.configure(receiver, small.folder, "sendonly")
    with sender.running(log) as sending:
        until(lambda: files_of(sender) == small.files or None, "syncthing has hashed the files", 0.1)

        def transfer() -> Run:
            shutil.rmtree(receiver.home)
            shutil.copytree(keys, receiver.home)
            copy = top / "by syncthing"
            copy.mkdir()
            receiver.configure(sender, copy, "receiveonly")
            with receiver.running(log) as receiving:
                began = until(lambda: next(iter(changes(receiver, "syncing")), None), "it pulls")
                before = cpu_s(sending.pid), cpu_s(receiving.pid)
                until(lambda: files_of(receiver) == small.files or None, "it has pulled", 0.05)
                ended = until(lambda: max(changes(receiver, "idle"), default=None), "it rests")
                after = cpu_s(sending.pid), cpu_s(receiving.pid)
            small.take(copy)
            return Run((ended - began).total_seconds(), after[0] - before[0], after[1] - before[1])

        yield transfer


def files_of(device: syncthing.Device) -> int:
    """How many it holds, once it has nothing left to do."""
    status = device.ask(f"db/status?folder={syncthing.FOLDER}")
    at_rest = status and status["state"] == "idle" and not status["needFiles"]
    return int(status["localFiles"]) if at_rest else 0


def changes(device: syncthing.Device, state: str) -> list[datetime]:
    """When the folder went into this state, since the start."""
    events = device.ask("events?timeout=0&events=StateChanged") or ()
    return [datetime.fromisoformat(event["time"]) for event in events if event["data"]["to"] == state]


if __name__ == "__main__":
    sys.exit(main())
