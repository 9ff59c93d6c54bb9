"""A whole internet in memory: hosts with addresses, lines with a rate and a delay, and all that
breaks.

    async with SimInternet(random.Random(7)) as internet:
        bob = internet.host("bob", up=1 * MIB)       # a `Network`, to hand to an endpoint
        ...
        internet.cut("alice", "bob")                 # reset what is open, refuse what comes
        internet.silence("alice", "bob")             # nothing gets through and nobody is told

Like TCP, a stream takes some bytes into a buffer, sends no more than a window ahead of its reader, splits and
merges what was written, and tells a writer of a closed reader only once bytes have got there. The clock is
trio's: under a MockClock a slow line costs no time. All chance comes from the one generator that is given.
"""

from __future__ import annotations

import errno
import math
import os
import random
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import trio

from p2pshare.addresses import Address
from p2pshare.errors import LocalTrouble

BUFFER_BYTES = 128 * 1024  # a stream takes so much off its writer's hands
WINDOW_BYTES = 256 * 1024  # and lets so much travel or lie unread
CHUNK_BYTES = 64 * 1024  # how much of a shared line one stream uses before it is another one's turn
ODD_CUT = 0.05  # part of the chunks that end at a place of no meaning
FIRST_FREE_PORT = 40_000
BACKLOG = 128


class Line:
    """One direction of a host's access to the internet, shared by all its connections."""

    def __init__(self, rate: float) -> None:
        self.rate = rate  # bytes a second
        self._free_at = -math.inf

    def through_at(self, at: float, size: int) -> float:
        """When `size` bytes that come `at` this time have passed, behind those that came before."""
        self._free_at = max(at, self._free_at) + size / self.rate
        return self._free_at


class Pipe:
    """One direction of a connection."""

    def __init__(self, internet: SimInternet, source: SimNetwork, target: SimNetwork) -> None:
        self.broken = False  # reset: nothing gets through any more, both ends are told
        self.written_to_end = False  # the writer has closed
        self.unread_for_good = False  # the reader has closed
        self.ended = False  # the reader sees the end
        self.carried_bytes = 0
        self._internet = internet
        self._source, self._target = source, target
        self._buffer = bytearray()
        self._travelling: deque[tuple[float, bytes]] = deque()
        self._travelling_bytes = 0
        self._arrived = bytearray()
        self._changed = trio.lowlevel.ParkingLot()

    # --- the writer's end -----------------------------------------------------------------------------

    def room(self) -> int:
        return BUFFER_BYTES - len(self._buffer)

    def put(self, data: memoryview) -> int:
        """Take as much as there is room for."""
        taken = min(len(data), self.room())
        self._buffer += data[:taken]
        self.wake()
        return taken

    # --- the reader's end -----------------------------------------------------------------------------

    def available(self) -> int:
        return len(self._arrived)

    def get(self, most: int) -> bytes:
        data = bytes(self._arrived[:most])
        del self._arrived[:most]
        self.wake()
        return data

    # --- both -----------------------------------------------------------------------------------------

    async def change(self) -> None:
        """Wait until something is different."""
        await self._changed.park()

    def wake(self) -> None:
        self._changed.unpark_all()

    def reset(self) -> None:
        self.broken = True
        self._buffer.clear()
        self._travelling.clear()
        self.wake()

    # --- on the way -----------------------------------------------------------------------------------

    async def carry(self) -> None:
        """From the buffer onto the line, at the rate of both ends and never beyond the window."""
        arrival = -math.inf
        while not self.broken:
            free = WINDOW_BYTES - self._travelling_bytes - len(self._arrived)
            if self._buffer and free > 0:
                chunk = self._chunk(free)
                now = trio.current_time()
                sent = self._source.up.through_at(now, len(chunk))
                there = sent + self._internet.delay_s(self._source, self._target)
                arrival = max(arrival, self._target.down.through_at(there, len(chunk)))
                self._travelling_bytes += len(chunk)
                self._travelling.append((arrival, chunk))
                self.wake()
                if sent > now:
                    await trio.sleep_until(sent)
            elif not self._buffer and self.written_to_end:
                delay_s = self._internet.delay_s(self._source, self._target)
                self._travelling.append((max(arrival, trio.current_time() + delay_s), b""))
                self.wake()
                return
            else:
                await self.change()

    def _chunk(self, free: int) -> bytes:
        size = min(len(self._buffer), free, CHUNK_BYTES)
        if self._internet.chance.random() < ODD_CUT:
            size = self._internet.chance.randint(1, size)
        chunk = bytes(self._buffer[:size])
        del self._buffer[:size]
        return chunk

    async def deliver(self) -> None:
        """From the line to the reader, when it is there and if anything gets through."""
        while not self.broken:
            if not self._travelling:
                await self.change()
                continue
            arrival, chunk = self._travelling[0]
            await trio.sleep_until(arrival)
            await self._internet.not_silent(self._source, self._target)
            if self.broken:
                return
            self._travelling.popleft()
            self._travelling_bytes -= len(chunk)
            if not chunk:
                self.ended = True
                self.wake()
                return
            if self.unread_for_good:  # the reader's system answers with a reset
                self.reset()
                return
            self._arrived += chunk
            self.carried_bytes += len(chunk)
            self.wake()


