#!/usr/bin/env python3
"""Ten thousand small files as one folder: p2pshare beside rsync over ssh and syncthing, as ratios.

    .venv/bin/python scripts/bench/small_files.py [--files 10000] [--bytes 4096] [--pairs 5] [--share-onward]

Both ends of ours are `p2pshare serve` processes, and what is timed is what `p2pshare get` does, from the
request for the folder until its last file is complete: looked up at the index server, listed, connected,
encrypted, verified, written, synced, and noted in the library. With `--share-onward` the receiver also takes
the files into its own shares, as it does unless a person says otherwise; the others have nothing like it.
rsync is timed as a person runs it, `rsync -a` over ssh from a sshd of our own; syncthing from the moment the
folder is resumed at the receiver, by which time the two are connected and the sender has looked into the
folder. Everything lies in memory-backed storage; the first run of each is not counted. rsync, openssh-server
and syncthing come from Debian's packages. CPU seconds are those of both ends of each.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import trio

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from client.engine.control import connect_running  # noqa: E402
from client.engine.face import Face  # noqa: E402
from client.engine.profile import Profile, create_profile  # noqa: E402
from client.engine.settings import Settings  # noqa: E402
from client.engine.status import DownloadState  # noqa: E402

MEMORY = Path("/dev/shm")
PATIENCE_S = 300.0
LOOK_S = 0.05
FILES_PER_FOLDER = 500
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin"
SSHD = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/client_key.pub
PidFile none
PasswordAuthentication no
StrictModes no
UsePAM no
LogLevel ERROR
"""
QUIET = {  # syncthing: nothing leaves this machine, nothing is reported, nothing is updated
    "globalAnnounceEnabled": "false",
    "localAnnounceEnabled": "false",
    "relaysEnabled": "false",
    "natEnabled": "false",
    "urAccepted": "-1",
    "autoUpgradeIntervalH": "0",
    "crashReportingEnabled": "false",
    "startBrowser": "false",
    "stunKeepaliveStartS": "0",
}


@dataclass(frozen=True)
class Run:
    """One transfer of the folder."""

    seconds: float
    sender_cpu_s: float
    receiver_cpu_s: float


Transfer = Callable[[], Awaitable[Run]]


class Bench:
    """Where it happens, what lies there, and the processes to end."""

    def __init__(self, folder: Path, files: int, size: int) -> None:
        self.folder = folder
        self.files = files
        self.size = size
        self.processes: list[subprocess.Popen[str]] = []
        self.source = folder / "share"

    def fill(self) -> None:
        for number in range(self.files):
            place = self.source / f"{number // FILES_PER_FOLDER:03}"
            if number % FILES_PER_FOLDER == 0:
                place.mkdir(parents=True)
            (place / f"{number:05}.dat").write_bytes(os.urandom(self.size))

    def check_and_remove(self, copy: Path) -> None:
        """Every file is there and is the same. Raises AssertionError."""
        for path in self.source.rglob("*.dat"):
            there = copy / path.relative_to(self.source)
            assert there.read_bytes() == path.read_bytes(), there
        shutil.rmtree(copy)

    def spawn(self, *command: str, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": SBIN}
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=stdout,
            stderr=subprocess.DEVNULL if stdout < 0 else None,
            text=True,
        )
        self.processes.append(process)
        return process


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=4096, help="size of each")
    parser.add_argument("--pairs", type=int, default=5, help="counted runs of each")
    parser.add_argument("--share-onward", action="store_true", help="the receiver shares what it gets")
    parser.add_argument("--only", choices=("ours", "rsync", "syncthing"), action="append")
    options = parser.parse_args()
    chosen = options.only or ["ours", "rsync", "syncthing"]
    for program in ("rsync", "sshd", "ssh-keygen", "syncthing"):
        if shutil.which(program, path=SBIN) is None:
            print(f"{program} is not installed: apt install rsync openssh-server syncthing")
            return 1
    bench = Bench(Path(tempfile.mkdtemp(prefix="p2pshare-bench-", dir=MEMORY)), options.files, options.bytes)
    try:
        trio.run(measure, bench, chosen, options.pairs, options.share_onward)
    finally:
        for process in reversed(bench.processes):
            process.send_signal(signal.SIGTERM)
            process.wait()
        shutil.rmtree(bench.folder, ignore_errors=True)
    return 0


async def measure(bench: Bench, chosen: list[str], pairs: int, share_onward: bool) -> None:
    bench.fill()
    starters: dict[str, Callable[[], Awaitable[Transfer]]] = {
        "ours": lambda: start_ours(bench, share_onward),
        "rsync": lambda: start_rsync(bench),
        "syncthing": lambda: start_syncthing(bench),
    }
    transfers = {name: await starters[name]() for name in starters if name in chosen}
    runs: dict[str, list[Run]] = {name: [] for name in transfers}
    for number in range(pairs + 1):
        for name, transfer in transfers.items():
            run = await transfer()
            if number:
                runs[name].append(run)
    show(runs, bench)


NAMES = {"ours": "p2pshare", "rsync": "rsync over ssh", "syncthing": "syncthing"}


