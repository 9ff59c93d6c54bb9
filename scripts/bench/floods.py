#!/usr/bin/env python3
"""What a flood costs an index server: CPU time for each request that it refuses, beside one that it answers.

    .venv/bin/python scripts/bench/floods.py [--requests 4000] [--json]

The server is a process of its own with the usual limits. For each kind of question somebody asks over
loopback, through the real protocol, as fast as answers come and without ever waiting as told. The first
requests are within the budget; all later ones are refused. A banned address connects and is turned away
before a handshake.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import trio

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from p2pshare.errors import Disconnected, PeerFault, Reason, Refused  # noqa: E402
from p2pshare.identity import Identity, format_node_id  # noqa: E402
from p2pshare.links import Invite, parse_link_untrusted  # noqa: E402
from p2pshare.transport.channel import Channel  # noqa: E402
from p2pshare.transport.dial import dial  # noqa: E402
from p2pshare.transport.endpoint import Endpoint  # noqa: E402
from p2pshare.wire import index, rules  # noqa: E402
from p2pshare.wire.fields import RuleAction, Subject  # noqa: E402
from p2pshare.wire.manifest import EMPTY_MANIFEST  # noqa: E402

OWNER = Identity.from_seed(b"o" * 32)
AT_ONCE = 8
TRIES_A_CONNECTION = 4
BANNED = "127.0.0.2"
SETTINGS = {
    "server.hosts": "127.0.0.1",
    "server.port": "0",
    "server.announce": "false",
    "web.port": "0",
    "rules.owners": format_node_id(OWNER.node_id),
}


@dataclass
class Row:
    """One kind of flood."""

    flood: str
    answered: int
    answered_us: float
    """CPU time of the server for each."""
    refused: int
    refused_us: float


@contextmanager
def running_server() -> Iterator[tuple[int, Invite]]:
    """(process, invite) of a server with an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        flags = [f"--{key.replace('.', '-')}={value}" for key, value in SETTINGS.items()]
        command = [sys.executable, "-m", "index_server", f"--server-data={folder}", *flags]
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            line = next(line for line in server.stdout if "p2pshare:" in line)
            invite = parse_link_untrusted(line.split("'")[1])
            assert isinstance(invite, Invite)
            yield server.pid, invite
        finally:
            server.terminate()
            server.wait()


def cpu_us(process: int) -> float:
    """CPU time that a process has had, all its threads together."""
    threads = Path(f"/proc/{process}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e3


async def flood(channel: Channel, build: Callable[[int], Any], times: int) -> tuple[int, int]:
    """(answered, refused for too much)."""
    turns, counts = iter(range(times)), [0, 0]

    async def ask_on() -> None:
        for _ in turns:
            try:
                await channel.ask(build(channel.next_request()))
                counts[0] += 1
            except Refused as refused:
                counts[refused.reason is Reason.TOO_MUCH] += 1

    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(ask_on)
    return counts[0], counts[1]


async def questions(process: int, invite: Invite, times: int) -> list[Row]:
    """Floods of somebody who is logged in."""
    me, rows, nicks = Endpoint.create(Identity.from_seed(b"m" * 32)), list[Row](), iter(range(10**9))
    floods: dict[str, tuple[int, Callable[[int], Any]]] = {
        "search": (240, lambda request: index.Search(request=request, query="blue monday")),
        "publish": (
            600,
            lambda request: index.Publish(
                request=request, base=EMPTY_MANIFEST, result=EMPTY_MANIFEST, removed=(), added=()
            ),
        ),
        "ticket": (240, lambda request: index.AskTicket(request=request, node=OWNER.node_id)),
        "nick change": (4, lambda request: index.Rename(request=request, nick=f"m{next(nicks)}")),
    }
    async with dial(me, invite.addresses, invite.server) as channel:
        await channel.ask(index.Register(request=channel.next_request(), nick="mallory"))
        await channel.ask(index.Login(request=channel.next_request()))
        for name, (budget, build) in floods.items():
            start = cpu_us(process)
            answered, _ = await flood(channel, build, budget)
            between = cpu_us(process)
            late, refused = await flood(channel, build, times)
            # What filled up meanwhile is answered, and costs as much as the others.
            answered_us = (between - start) / answered
            refused_us = (cpu_us(process) - between - late * answered_us) / refused
            rows.append(Row(name, answered, answered_us, refused, refused_us))
    return rows


async def logins(process: int, invite: Invite, times: int) -> list[Row]:
    """Tries to log in and to register, by keys new for every connection, whose handshakes are part of it."""
    rows = []
    for name, build in (
        ("login", lambda request: index.Login(request=request)),
        ("registration", lambda request: index.Register(request=request, nick=f"n{request}")),
    ):
        counts, costs = [0, 0], [0.0, 0.0]
        for number in range(times // TRIES_A_CONNECTION):
            me = Endpoint.create(Identity.from_seed(f"{name}{number}".encode().ljust(32)))
            start = cpu_us(process)
            try:
                async with dial(me, invite.addresses, invite.server) as channel:
                    reasons = [
                        await refusal(channel.ask(build(channel.next_request())))
                        for _ in range(TRIES_A_CONNECTION)
                    ]
            except (Disconnected, PeerFault):
                break  # told to come again later
            refused = reasons.count(Reason.TOO_MUCH)
            too_much = refused == TRIES_A_CONNECTION
            counts[too_much] += TRIES_A_CONNECTION
            costs[too_much] += cpu_us(process) - start
        each = [cost / max(count, 1) for cost, count in zip(costs, counts, strict=True)]
        rows.append(Row(name, counts[0], each[0], counts[1], each[1]))
    return rows


async def refusal(asking: Awaitable[Any]) -> Reason | None:
    try:
        await asking
    except Refused as refused:
        return refused.reason
    return None


async def banned(process: int, invite: Invite, times: int) -> Row:
    """Connections from an address that is banned."""
    async with dial(Endpoint.create(OWNER), invite.addresses, invite.server) as channel:
        await channel.ask(index.Register(request=channel.next_request(), nick="owner"))
        await channel.ask(index.Login(request=channel.next_request()))
        await channel.ask(
            rules.Moderate(
                request=channel.next_request(),
                action=RuleAction.BAN,
                subject=Subject.ADDRESS,
                target=BANNED,
                reason="floods",
            )
        )
        start = cpu_us(process)
        for _ in range(times):
            socket.create_connection(("127.0.0.1", invite.addresses[0].port), 5, (BANNED, 0)).close()
        return Row("connection while banned", 0, 0.0, times, (cpu_us(process) - start) / times)


async def measure(process: int, invite: Invite, times: int) -> list[Row]:
    return [
        await banned(process, invite, times),
        *await questions(process, invite, times),
        *await logins(process, invite, times),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--requests", type=int, default=4_000, help="how many of each kind")
    parser.add_argument("--json", action="store_true", help="print one JSON value")
    options = parser.parse_args()
    with running_server() as (process, invite):
        rows = trio.run(measure, process, invite, options.requests)
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return 0
    print(f"{'CPU time of the server':<26}{'answered':>12}{'each':>12}{'refused':>12}{'each':>12}")
    for row in rows:
        answered = f"{row.answered_us:,.0f} µs" if row.answered else "-"
        print(f"{row.flood:<26}{row.answered:>12,}{answered:>12}{row.refused:>12,}{row.refused_us:>9,.0f} µs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
