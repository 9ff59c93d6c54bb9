"""Many clients of an index server in one process, each with a session of the real protocol and nothing else.

No task and no thread for each: one loop looks at all their sockets, so that what is measured is the server.
`idle.py` starts some of these processes and talks to them line by line: a command on standard input, one line
of JSON as the answer.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import selectors
import socket
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from p2pshare.errors import PeerFault, Reason  # noqa: E402
from p2pshare.identity import Identity  # noqa: E402
from p2pshare.limits import KEY_BYTES, PROTOCOL_VERSION  # noqa: E402
from p2pshare.session.buffers import SpareBuffers  # noqa: E402
from p2pshare.session.events import Closed, HandshakeDone, MessageReceived  # noqa: E402
from p2pshare.session.handshake import NoiseStatic  # noqa: E402
from p2pshare.session.session import Session  # noqa: E402
from p2pshare.session.states import Party  # noqa: E402
from p2pshare.wire import index  # noqa: E402
from p2pshare.wire.fields import Role  # noqa: E402
from p2pshare.wire.session import Hello, Refused  # noqa: E402

READ_BYTES = 64 * 1024
AT_ONCE = 200  # connections of one process that are under way at the same time, unless it is a storm
HELLO = Hello(role=Role.CLIENT, versions=(PROTOCOL_VERSION,), agent="crowd")
BUFFERS = SpareBuffers()


class Client:
    """Somebody who is online, or on the way there."""

    def __init__(self, name: str) -> None:
        identity = Identity.from_seed(hashlib.sha256(name.encode()).digest())
        self.nick = name
        self.static = NoiseStatic.create(identity, os.urandom(KEY_BYTES))
        self.online = False
        self.resume = b""
        self.again_at = 0.0
        """When to connect next, while there is no connection."""
        self.failures = 0
        self.socket: socket.socket | None = None
        self.session: Session | None = None

    def connect(self, address: tuple[str, int], now: float) -> socket.socket:
        self.online, self.again_at = False, math.inf
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.connect_ex(address)
        self.session = Session(
            Party.DIALER, self.static, HELLO, now=now, ephemeral=os.urandom(KEY_BYTES), buffers=BUFFERS
        )
        return self.socket

    def drop(self, now: float, told_s: float) -> None:
        """The connection is over: come back when told to, and a little later each time."""
        assert self.socket is not None
        self.socket.close()
        self.socket, self.session, self.online = None, None, False
        spread = hashlib.sha256(f"{self.nick} {self.failures}".encode()).digest()[0] / 256
        self.again_at = now + told_s + min(60.0, 2.0**self.failures) * (0.5 + spread / 2)
        self.failures += 1

    def flush(self) -> None:
        assert self.socket is not None and self.session is not None
        while data := self.session.data_to_send(READ_BYTES):
            self.socket.sendall(data)  # it is little, and fits the system's own buffer

    def hear(self, data: bytes, now: float) -> float | None:
        """Seconds to stay away if the server ends it, else None."""
        assert self.session is not None
        for event in self.session.receive_data(data, now):
            if isinstance(event, Closed):
                return float(event.retry_after_s)
            if isinstance(event, HandshakeDone):
                self.session.send(index.Login(request=1, resume=self.resume))
            elif isinstance(event, MessageReceived):
                message = event.message
                if isinstance(message, Refused):
                    if message.reason is not Reason.NOT_REGISTERED:
                        raise SystemExit(f"The server refuses: {message.text}")
                    self.session.send(index.Register(request=2, nick=self.nick))
                elif isinstance(message, index.Registered):
                    self.session.send(index.Login(request=1, resume=self.resume))
                elif isinstance(message, index.LoggedIn):
                    self.online, self.failures = True, 0
                    self.resume = message.resume
        return None


class Crowd:
    """All clients of this process."""

    def __init__(self, address: tuple[str, int], names: list[str]) -> None:
        self.address = address
        self.clients = [Client(name) for name in names]
        self.dropped = 0
        self._selector = selectors.DefaultSelector()
        self._under_way = 0

    def online(self) -> int:
        return sum(client.online for client in self.clients)

    def run(self, *, until_online: bool, for_s: float, at_once: int) -> None:
        """Connect those who are not, answer pings, until all are online or the time is over."""
        end = time.monotonic() + for_s
        pinged = time.monotonic()
        while (now := time.monotonic()) < end:
            online = self._step(now, at_once)
            if until_online and online == len(self.clients):
                return
            if now - pinged > 1:
                pinged = now
                for client in self.clients:
                    if client.session is not None and client.online:
                        client.session.handle_timer(now)
                        client.flush()

    def _step(self, now: float, at_once: int) -> int:
        under_way = online = 0
        due: list[Client] = []
        for client in self.clients:
            online += client.online
            under_way += client.socket is not None and not client.online
            if client.again_at <= now:
                due.append(client)
        for client in due[: max(0, at_once - under_way)]:
            self._selector.register(client.connect(self.address, now), selectors.EVENT_WRITE, client)
        for key, events in self._selector.select(0.05):
            self._serve(key.data, events, now)
        return online

    def _serve(self, client: Client, events: int, now: float) -> None:
        assert client.socket is not None
        try:
            if events & selectors.EVENT_WRITE:  # connected
                self._selector.modify(client.socket, selectors.EVENT_READ, client)
                client.flush()
                return
            data = client.socket.recv(READ_BYTES)
            told_s = client.hear(data, now) if data else 0.0
            if told_s is None:
                client.flush()
                return
        except (OSError, PeerFault):
            told_s = 0.0
        self.dropped += client.online
        self._selector.unregister(client.socket)
        client.drop(now, told_s)

    def hang_up(self) -> None:
        """All at once, without a word."""
        for client in self.clients:
            if client.socket is not None:
                self._selector.unregister(client.socket)
                client.socket.close()
                client.socket, client.session, client.online = None, None, False
            client.again_at, client.failures = 0.0, 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("prefix", help="what their nicks begin with")
    parser.add_argument("clients", type=int)
    arguments = parser.parse_args()
    names = [f"{arguments.prefix}{number}" for number in range(arguments.clients)]
    crowd = Crowd((arguments.host, arguments.port), names)
    for line in sys.stdin:
        command, *numbers = line.split()
        began = time.monotonic()
        if command == "online":  # seconds at most, connections under way at the same time
            crowd.run(until_online=True, for_s=float(numbers[0]), at_once=int(numbers[1]))
        elif command == "stay":
            crowd.run(until_online=False, for_s=float(numbers[0]), at_once=AT_ONCE)
        elif command == "hang_up":
            crowd.hang_up()
        answer = {
            "took_s": time.monotonic() - began,
            "online": crowd.online(),
            "dropped": crowd.dropped,
        }
        print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