def show(runs: dict[str, list[Run]], bench: Bench) -> None:
    print(f"{bench.files:,} files of {bench.size:,} bytes, loopback, memory-backed; {os.cpu_count()} cores")
    print(f"{'':<16}{'seconds  min  median   max':>30}{'CPU s  sender  receiver':>30}")
    for name, each in runs.items():
        took = sorted(run.seconds for run in each)
        sender = statistics.median(run.sender_cpu_s for run in each)
        receiver = statistics.median(run.receiver_cpu_s for run in each)
        middle = statistics.median(took)
        print(
            f"{NAMES[name]:<16}{took[0]:>17.2f}{middle:>7.2f}{took[-1]:>7.2f}{sender:>18.2f}{receiver:>10.2f}"
        )
    for name in runs.keys() - {"ours"} if "ours" in runs else ():
        ratios = sorted(
            other.seconds / mine.seconds for mine, other in zip(runs["ours"], runs[name], strict=True)
        )
        print(
            f"speed of ours over that of {NAMES[name]}, by the pairs: {ratios[0]:.2f} to {ratios[-1]:.2f},"
            f" median {statistics.median(ratios):.2f}"
        )


# --- ours -------------------------------------------------------------------------------------------------


async def start_ours(bench: Bench, share_onward: bool) -> Transfer:
    folder = bench.folder
    index = bench.spawn(
        sys.executable,
        *("-m", "index_server", "--server-data", str(folder / "index"), "--server-hosts", "127.0.0.1"),
        *("--server-port", "0", "--server-announce", "false", "--log-level", "error"),
        stdout=subprocess.PIPE,
    )
    assert index.stdout is not None
    invite = next(found[0] for line in index.stdout if (found := re.search(r"p2pshare:join\?[^' ]+", line)))
    faces: dict[str, tuple[Face, int]] = {}
    for name in ("sender", "receiver"):
        profile = Profile(folder / name)
        create_profile(
            profile, Settings(nick=name, servers=(invite,), lan=False, share_downloads=share_onward)
        )
        process = bench.spawn(sys.executable, "-m", "client", "--profile", str(profile.folder), "serve")
        with trio.fail_after(PATIENCE_S):
            while (face := await connect_running(profile)) is None:  # noqa: ASYNC110  # another process
                await trio.sleep(0.05)
        faces[name] = face, process.pid
    sender, sender_pid = faces["sender"]
    receiver, receiver_pid = faces["receiver"]
    await sender.add_share(str(bench.source))
    await until_told(sender)

    async def transfer() -> Run:
        await until_told(receiver)  # what an earlier run left to do is not charged to this one
        before = cpu_s(sender_pid), cpu_s(receiver_pid)
        began = time.monotonic()
        [begun] = await receiver.get("sender/share")
        while True:
            [view] = [view for view in await receiver.downloads() if view.id == begun.id]
            if view.state is DownloadState.COMPLETE:
                break
            await trio.sleep(LOOK_S)
        seconds = time.monotonic() - began
        after = cpu_s(sender_pid), cpu_s(receiver_pid)
        bench.check_and_remove(Path(view.target))
        await receiver.clear()
        await receiver.rescan()
        return Run(seconds, after[0] - before[0], after[1] - before[1])

    return transfer


async def until_told(face: Face) -> None:
    """Until everything is hashed and published."""
    with trio.fail_after(PATIENCE_S):
        while True:
            view = await face.status()
            if not view.hashing_left and all(not server.offers_pending for server in view.servers):
                return
            await trio.sleep(0.1)


# --- rsync over ssh -----------------------------------------------------------------------------------------


