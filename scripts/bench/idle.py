#!/usr/bin/env python3
"""What people who are merely online cost an index server: memory for each, logins a second, a restart.

    .venv/bin/python scripts/bench/idle.py [--clients 2000] [--processes 2] [--restart]

The server is a process of its own; the clients are those of `crowd.py`, over loopback, through the real
protocol. First all register and stay: what the server's memory (RSS) grows by, divided by their number, is
what an idle connection costs it; what the kernel holds for a socket comes on top. Then all hang up without a
word and log in again: logins a second, and the CPU time of the server for each. With `--restart` the server
is told to restart (SIGHUP) while all are online, and the time is taken until all are back.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from p2pshare.links import Invite, parse_link_untrusted  # noqa: E402

KIB = 1024
PATIENCE_S = 120
AT_ONCE = 50
CALM_CPU_S = 0.02  # within half a second
STORM = 1_000_000
SETTINGS = {
    "server.hosts": "127.0.0.1",
    "server.port": "0",
    "server.announce": "false",
    "accounts.registrations_per_hour": "1000000",
    "connections.total": "19000",
    "connections.per_address": "19000",
    "limits.logins_per_minute": "1000000",
    "log.level": "warning",
    "web.port": "0",
}


class Crowd:
    """A process of clients, spoken to line by line."""

    def __init__(self, host: str, port: int, number: int, clients: int) -> None:
        script = str(Path(__file__).with_name("crowd.py"))
        command = [sys.executable, script, host, str(port), f"c{number}x", str(clients)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, *words: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def all_do(crowds: list[Crowd], *words: object) -> list[dict[str, Any]]:
    for crowd in crowds:
        crowd.tell(*words)
    return [crowd.answer() for crowd in crowds]


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=2_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--restart", action="store_true")
    parser.add_argument(
        "--logins-per-second", default="2000", help="of the server's settings; its default is 500"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = {**SETTINGS, "connections.logins_per_second": arguments.logins_per_second}
        options = [f"--{key.replace('.', '-').replace('_', '-')}={value}" for key, value in settings.items()]
        command = [sys.executable, "-m", "index_server", "--server-data", folder, *options]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        crowds: list[Crowd] = []
        try:
            invite = invite_of(server)
            host, port = "127.0.0.1", invite.addresses[0].port
            each = arguments.clients // arguments.processes
            crowds += [Crowd(host, port, number, each) for number in range(arguments.processes)]
            measure(server.pid, crowds, each * arguments.processes, restart=arguments.restart)
        finally:
            for crowd in crowds:
                crowd.end()
            server.send_signal(signal.SIGTERM)
            server.wait()
    return 0


def invite_of(server: subprocess.Popen[str]) -> Invite:
    assert server.stdout is not None
    for line in server.stdout:
        for word in line.split():
            if word.startswith("'p2pshare:"):
                invite = parse_link_untrusted(word.strip("'"))
                assert isinstance(invite, Invite)
                return invite
    raise SystemExit("The server did not start.")


def measure(server: int, crowds: list[Crowd], clients: int, *, restart: bool) -> None:
    all_do(crowds, "stay", 0)
    before = resident_bytes(server)
    began, cpu = time.monotonic(), cpu_s(server)
    all_do(crowds, "online", PATIENCE_S, AT_ONCE)
    report("registered", clients, time.monotonic() - began, cpu_s(server) - cpu)
    all_do(crowds, "stay", 3)
    grown = resident_bytes(server) - before
    print(f"memory: {grown / clients / KIB:.1f} KiB for each of {clients:,} idle connections")
    all_do(crowds, "hang_up")
    settle(server)
    began, cpu = time.monotonic(), cpu_s(server)
    all_do(crowds, "online", PATIENCE_S, AT_ONCE)
    report("logged in again", clients, time.monotonic() - began, cpu_s(server) - cpu)
    if restart:
        os.kill(server, signal.SIGHUP)
        while all(answer["online"] for answer in all_do(crowds, "stay", 0.2)):
            pass  # first the server looks whether it could start
        began = time.monotonic()
        answers = all_do(crowds, "online", PATIENCE_S, STORM)
        online, seconds = sum(answer["online"] for answer in answers), time.monotonic() - began
        print(f"restart: {online:,} of {clients:,} online again in {seconds:.1f} s")


def settle(server: int) -> None:
    """Wait until it has dealt with what came before."""
    used = -1.0
    while cpu_s(server) > used + CALM_CPU_S:
        used = cpu_s(server)
        time.sleep(0.5)


def report(what: str, count: int, seconds: float, cpu: float) -> None:
    rate = count / seconds
    print(f"{what}: {rate:,.0f} a second; the server took {cpu / count * 1e6:.0f} us of CPU for each")


if __name__ == "__main__":
    sys.exit(main())
