"""Somebody without our engine and without manners: a key, an account, and whatever they like to say."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import trio

from p2pshare.addresses import Address
from p2pshare.errors import Disconnected
from p2pshare.hashing import FileHasher, PieceHashes, piece_count, piece_span
from p2pshare.links import Invite, parse_link_untrusted
from p2pshare.transport.answers import Incoming
from p2pshare.transport.channel import Channel
from p2pshare.transport.dial import dial
from p2pshare.transport.endpoint import Endpoint
from p2pshare.transport.serve import Gate, serve
from p2pshare.wire.fields import Offer, Role
from p2pshare.wire.index import AskTicket, Listen, Login, Publish, Register, TicketIssued
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest, offer_hash
from p2pshare.wire.peer import Admitted, AskHashes, Data, Fetch, FileOpened, Hashes, Knock, OpenFile
from tests.sim.world import SimWorld

Answer = Callable[[Channel, Incoming], Awaitable[None]]


class Stranger:
    """Made by `stranger`."""

    def __init__(self, world: SimWorld, endpoint: Endpoint, index: Channel, port: int) -> None:
        self.endpoint = endpoint
        self.index = index
        self.port = port
        self.ended: list[Disconnected] = []
        """How the connections of people to them ended."""
        self._world = world

    async def offer(self, *offers: Offer) -> None:
        """Tell the index server."""
        result = change_digest(EMPTY_MANIFEST, added=map(offer_hash, offers))
        publish = Publish(request=1, base=EMPTY_MANIFEST, result=result, removed=(), added=offers)
        await self.index.ask(replace(publish, request=self.index.next_request()))

    async def ticket_to(self, name: str) -> TicketIssued:
        question = AskTicket(request=self.index.next_request(), node=self._world.identity(name).node_id)
        issued: TicketIssued = await self.index.ask(question)
        return issued

    @asynccontextmanager
    async def visit(self, name: str, ticket: bytes) -> AsyncIterator[Channel]:
        """A channel to somebody, admitted."""
        addresses = [Address(each.host, each.port) for each in (await self.ticket_to(name)).addresses]
        async with dial(self.endpoint, addresses, None) as channel:
            await channel.ask(Knock(request=channel.next_request(), ticket=ticket))
            yield channel


@asynccontextmanager
async def stranger(world: SimWorld, name: str, answer: Answer) -> AsyncIterator[Stranger]:
    """Logged in, listening, and answering everybody with `answer`."""
    network = world.internet.host(name)
    chance = random.Random(name)
    endpoint = Endpoint.create(world.identity(name), network=network, random_bytes=chance.randbytes)
    invite = parse_link_untrusted(world.invites[0])
    assert isinstance(invite, Invite)
    listeners = await network.listen(None, 0)
    async with trio.open_nursery() as nursery:
        async with dial(endpoint, invite.addresses, invite.server) as index:
            await index.ask(Register(request=index.next_request(), nick=name))
            await index.ask(Login(request=index.next_request()))
            somebody = Stranger(world, endpoint, index, network.port(listeners))

            async def attend(channel: Channel) -> None:
                # A server that tests the port says nothing.
                try:
                    async for incoming in channel.incoming():
                        message = incoming.message
                        if isinstance(message, Knock):
                            await channel.send(Admitted(request=message.request))
                        else:
                            await answer(channel, incoming)
                finally:
                    if channel.ending is not None and channel.hello.role is Role.CLIENT:
                        somebody.ended.append(channel.ending)

            await nursery.start(serve, endpoint, listeners, attend, Gate())
            await index.ask(Listen(request=index.next_request(), port=somebody.port))
            yield somebody
        nursery.cancel_scope.cancel()


def hashed(data: bytes) -> PieceHashes:
    hasher = FileHasher(len(data))
    hasher.update(data)
    return hasher.finish()


class Giver:
    """Answers as an uploader should; those who do not inherit from it and change one thing."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.hashes = hashed(data)
        self.heard = 0

    async def __call__(self, channel: Channel, incoming: Incoming) -> None:
        message = incoming.message
        self.heard += 1
        if isinstance(message, OpenFile):
            await channel.send(self.opened(message))
        elif isinstance(message, AskHashes):
            await channel.send(self.told(message))
        elif isinstance(message, Fetch):
            await self.give(channel, message)

    def opened(self, message: OpenFile) -> FileOpened:
        return FileOpened(
            request=message.request,
            file=self.hashes.file_id,
            size=self.hashes.size,
            piece_size=self.hashes.piece_size,
            pieces=None,
            position=0,
            wait_s=0,
        )

    def told(self, message: AskHashes) -> Hashes:
        first = message.first * 32
        return Hashes(request=message.request, hashes=self.hashes.hashes[first : first + message.count * 32])

    async def give(self, channel: Channel, message: Fetch) -> None:
        for piece in range(message.first, message.first + message.count):
            offset, length = piece_span(piece, self.hashes.size, self.hashes.piece_size)
            more = piece < message.first + message.count - 1
            await channel.send(
                Data(request=message.request, piece=piece, offset=0, size=length, more=more),
                self.data[offset : offset + length],
            )

    @property
    def pieces(self) -> int:
        return piece_count(self.hashes.size, self.hashes.piece_size)


def offer_of(giver: Giver, path: str, number: int = 1) -> Offer:
    return Offer(offer=number, path=path, size=giver.hashes.size, file=giver.hashes.file_id)