def prepare_ssh(folder: Path, port: int) -> None:
    folder.mkdir(mode=0o700)
    for key in ("host_key", "client_key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)]
        subprocess.run(command, check=True)
    Path("/run/sshd").mkdir(exist_ok=True)  # sshd drops its rights into it
    (folder / "sshd_config").write_text(SSHD.format(folder=folder, port=port))


async def start_rsync(bench: Bench) -> Transfer:
    folder, port = bench.folder / "ssh", free_port()
    prepare_ssh(folder, port)
    sshd = shutil.which("sshd", path=SBIN)
    assert sshd is not None
    server = bench.spawn(sshd, "-D", "-e", "-f", str(folder / "sshd_config"))
    await until_listening(port)
    ssh = (
        f"ssh -p {port} -i {folder / 'client_key'} -F none -o IdentitiesOnly=yes -o BatchMode=yes"
        f" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    )
    copy = bench.folder / "rsync-copy"

    def transfer() -> Run:
        usage, far, began = os.times(), cpu_s(server.pid, ended=True), time.monotonic()
        subprocess.run(["rsync", "-a", "-e", ssh, f"127.0.0.1:{bench.source}/", f"{copy}/"], check=True)
        seconds, now = time.monotonic() - began, os.times()
        near = now.children_user + now.children_system - usage.children_user - usage.children_system
        while len(family(server.pid)) > 1:  # what ran below sshd is counted once it has ended
            time.sleep(LOOK_S)
        bench.check_and_remove(copy)
        return Run(seconds, cpu_s(server.pid, ended=True) - far, near)

    return lambda: trio.to_thread.run_sync(transfer)


# --- syncthing ----------------------------------------------------------------------------------------------


class Syncthing:
    """One instance of it."""

    def __init__(self, bench: Bench, name: str) -> None:
        home = bench.folder / f"syncthing-{name}"
        subprocess.run(
            ["syncthing", "generate", "--home", str(home), "--no-default-folder", "--skip-port-probing"],
            check=True,
            capture_output=True,
        )
        self.port, self._api_port = free_port(), free_port()
        config = ElementTree.parse(home / "config.xml")
        options = config.find("options")
        assert options is not None
        for key, value in {**QUIET, "listenAddress": f"tcp://127.0.0.1:{self.port}"}.items():
            for old in options.findall(key):
                options.remove(old)
            ElementTree.SubElement(options, key).text = value
        address, secret = config.find("gui/address"), config.find("gui/apikey")
        device = config.find("device")
        assert address is not None and secret is not None and device is not None
        address.text = f"127.0.0.1:{self._api_port}"
        self._key = secret.text or ""
        self.device = device.get("id") or ""
        config.write(home / "config.xml")
        self._process = bench.spawn(
            *("syncthing", "serve", "--home", str(home), "--no-browser", "--no-restart", "--no-upgrade")
        )
        self._pids: list[int] = []

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._api_port}/rest/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-API-Key": self._key},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def until_up(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                self.ask("GET", "system/ping")
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        raise AssertionError("syncthing did not start")

    def meet(self, other: Syncthing) -> None:
        self.ask(
            "PUT",
            f"config/devices/{other.device}",
            {"deviceID": other.device, "addresses": [f"tcp://127.0.0.1:{other.port}"]},
        )

    def have(self, name: str, path: Path, kind: str, others: list[Syncthing], paused: bool) -> None:
        self.ask(
            "PUT",
            f"config/folders/{name}",
            {
                "id": name,
                "path": str(path),
                "type": kind,
                "paused": paused,
                "fsWatcherEnabled": False,
                "devices": [{"deviceID": each.device} for each in (self, *others)],
            },
        )

    def until_there(self, name: str, files: int, pause_s: float) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                status = self.ask("GET", f"db/status?folder={name}")
                if status["localFiles"] >= files and not status["needFiles"] and status["state"] == "idle":
                    return
            except urllib.error.HTTPError:
                pass  # the folder is just being started
            time.sleep(pause_s)
        raise AssertionError(f"syncthing: {name} did not come")

    def until_connected(self, other: Syncthing) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            known = self.ask("GET", "system/connections")["connections"].get(other.device)
            if known and known["connected"]:
                return
            time.sleep(0.1)
        raise AssertionError("syncthing: the two did not connect")

    def cpu_s(self) -> float:
        return sum(cpu_s(pid) for pid in family(self._process.pid))


async def start_syncthing(bench: Bench) -> Transfer:
    def start() -> tuple[Syncthing, Syncthing]:
        sender, receiver = Syncthing(bench, "sender"), Syncthing(bench, "receiver")
        for each in (sender, receiver):
            each.until_up()
        sender.meet(receiver)
        receiver.meet(sender)
        receiver.until_connected(sender)
        return sender, receiver

    sender, receiver = await trio.to_thread.run_sync(start)
    number = 0

    def transfer() -> Run:
        nonlocal number
        number += 1
        name, copy = f"bench{number}", bench.folder / f"syncthing-copy{number}"
        sender.have(name, bench.source, "sendonly", [receiver], paused=False)
        sender.until_there(name, bench.files, 0.1)
        receiver.have(name, copy, "receiveonly", [sender], paused=True)
        time.sleep(1)
        receiver.until_connected(sender)
        before = sender.cpu_s(), receiver.cpu_s()
        began = time.monotonic()
        receiver.ask("PATCH", f"config/folders/{name}", {"paused": False})
        receiver.until_there(name, bench.files, LOOK_S)
        seconds = time.monotonic() - began
        after = sender.cpu_s(), receiver.cpu_s()
        for each in (receiver, sender):
            each.ask("DELETE", f"config/folders/{name}")
        for marker in (bench.source / ".stfolder", copy / ".stfolder"):
            shutil.rmtree(marker, ignore_errors=True)
        bench.check_and_remove(copy)
        return Run(seconds, after[0] - before[0], after[1] - before[1])

    return lambda: trio.to_thread.run_sync(transfer)


# --- processes and ports ------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def until_listening(port: int) -> None:
    with trio.fail_after(PATIENCE_S):
        while True:
            try:
                await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
                return
            except OSError:
                await trio.sleep(0.05)


def cpu_s(pid: int, *, ended: bool = False) -> float:
    """User and system time of a process, in seconds; with that of its children that ended, if asked."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if ended else 13])) / TICKS_PER_S


def family(pid: int) -> list[int]:
    """A process and its children, whichever of its threads began them."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [pid, *(int(child) for task in tasks for child in task.read_text().split())]


if __name__ == "__main__":
    sys.exit(main())
