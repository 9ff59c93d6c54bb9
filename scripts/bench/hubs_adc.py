"""A Direct Connect hub and everybody on it, by the ADC protocol, with as little work as that can be done.

A search goes to the hub, and the hub passes it on to everybody. It is taken for answered once everybody has
it: that they look through their own files then, and send what they find to the searcher directly (as most
clients do: "active" ones), costs the hub nothing and is not counted.
"""

from __future__ import annotations

import base64
import ctypes
import ctypes.util
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.bench.programs.processes import free_port, running, until_listening
from scripts.bench.times import Times

HOST = "127.0.0.1"
READ_BYTES = 1 << 18
ID_BYTES = 24
TIGER = 306  # libgcrypt's number for it
HUB = """
server_port={port}
server_bind_addr={host}
server_listen_backlog=200
max_users={users}
show_banner=0
tls_enable=no
file_acl={folder}/users
file_plugins={folder}/plugins
"""


@contextmanager
def hub(folder: Path, users: int) -> Iterator[tuple[int, int]]:
    """A running uhub: its process id and its port."""
    folder.mkdir()
    port, config = free_port(), folder / "uhub.conf"
    config.write_text(HUB.format(port=port, host=HOST, users=users + 10, folder=folder))
    for name in ("users", "plugins"):
        (folder / name).touch()
    with running(["uhub", "-c", config], folder / "hub.log") as process:
        until_listening(HOST, port)
        yield process.pid, port


def client_ids(number: int) -> tuple[str, str]:
    """What a client is known by on the hub, and the secret that proves it; the first is the other's hash."""
    secret = number.to_bytes(ID_BYTES, "big")
    library = ctypes.CDLL(ctypes.util.find_library("gcrypt") or "libgcrypt.so.20")
    digest = ctypes.create_string_buffer(ID_BYTES)
    library.gcry_check_version(None)
    library.gcry_md_hash_buffer(TIGER, digest, secret, len(secret))
    return _base32(digest.raw), _base32(secret)


class Clients:
    """So many clients of a hub, served by one loop."""

    def __init__(self, port: int, count: int) -> None:
        """Returns once all are logged in. Raises `TimeoutError`."""
        self._poll = select.epoll()
        self._clients: dict[int, _Client] = {}
        self._waiting: dict[int, tuple[int, float]] = {}  # searches: who still lacks them, and since when
        self._answered: Callable[[], None] = lambda: None
        self.times = Times()
        for number in range(count):
            client = _Client(number, port)
            self._clients[client.socket.fileno()] = client
            self._poll.register(client.socket.fileno(), select.EPOLLIN)
            self._serve_until(lambda client=client: client.here, 30.0)  # type: ignore[misc]
        self._turns = list(self._clients.values())

    def search(self, seconds: float, window: int, words: Callable[[], tuple[str, ...]]) -> tuple[int, float]:
        """So many searches are under way at any time. How many were answered, and in how many seconds."""
        self.times = Times()
        began = time.monotonic()
        asked = 0

        def one() -> None:
            nonlocal asked
            asked += 1
            client = self._turns[asked % len(self._turns)]
            self._waiting[asked] = len(self._turns) - 1, time.monotonic()
            wanted = " ".join(f"AN{word}" for word in words())
            client.send(f"BSCH {client.sid} {wanted} TO{asked}\n")

        def answered() -> None:
            if time.monotonic() < began + seconds:
                one()

        self._answered = answered
        for _ in range(window):
            one()
        self._serve_until(lambda: not self._waiting, seconds + 60.0)
        return asked, time.monotonic() - began

    def close(self) -> None:
        for client in self._clients.values():
            client.socket.close()

    def _serve_until(self, done: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                raise TimeoutError("The hub does not answer.")
            for number, _ in self._poll.poll(0.1):
                self._read(self._clients[number])

    def _read(self, client: _Client) -> None:
        try:
            data = client.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            raise TimeoutError(f"The hub hung up on client {client.number}.")
        *lines, client.rest = (client.rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"BSCH"):
                if line[5:9] != client.sid_bytes:
                    self._passed_on(int(line[line.rindex(b" TO") + 3 :]))
            elif not client.here:
                client.read(line)

    def _passed_on(self, search: int) -> None:
        left, since = self._waiting[search]
        if left > 1:
            self._waiting[search] = left - 1, since
        else:
            del self._waiting[search]
            self.times.add(time.monotonic() - since)
            self._answered()


class _Client:
    """One connection to the hub."""

    def __init__(self, number: int, port: int) -> None:
        self.number = number
        self.here = False
        self.sid = ""
        self.sid_bytes = b""
        self.rest = b""
        self.socket = socket.create_connection((HOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.send("HSUP ADBASE ADTIGR\n")

    def send(self, text: str) -> None:
        """A line is short, and there is room for it."""
        os.write(self.socket.fileno(), text.encode())

    def read(self, line: bytes) -> None:
        """The steps of logging in."""
        if line.startswith(b"ISID "):
            self.sid_bytes = line[5:9]
            self.sid = self.sid_bytes.decode()
            cid, secret = client_ids(self.number)
            self.send(
                f"BINF {self.sid} ID{cid} PD{secret} NIload{self.number} I4{HOST} U4{40_000}"
                " SS1000000 SF100 SL3 HN1 HR0 HO0 VEload SUTCP4,UDP4\n"
            )
        elif line.startswith(b"BINF " + self.sid_bytes):
            self.here = True
        elif line.startswith((b"IQUI", b"ISTA 2")):
            raise TimeoutError(f"The hub refused client {self.number}: {line.decode(errors='replace')}")


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=")
