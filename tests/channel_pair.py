"""Two admitted channels, over streams in memory or others, as two clients have them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing

from p2pshare.identity import Identity
from p2pshare.session.session import Session
from p2pshare.session.states import Party
from p2pshare.transport.channel import Channel, run_channel
from p2pshare.transport.endpoint import Endpoint
from p2pshare.transport.greet import Greeted, greet
from p2pshare.wire.peer import Admitted, Knock

Streams = tuple[trio.abc.Stream, trio.abc.Stream]


def endpoint(number: int) -> Endpoint:
    """Always the same person for the same number."""
    return Endpoint.create(Identity.from_seed(bytes([number]) * 32))


@asynccontextmanager
async def channel_pair(
    dialer: Endpoint, acceptor: Endpoint, streams: Streams | None = None
) -> AsyncIterator[tuple[Channel, Channel]]:
    """The channel of the one who connected, and that of the other."""
    streams = streams or trio.testing.memory_stream_pair()
    ends: dict[Party, Greeted] = {}

    async def shake_hands(me: Endpoint, party: Party, stream: trio.abc.Stream) -> None:
        session = Session(party, me.static, me.hello, now=trio.current_time(), ephemeral=me.random_bytes(32))
        ends[party] = await greet(stream, session, remote=None, dialed=party is Party.DIALER)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(shake_hands, dialer, Party.DIALER, streams[0])
        nursery.start_soon(shake_hands, acceptor, Party.ACCEPTOR, streams[1])
    async with run_channel(ends[Party.DIALER]) as ours, run_channel(ends[Party.ACCEPTOR]) as theirs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_admit, theirs)
            await ours.ask(Knock(request=ours.next_request(), ticket=b""))
        yield ours, theirs


async def _admit(channel: Channel) -> None:
    async for incoming in channel.incoming():
        assert isinstance(incoming.message, Knock)
        await channel.send(Admitted(request=incoming.message.request))
        return