class SimStream(trio.abc.Stream):
    """One end of a connection."""

    def __init__(
        self, outgoing: Pipe, incoming: Pipe, local: SimNetwork, other: SimNetwork, remote: Address
    ) -> None:
        self.other = other
        self.remote = remote
        self.closed = False
        self._outgoing = outgoing
        self._incoming = incoming
        self._local = local
        self._sending = self._receiving = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._sending = True
        try:
            await trio.lowlevel.checkpoint()
            rest = memoryview(data).cast("B") if len(data) else memoryview(b"")
            self._check_sending()
            while rest:
                rest = rest[self._outgoing.put(rest) :]
                if rest:
                    await self._outgoing.change()
                    self._check_sending()
        finally:
            self._sending = False

    async def wait_send_all_might_not_block(self) -> None:
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._sending = True
        try:
            await trio.lowlevel.checkpoint()
            if self.closed:
                raise trio.ClosedResourceError
            while not self._outgoing.room() and not self._outgoing.broken:
                await self._outgoing.change()
                if self.closed:
                    raise trio.ClosedResourceError
        finally:
            self._sending = False

    def _check_sending(self) -> None:
        if self.closed:
            raise trio.ClosedResourceError
        if self._outgoing.broken:
            raise trio.BrokenResourceError("connection reset")

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if max_bytes is not None and (not isinstance(max_bytes, int) or max_bytes < 1):
            raise (ValueError if isinstance(max_bytes, int) else TypeError)("max_bytes must be 1 or more")
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving on this stream")
        self._receiving = True
        try:
            await trio.lowlevel.checkpoint()
            while True:
                if self.closed:
                    raise trio.ClosedResourceError
                if self._incoming.available():
                    return self._incoming.get(max_bytes or WINDOW_BYTES)
                if self._incoming.ended:
                    return b""
                if self._incoming.broken:
                    raise trio.BrokenResourceError("connection reset")
                await self._incoming.change()
        finally:
            self._receiving = False

    async def aclose(self) -> None:
        """What was written still gets there, as with a socket."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._local.streams.pop(self, None)
        self._outgoing.written_to_end = True
        self._incoming.unread_for_good = True
        if self._incoming.available():  # a system that throws away what was sent to it says so
            self._incoming.reset()
        self._outgoing.wake()
        self._incoming.wake()

    def drop(self) -> None:
        """This end is gone, without a word to the other."""
        self.closed = True
        self._local.streams.pop(self, None)
        self._outgoing.wake()
        self._incoming.wake()

    def reset(self) -> None:
        """Both directions are gone, at once and for both ends."""
        self._outgoing.reset()
        self._incoming.reset()


class SimListener(trio.abc.Listener[SimStream]):
    """Takes the connections to one port."""

    def __init__(self, network: SimNetwork, port: int) -> None:
        self.network = network
        self.port = port
        self._arrive, self._arrived = trio.open_memory_channel[SimStream](BACKLOG)

    def offer(self, stream: SimStream) -> None:
        try:
            self._arrive.send_nowait(stream)
        except (trio.WouldBlock, trio.BrokenResourceError):
            raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)) from None

    async def accept(self) -> SimStream:
        return await self._arrived.receive()

    async def aclose(self) -> None:
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        self.network.listeners.pop(self.port, None)
        while self._arrived.statistics().current_buffer_used:
            stream = self._arrived.receive_nowait()
            stream.reset()
            stream.close()
        self._arrived.close()


class SimNetwork:
    """The internet as one host sees it: `p2pshare.transport.network.Network`, in memory."""

    def __init__(
        self, internet: SimInternet, name: str, address: str, up: float, down: float, delay_s: float
    ) -> None:
        self.name = name
        self.address = address
        self.up, self.down = Line(up), Line(down)
        self.delay_s = delay_s
        self.streams: dict[SimStream, None] = {}  # those that this end has not closed
        self.listeners: dict[int, SimListener] = {}
        self._internet = internet

    async def connect(self, address: Address) -> SimStream:
        return await self._internet.connect(self, address)

    async def listen(self, host: str | None, port: int) -> Sequence[SimListener]:
        await trio.lowlevel.checkpoint()
        if port == 0:
            port = next(free for free in range(FIRST_FREE_PORT, 65_536) if free not in self.listeners)
        if port in self.listeners:
            raise LocalTrouble(f"Cannot listen on port {port} of {self.name}: address already in use.")
        self.listeners[port] = SimListener(self, port)
        return [self.listeners[port]]

    def remote(self, stream: trio.abc.Stream) -> Address | None:
        return stream.remote if isinstance(stream, SimStream) else None

    def port(self, listeners: Sequence[trio.abc.Listener[trio.abc.Stream]]) -> int:
        first = listeners[0]
        assert isinstance(first, SimListener)
        return first.port

    def crash(self) -> None:
        """What a system does for a program that was killed: every connection is reset, no port is open.

        Where a line is silent nobody hears of it.
        """
        for stream in list(self.streams):
            stream.drop()
            self._internet.start_reset(self, stream)
        self.listeners.clear()  # whoever accepts in vain is part of what was killed


class SimInternet:
    """All hosts and what lies between them."""

    def __init__(self, chance: random.Random, delay_s: float = 0.01) -> None:
        """`delay_s` from a host to the middle of the internet; two of them lie between two hosts."""
        self.chance = chance
        self.hosts: dict[str, SimNetwork] = {}
        self.connections: list[tuple[str, str, Pipe, Pipe]] = []
        """(from, to, there, back) of every connection that ever came about."""
        self.attempts: list[tuple[str, str, float]] = []
        """(who, whom, when) of every attempt to connect."""
        self.closed_from_outside: set[str] = set()
        """Names of hosts that can connect, but nobody can connect to them."""
        self._delay_s = delay_s
        self._cut: set[frozenset[str]] = set()
        self._silent: set[frozenset[str]] = set()
        self._mended = trio.lowlevel.ParkingLot()
        self._nursery_manager = trio.open_nursery()
        self._nursery: trio.Nursery

    async def __aenter__(self) -> Self:
        self._nursery = await self._nursery_manager.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._nursery.cancel_scope.cancel()
        return await self._nursery_manager.__aexit__(kind, error, traceback)

    def host(self, name: str, *, up: float = math.inf, down: float = math.inf) -> SimNetwork:
        """A new host; rates in bytes a second."""
        number = len(self.hosts) + 1
        address = f"10.0.{number >> 8}.{number & 255}"
        self.hosts[name] = SimNetwork(self, name, address, up, down, self._delay_s)
        return self.hosts[name]

    # --- faults ---------------------------------------------------------------------------------------

    def cut(self, one: str, other: str) -> None:
        """Connections between the two are reset, new ones fail, until `mend`."""
        self._cut.add(frozenset({one, other}))
        there = self.hosts[other].address
        for stream in [stream for stream in self.hosts[one].streams if stream.remote.host == there]:
            stream.reset()

    def silence(self, one: str, other: str) -> None:
        """Nothing gets through between the two, and neither is told, until `mend`."""
        self._silent.add(frozenset({one, other}))

    def mend(self, one: str, other: str) -> None:
        self._cut.discard(frozenset({one, other}))
        self._silent.discard(frozenset({one, other}))
        self._mended.unpark_all()

    async def not_silent(self, one: SimNetwork, other: SimNetwork) -> None:
        while frozenset({one.name, other.name}) in self._silent:
            await self._mended.park()

    def start_reset(self, source: SimNetwork, stream: SimStream) -> None:
        """Reset a connection as soon as that gets through."""

        async def reset() -> None:
            await self.not_silent(source, stream.other)
            stream.reset()

        self._nursery.start_soon(reset)

    # --- connecting -----------------------------------------------------------------------------------

    def delay_s(self, one: SimNetwork, other: SimNetwork) -> float:
        return 0.0 if one is other else one.delay_s + other.delay_s

    async def connect(self, source: SimNetwork, address: Address) -> SimStream:
        """Raises `OSError`, as a socket would."""
        await trio.lowlevel.checkpoint()
        target = next(
            (host for host in self.hosts.values() if address.host in (host.address, host.name)), None
        )
        if target is None:
            raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
        self.attempts.append((source.name, target.name, trio.current_time()))
        await trio.sleep(2 * self.delay_s(source, target))
        await self.not_silent(source, target)
        if target.name in self.closed_from_outside and target is not source:
            await trio.sleep_forever()
        if frozenset({source.name, target.name}) in self._cut:
            raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
        listener = target.listeners.get(address.port)
        if listener is None:
            raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        there, back = Pipe(self, source, target), Pipe(self, target, source)
        port = 50_000 + len(self.connections) % 10_000
        near = SimStream(there, back, source, target, address)
        far = SimStream(back, there, target, source, Address(source.address, port))
        listener.offer(far)
        source.streams[near] = target.streams[far] = None
        self.connections.append((source.name, target.name, there, back))
        for pipe in (there, back):
            self._nursery.start_soon(pipe.carry)
            self._nursery.start_soon(pipe.deliver)
        return near
