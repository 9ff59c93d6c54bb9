"""Channels of a server: one task each, bounded outboxes, timers from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
import trio.testing

from p2pshare import limits
from p2pshare.errors import CloseCode, Disconnected, PeerFault
from p2pshare.identity import Identity
from p2pshare.session.session import Session
from p2pshare.session.states import Party
from p2pshare.transport.answers import Incoming
from p2pshare.transport.channel import Channel, run_channel
from p2pshare.transport.endpoint import Endpoint
from p2pshare.transport.greet import Greeted, greet
from p2pshare.transport.pulse import Pulse
from p2pshare.transport.quiet import QuietChannel
from p2pshare.wire.account import Announcement
from p2pshare.wire.fields import AddressField, Role
from p2pshare.wire.index import LoggedIn, Login
from p2pshare.wire.session import Ping
from tests.loopback import loopback

CLIENT = Endpoint.create(Identity.from_seed(b"c" * 32))
SERVER = Endpoint.create(Identity.from_seed(b"s" * 32), Role.INDEX)
Streams = tuple[trio.abc.Stream, trio.abc.Stream]


class Served:
    """The server's end: the channel, and what it heard."""

    def __init__(self, greeted: Greeted, nursery: trio.Nursery) -> None:
        self.channel = QuietChannel(greeted, nursery)
        self.heard: list[object] = []
        self.refuses = False
        self.done = trio.Event()

    def hear(self, incoming: Incoming) -> None:
        if self.refuses:
            raise PeerFault(CloseCode.WRONG_ORDER, "Not now.")
        self.heard.append(incoming.message)

    async def run(self, greeted: Greeted, pulse: Pulse) -> None:
        try:
            await self.channel.attend(self.hear, greeted.events, pulse)
        finally:
            self.done.set()


@asynccontextmanager
async def served(streams: Streams) -> AsyncIterator[tuple[Greeted, Served]]:
    """The client's end with no task on it, and a server that attends."""
    ends: dict[Party, Greeted] = {}

    async def one(me: Endpoint, party: Party, stream: trio.abc.Stream) -> None:
        session = Session(party, me.static, me.hello, now=trio.current_time(), ephemeral=me.random_bytes(32))
        ends[party] = await greet(stream, session, remote=None, dialed=party is Party.DIALER)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one, CLIENT, Party.DIALER, streams[0])
        nursery.start_soon(one, SERVER, Party.ACCEPTOR, streams[1])
    async with trio.open_nursery() as nursery:
        pulse = Pulse()
        nursery.start_soon(pulse.run)
        greeted = ends[Party.ACCEPTOR]
        server = Served(greeted, nursery)
        nursery.start_soon(server.run, greeted, pulse)
        yield ends[Party.DIALER], server
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def pair(kind: str) -> AsyncIterator[tuple[Channel, Served]]:
    """A client that reads, and the server's end."""
    async with AsyncExitStack() as stack:
        streams = (
            trio.testing.memory_stream_pair()
            if kind == "memory"
            else await stack.enter_async_context(loopback())
        )
        greeted, server = await stack.enter_async_context(served(streams))
        yield await stack.enter_async_context(run_channel(greeted)), server


def welcome(request: int, words: str = "") -> LoggedIn:
    return LoggedIn(
        request=request,
        nick="alice",
        manifest=bytes(16),
        observed=AddressField(host="::1", port=1),
        welcome=words,
    )


OVER = pytest.mark.parametrize("over", ["memory", "tcp"])


@OVER
async def test_what_arrives_is_shown_at_once_and_answered_from_anywhere(over: str) -> None:
    async with pair(over) as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(client.ask, Login(request=client.next_request()))
        while not server.heard:
            await trio.testing.wait_all_tasks_blocked()
        server.channel.post(welcome(1))


@OVER
async def test_an_idle_channel_has_one_task(over: str) -> None:
    async with pair(over) as (_, server):
        await trio.testing.wait_all_tasks_blocked()
        assert len(server.channel._nursery.child_tasks) == 2  # its own, and that of the pulse


@OVER
async def test_the_end_of_the_stream_ends_the_channel(over: str) -> None:
    async with pair(over) as (client, server):
        await trio.aclose_forcefully(client._line._stream)
        await server.done.wait()
        assert server.channel.ending is not None and server.channel.ending.code is None


