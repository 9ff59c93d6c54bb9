#!/usr/bin/env python3
"""One file from one source over loopback: p2pshare beside nginx and curl over https, in turn, as ratios.

    .venv/bin/python scripts/bench/transfer.py [--mib 1024] [--pairs 5]

Both ends of ours are `p2pshare serve` processes, and what is timed is the download that `p2pshare get`
starts, from the request to the final name: looked up at the index server, connected, encrypted, verified,
written, synced. curl is timed by itself, from the connection to the last byte. Everything lies in
memory-backed storage; the first pair of runs only touches that memory and is not counted. nginx, curl and
openssl come from Debian's packages.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from client.engine.control import connect_running  # noqa: E402
from client.engine.face import Face  # noqa: E402
from client.engine.profile import Profile, create_profile  # noqa: E402
from client.engine.settings import Settings  # noqa: E402
from client.engine.status import DownloadState  # noqa: E402

MEMORY = Path("/dev/shm")
PATIENCE_S = 120.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
NGINX = """
daemon off; worker_processes 1; {user} pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl; root {folder}/share; ssl_protocols TLSv1.3;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
  }}
}}
"""


@dataclass(frozen=True)
class Run:
    """One transfer."""

    seconds: float
    sender_cpu_s: float
    receiver_cpu_s: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=1024, help="size of the file")
    parser.add_argument("--pairs", type=int, default=5, help="counted runs of each")
    options = parser.parse_args()
    for program in ("nginx", "curl", "openssl"):
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
            print(f"{program} is not installed: apt install nginx-light curl openssl")
            return 1
    folder = Path(tempfile.mkdtemp(prefix="p2pshare-bench-", dir=MEMORY))
    processes: list[subprocess.Popen[str]] = []
    try:
        trio.run(measure, folder, processes, options.mib << 20, options.pairs)
    finally:
        for process in processes:
            process.terminate()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


async def measure(folder: Path, processes: list[subprocess.Popen[str]], size: int, pairs: int) -> None:
    (folder / "share").mkdir()
    with (folder / "share" / "big.bin").open("wb") as file:
        for _ in range(size >> 20):
            file.write(os.urandom(1 << 20))
    ours = await start_ours(folder, processes)
    https = start_nginx(folder, processes)
    runs: dict[str, list[Run]] = {"p2pshare": [], "nginx + curl, https": []}
    for number in range(pairs + 1):
        mine, theirs = await ours(), await trio.to_thread.run_sync(https)
        if number:
            runs["p2pshare"].append(mine)
            runs["nginx + curl, https"].append(theirs)
    show(runs, size)


def show(runs: dict[str, list[Run]], size: int) -> None:
    print(f"{size >> 20} MiB, one source, loopback, memory-backed; {os.cpu_count()} cores")
    print(f"{'':<22}{'MB/s  min  median  max':>26}{'CPU s/GiB  sender  receiver':>32}")
    for name, each in runs.items():
        rates = sorted(size / 1e6 / run.seconds for run in each)
        sender = statistics.median(run.sender_cpu_s for run in each) * (1 << 30) / size
        receiver = statistics.median(run.receiver_cpu_s for run in each) * (1 << 30) / size
        middle = statistics.median(rates)
        print(f"{name:<22}{rates[0]:>11.0f}{middle:>8.0f}{rates[-1]:>7.0f}{sender:>22.2f}{receiver:>10.2f}")
    mine, theirs = runs.values()
    ratios = sorted(one.seconds / other.seconds for one, other in zip(theirs, mine, strict=True))
    print(f"ratio of the pairs: {ratios[0]:.2f} to {ratios[-1]:.2f}, median {statistics.median(ratios):.2f}")


# --- ours -------------------------------------------------------------------------------------------------


async def start_ours(folder: Path, processes: list[subprocess.Popen[str]]) -> Callable[[], Awaitable[Run]]:
    index = spawn(
        processes,
        *("index_server", "--server-data", str(folder / "index"), "--server-hosts", "127.0.0.1"),
        *("--server-port", "0", "--server-announce", "false", "--log-level", "error"),
        stdout=subprocess.PIPE,
    )
    assert index.stdout is not None
    invite = next(found[0] for line in index.stdout if (found := re.search(r"p2pshare:join\?[^' ]+", line)))
    faces: dict[str, tuple[Face, int]] = {}
    for name in ("sender", "receiver"):
        profile = Profile(folder / name)
        settings = Settings(nick=name, servers=(invite,), lan=False, share_downloads=False)
        create_profile(profile, settings)
        process = spawn(processes, "client", "--profile", str(profile.folder), "serve")
        faces[name] = await until_running(profile), process.pid
    sender, sender_pid = faces["sender"]
    receiver, receiver_pid = faces["receiver"]
    await sender.add_share(str(folder / "share"))
    link = await sender.link(str(folder / "share" / "big.bin"))
    await until_listed(sender)

    async def transfer() -> Run:
        before = cpu_s(sender_pid), cpu_s(receiver_pid)
        [begun] = await receiver.get(link)
        while True:
            [view] = [view for view in await receiver.downloads() if view.id == begun.id]
            if view.state is DownloadState.COMPLETE:
                break
            await trio.sleep(0.25)
        after = cpu_s(sender_pid), cpu_s(receiver_pid)
        await trio.Path(view.target).unlink()
        await receiver.clear()
        assert view.finished_at is not None
        return Run(view.finished_at - view.added_at, after[0] - before[0], after[1] - before[1])

    return transfer


async def until_running(profile: Profile) -> Face:
    with trio.fail_after(PATIENCE_S):
        while True:
            if (face := await connect_running(profile)) is not None:
                return face
            await trio.sleep(0.05)


async def until_listed(face: Face) -> None:
    with trio.fail_after(PATIENCE_S):
        while True:
            view = await face.status()
            if not view.hashing_left and all(
                s.offers_published and not s.offers_pending for s in view.servers
            ):
                return
            await trio.sleep(0.1)


# --- nginx and curl -----------------------------------------------------------------------------------------


def start_nginx(folder: Path, processes: list[subprocess.Popen[str]]) -> Callable[[], Run]:
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ed25519",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
            ),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    user = "user root;" if os.geteuid() == 0 else ""  # the folder is for its owner only
    port = 20_000 + os.getpid() % 20_000
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, user=user))
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin"}
    server = subprocess.Popen(
        ["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)], env=environment, text=True
    )
    processes.append(server)
    time.sleep(0.5)
    url = f"https://127.0.0.1:{port}/big.bin"

    def transfer() -> Run:
        before = sum(cpu_s(pid) for pid in family(server.pid))
        target = folder / "curl.bin"
        timing = ["-w", "%{time_total}"]
        rusage = os.times()
        done = subprocess.run(
            ["curl", "-fsk", "--tlsv1.3", "-o", str(target), *timing, url],
            capture_output=True,
            text=True,
            check=True,
        )
        now = os.times()
        target.unlink()
        after = sum(cpu_s(pid) for pid in family(server.pid))
        used = now.children_user + now.children_system - rusage.children_user - rusage.children_system
        return Run(float(done.stdout), after - before, used)

    return transfer


# --- processes ----------------------------------------------------------------------------------------------


def spawn(
    processes: list[subprocess.Popen[str]], *arguments: str, stdout: int = subprocess.DEVNULL
) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=stdout,
        text=True,
    )
    processes.append(process)
    return process


def cpu_s(pid: int) -> float:
    """User and system time of a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def family(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


if __name__ == "__main__":
    sys.exit(main())
