"""Both ends of a TCP connection on this machine."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

Ends = tuple[trio.SocketStream, trio.SocketStream]


@asynccontextmanager
async def loopback() -> AsyncIterator[Ends]:
    """The end that connected, and the other. Both are closed in the end, politely or not."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        host, port = listener.socket.getsockname()
        near = await trio.open_tcp_stream(host, port)
        far = await listener.accept()
    try:
        yield near, far
    finally:
        await trio.aclose_forcefully(near)
        await trio.aclose_forcefully(far)


async def reset(stream: trio.SocketStream) -> None:
    """End a connection as a machine does whose program was killed with data unread."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await trio.aclose_forcefully(stream)
