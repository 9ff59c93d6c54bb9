"""The only place that opens sockets. A simulation puts a network of its own in its stead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import trio

from p2pshare.addresses import Address, parse_host_untrusted
from p2pshare.errors import BadMessage, LocalTrouble

FREE_PORT_ATTEMPTS = 8


class Network(Protocol):
    """What dialling and serving need of the world."""

    async def connect(self, address: Address) -> trio.abc.Stream:
        """A byte stream to this address. Raises `OSError`."""

    async def listen(self, host: str | None, port: int) -> Sequence[trio.abc.Listener[trio.abc.Stream]]:
        """Listeners on `host` (None: every address of the machine); port 0 chooses one. Raises
        `LocalTrouble`.
        """

    def remote(self, stream: trio.abc.Stream) -> Address | None:
        """Where a stream comes from or leads to; None if that cannot be told."""

    def port(self, listeners: Sequence[trio.abc.Listener[trio.abc.Stream]]) -> int:
        """The port that listeners were given."""


class TcpNetwork:
    """TCP of the operating system."""

    async def connect(self, address: Address) -> trio.abc.Stream:
        return await trio.open_tcp_stream(address.host, address.port)

    async def listen(self, host: str | None, port: int) -> Sequence[trio.SocketListener]:
        try:
            if port == 0 and host is None:
                return await self._listen_on_one_free_port()
            return await trio.open_tcp_listeners(port, host=host)
        except OSError as error:
            where = f"port {port}" if host is None else f"{host}, port {port}"
            raise LocalTrouble(
                f"Cannot listen on {where}: {error.strerror or error}. Choose another port, or end"
                " the program that uses it."
            ) from error

    async def _listen_on_one_free_port(self) -> Sequence[trio.SocketListener]:
        """IPv4 and IPv6 on the same port: left alone, the system gives each family another one."""
        for attempts_left in reversed(range(FREE_PORT_ATTEMPTS)):
            chosen = await trio.open_tcp_listeners(0)
            port = self.port(chosen)
            for listener in chosen:
                await listener.aclose()
            try:
                return await trio.open_tcp_listeners(port)
            except OSError:
                if not attempts_left:
                    raise
        raise AssertionError("unreachable")

    def remote(self, stream: trio.abc.Stream) -> Address | None:
        if not isinstance(stream, trio.SocketStream):
            return None
        try:
            host, port = stream.socket.getpeername()[:2]
            # An IPv6 socket may tell a zone ("fe80::1%eth0") or an IPv4 address in IPv6 clothes.
            return Address(parse_host_untrusted(host.partition("%")[0]), port)
        except (OSError, BadMessage):
            return None

    def port(self, listeners: Sequence[trio.abc.Listener[trio.abc.Stream]]) -> int:
        first = listeners[0]
        assert isinstance(first, trio.SocketListener)
        port: int = first.socket.getsockname()[1]
        return port


TCP = TcpNetwork()