@OVER
async def test_a_farewell_arrives_with_its_reason_and_when_to_come_again(over: str) -> None:
    async with pair(over) as (client, server):
        server.channel.close_soon(CloseCode.GOING_AWAY, retry_after_s=7)
        await client.over.wait()
        await server.done.wait()
        assert client.ending is not None
        assert (client.ending.code, client.ending.retry_after_s) == (CloseCode.GOING_AWAY, 7)
        server.channel.post(welcome(1))  # nobody is there: no harm


@OVER
async def test_a_fault_of_theirs_closes_with_its_code(over: str) -> None:
    async with pair(over) as (client, server):
        server.refuses = True
        with pytest.raises(Disconnected) as caught:
            await client.ask(Login(request=1))
        assert caught.value.code is CloseCode.WRONG_ORDER


async def test_who_does_not_read_misses_news_first_and_is_disconnected_at_last() -> None:
    async with loopback() as streams, served(streams) as (client, server):
        client.session.send(Login(request=1))
        await client.stream.send_all(client.session.data_to_send(1_000))
        while not server.heard:
            await trio.testing.wait_all_tasks_blocked()
        channel, told = server.channel, 0
        channel.post(welcome(1))
        long = Announcement(at=1, text="x" * 2_000)
        while channel.post_if_room(long):  # the system takes some, the outbox a little
            told += 1
        assert channel.ending is None
        assert channel._session.pending_bytes < limits.OUTBOX_SPARE_BYTES + 8_000
        while channel.ending is None:  # what must be said still is, up to a limit
            channel.post(long)
            assert channel._session.pending_bytes < limits.INDEX_OUTBOX_BYTES_MAX + 8_000
        assert channel.ending.code is CloseCode.TOO_SLOW
        assert not channel.post_if_room(long)
        await server.done.wait()


@OVER
async def test_a_burst_beyond_what_the_system_takes_arrives_whole_and_in_order(over: str) -> None:
    async with pair(over) as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(client.ask, Login(request=client.next_request()))
        while not server.heard:
            await trio.testing.wait_all_tasks_blocked()
        server.channel.post(welcome(1))
        for number in range(400):
            server.channel.post(Announcement(at=number, text="x" * 2_000))
        for number in range(400):
            incoming = await client.incoming().receive()
            assert isinstance(incoming.message, Announcement) and incoming.message.at == number
        assert server.channel.ending is None


@pytest.mark.parametrize("over", ["memory", "tcp"])
async def test_silence_is_noticed_and_an_answer_to_a_ping_is_none(
    mock_clock: trio.testing.MockClock, over: str
) -> None:
    async with pair(over) as (_, server):
        for _ in range(3 * limits.SILENT_AFTER_S):
            mock_clock.jump(1)
            await trio.testing.wait_all_tasks_blocked()
        assert server.channel.ending is None
    async with AsyncExitStack() as stack:
        streams = (
            trio.testing.memory_stream_pair()
            if over == "memory"
            else await stack.enter_async_context(loopback())
        )
        _, mute = await stack.enter_async_context(served(streams))
        for _ in range(limits.SILENT_AFTER_S + 5):
            mock_clock.jump(1)
            await trio.testing.wait_all_tasks_blocked()
        assert mute.channel.ending is not None and mute.channel.ending.code is CloseCode.SILENT


async def test_who_never_reads_to_the_end_is_not_waited_for(mock_clock: trio.testing.MockClock) -> None:
    """Its pings arrive all the while, so it is not silent."""
    async with loopback() as streams, served(streams) as (client, server):
        while server.channel._writing is None:
            server.channel._session._outbox.add_frame(bytes(60_000))
            server.channel._start_writing()
        for _ in range(2 * limits.SILENT_AFTER_S):
            mock_clock.jump(1)
            client.session.send(Ping())
            await client.stream.send_all(client.session.data_to_send(1_000))
            await trio.testing.wait_all_tasks_blocked()
            if server.channel.ending is not None:
                break
        assert server.channel.ending is not None and server.channel.ending.code is CloseCode.TOO_SLOW
