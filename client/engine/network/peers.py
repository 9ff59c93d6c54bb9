"""Connections to people: one to each, shared by whatever needs it, whoever of the two dialled.

A stranger comes in with a ticket of a server that we use, once; somebody on the local network may come
without one if the person allows it. The key proves who it is, never the address.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Protocol

import trio

from client.engine.network.servers import Servers
from client.engine.network.waiting import Waiting
from client.engine.watch import Watch
from p2pshare.addresses import Address, is_loopback, is_private
from p2pshare.errors import CloseCode, Disconnected, PeerFault, Refused
from p2pshare.identity import NodeId
from p2pshare.tickets import TicketMemory, check_ticket_untrusted, server_of
from p2pshare.transport.answers import Incoming
from p2pshare.transport.background import background
from p2pshare.transport.channel import Channel
from p2pshare.transport.dial import dial
from p2pshare.transport.endpoint import Endpoint
from p2pshare.wire.fields import FileId, Role
from p2pshare.wire.index import Caller
from p2pshare.wire.peer import Admitted, Have, Knock, QueueMoved, Turn

KNOCK_TIMEOUT_S = 10.0  # for the first message of somebody who connected to us
ADMIT_TIMEOUT_S = 10.0  # for the answer to ours
REVERSE_TIMEOUT_S = 15.0  # for somebody whom the server asked to connect to us
NICKS_MAX = 20_000  # remembered; the oldest is forgotten
IDLE_S = 60.0  # an unused connection is kept so long, since the next file often comes from the same person


@dataclass(frozen=True)
class QueuePlace:
    """Where we stand in somebody's upload queue."""

    position: int  # 0: we hold a slot
    wait_s: int


class PeerLink:
    """A connection to one person, admitted on both sides."""

    def __init__(self, channel: Channel, nick: str, path: str, waiting: Waiting | None = None) -> None:
        self.channel = channel
        self.nick = nick
        self.path = path
        """How the two are connected, for people: "direct, IPv4"."""
        self.place = Watch(QueuePlace(1, 0))
        self._waiting = waiting or Waiting()
        self.haves: dict[FileId, Callable[[tuple[int, ...]], None]] = {}
        """Who wants to hear of further pieces that they hold."""
        self.turns: dict[FileId, Callable[[int], None]] = {}
        """Who wants to hear that more pieces of a file may be asked for."""
        self.users = 0
        self.used_at = trio.current_time()

    @property
    def node(self) -> NodeId:
        return self.channel.peer

    @property
    def queue_ticket(self) -> bytes:
        """What shows them since when we wait; empty if there is nothing."""
        return self._waiting.ticket(self.node)

    def stands(self, position: int, wait_s: int, queue_ticket: bytes) -> None:
        """They told us where we stand, and may have signed it anew."""
        self._waiting.keep(self.node, queue_ticket)
        self.place.set(QueuePlace(position, wait_s))


class Service(Protocol):
    """What we do for people who are connected (`uploads.py`)."""

    async def attend(self, link: PeerLink, requests: AsyncIterator[Incoming]) -> None:
        """Answer their requests until they go."""

    def serves(self, node: NodeId) -> bool:
        """Whether they hold or wait for an upload slot, so that the connection is needed."""


class Peers:
    """Everybody we are connected to."""

    def __init__(
        self,
        endpoint: Endpoint,
        servers: Servers,
        nursery: trio.Nursery,
        *,
        lan_without_ticket: bool,
        unix_now: Callable[[], float] = time.time,
    ) -> None:
        """Connections live in `nursery`. `service` must be set before anybody connects."""
        self.service: Service
        self.on_local_network: dict[NodeId, tuple[Address, ...]] = {}
        """People found on the local network, and where."""
        self.known_by: dict[NodeId, NodeId] = {}
        """A server that knows somebody who was given a ticket to us."""
        self.nicks: dict[NodeId, str] = {}
        self.waiting = Waiting()
        """Our places in their queues."""
        self.lan_without_ticket = lan_without_ticket
        self._endpoint = endpoint
        self._servers = servers
        self._nursery = nursery
        self._unix_now = unix_now
        self._tickets = TicketMemory()
        self._links: dict[NodeId, list[PeerLink]] = defaultdict(list)
        self._dialing: dict[NodeId, trio.Lock] = {}
        self._arrived = trio.lowlevel.ParkingLot()

    @property
    def me(self) -> NodeId:
        """Our own key."""
        return self._endpoint.node

    # --- reaching somebody --------------------------------------------------------------------------

    @asynccontextmanager
    async def link(self, node: NodeId, servers: Iterable[NodeId]) -> AsyncIterator[PeerLink]:
        """A connection to `node`, made if there is none; `servers` are those that know them.

        Raises `Disconnected`, `Refused` or `PeerFault`, each with a sentence that says what stands in the
        way.
        """
        async with self._one_at_a_time(node):
            link = self._best(node) or await self._connect(node, servers)
            link.users += 1
        try:
            yield link
        finally:
            link.users -= 1
            link.used_at = trio.current_time()

    @asynccontextmanager
    async def another(self, node: NodeId, servers: Iterable[NodeId]) -> AsyncIterator[PeerLink]:
        """One more connection to somebody who is connected; it ends with the block. Raises as `link` does."""
        before = list(self._links.get(node, ()))
        link = await self._connect(node, servers)
        if link in before:  # they connect to us, not we to them, and did so before
            raise Disconnected("They cannot be reached from outside.")
        link.users += 1
        try:
            yield link
        finally:
            link.users -= 1
            with trio.CancelScope(shield=True):  # bounded by the time for a farewell
                await link.channel.aclose(CloseCode.BYE, "One connection less is needed.")

    def connected(self) -> list[PeerLink]:
        """A connection to each person who is connected."""
        best = (self._best(node) for node in self._links)
        return [link for link in best if link is not None]

    def _best(self, node: NodeId) -> PeerLink | None:
        return next((link for link in self._links.get(node, ()) if link.channel.ending is None), None)

    @asynccontextmanager
    async def _one_at_a_time(self, node: NodeId) -> AsyncIterator[None]:
        """Whoever wants the same person waits, and then shares the connection."""
        lock = self._dialing.setdefault(node, trio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked() and self._dialing.get(node) is lock:
                del self._dialing[node]

    async def _connect(self, node: NodeId, servers: Iterable[NodeId]) -> PeerLink:
        problems: list[Exception] = []
        if node in self.on_local_network:
            try:
                return await self._dial(node, self.on_local_network[node], b"", "local network")
            except (Disconnected, PeerFault) as error:
                problems.append(error)  # the announcement may be old: the servers know better
        for server in servers:
            try:
                issued, addresses = await self._servers.ticket(server, node)
                if issued.reverse:
                    return await self._await_arrival(node)
                return await self._dial(node, addresses, issued.ticket, "direct")
            except (Disconnected, PeerFault, Refused) as error:
                problems.append(error)
        raise (
            problems[-1]
            if problems
            else Disconnected("None of your index servers knows how to reach this person now.")
        )

    async def _dial(self, node: NodeId, addresses: Iterable[Address], ticket: bytes, how: str) -> PeerLink:
        link: PeerLink = await self._nursery.start(self._hold, node, tuple(addresses), ticket, how)
        return link

    async def _hold(
        self,
        node: NodeId,
        addresses: tuple[Address, ...],
        ticket: bytes,
        how: str,
        *,
        task_status: trio.TaskStatus[PeerLink],
    ) -> None:
        """Dial, knock, and keep the connection as long as somebody needs it."""
        started = False
        try:
            async with dial(self._endpoint, addresses, node) as channel:
                await self._knock(channel, ticket)
                path = describe_path(how, channel.remote)
                link = PeerLink(channel, self.nicks.get(node, ""), path, self.waiting)
                async with background() as nursery:
                    nursery.start_soon(self._close_when_idle, link)
                    with self._listed(link):
                        started = True
                        task_status.started(link)
                        await self.service.attend(link, Requests(link))
        except (Disconnected, PeerFault, Refused):
            if not started:
                raise
            # Otherwise whoever uses the link finds out by itself.

    async def _knock(self, channel: Channel, ticket: bytes) -> None:
        with trio.move_on_after(ADMIT_TIMEOUT_S):
            await channel.ask(Knock(request=channel.next_request(), ticket=ticket))
            return
        raise Disconnected("They did not answer our knock in time.")

    async def _await_arrival(self, node: NodeId) -> PeerLink:
        with trio.move_on_after(REVERSE_TIMEOUT_S):
            while True:
                if link := self._best(node):
                    return link
                await self._arrived.park()
        raise Disconnected("They cannot be reached from outside, and did not connect to us either.")

    async def _close_when_idle(self, link: PeerLink) -> None:
        while True:
            await trio.sleep(IDLE_S / 4)
            idle_s = trio.current_time() - link.used_at
            if not link.users and not self.service.serves(link.node) and idle_s > IDLE_S:
                await link.channel.aclose(CloseCode.BYE, "Nothing to do for now.")

    # --- being reached ------------------------------------------------------------------------------

    async def welcome(self, channel: Channel) -> None:
        """The handler of our listener."""
        if channel.hello.role is Role.INDEX:  # it tests our port, and hangs up
            await channel.over.wait()
            return
        with trio.move_on_after(KNOCK_TIMEOUT_S) as patience:
            await self._admit(channel)
        if patience.cancelled_caught:
            raise PeerFault(CloseCode.NOT_ADMITTED, "No knock within the time allowed.")
        path = describe_path("direct", channel.remote)
        link = PeerLink(channel, self.nicks.get(channel.peer, ""), path, self.waiting)
        with self._listed(link):
            await self.service.attend(link, Requests(link))

    async def _admit(self, channel: Channel) -> None:
        async for incoming in channel.incoming():
            if not isinstance(incoming.message, Knock):
                continue  # nothing else passes the state table but what may come at any time
            self._check_ticket(channel, incoming.message.ticket)
            await channel.send(Admitted(request=incoming.message.request))
            return
        raise channel.ending or Disconnected

    def _check_ticket(self, channel: Channel, ticket: bytes) -> None:
        """Raises `PeerFault` if they may not come in."""
        if not ticket:
            host = channel.remote.host if channel.remote is not None else ""
            if self.lan_without_ticket and (is_private(host) or is_loopback(host)):
                return
            raise PeerFault(CloseCode.NOT_ADMITTED, "A ticket of an index server is needed to come in.")
        fault = None
        for now in self._servers.clocks(server_of(ticket), self._unix_now()):
            try:
                checked = check_ticket_untrusted(
                    ticket,
                    asker=channel.peer,
                    target=self._endpoint.node,
                    servers=self._servers.known(),
                    unix_now=now,
                )
            except PeerFault as caught:
                fault = fault or caught
            else:
                self._tickets.check_and_remember(checked, now)
                return
        assert fault is not None
        raise fault

    async def on_caller(self, server: NodeId, caller: Caller) -> None:
        """A server told us that somebody was given a ticket to us."""
        self.remember_nick(caller.node, caller.nick)
        self.known_by[caller.node] = server
        if caller.reverse and self._best(caller.node) is None:
            addresses = tuple(Address(address.host, address.port) for address in caller.addresses)
            self._nursery.start_soon(self._call_back, caller.node, addresses, caller.ticket)

    def remember_nick(self, node: NodeId, nick: str) -> None:
        """The nick to show for somebody, as an index server told it."""
        self.nicks.pop(node, None)
        self.nicks[node] = nick
        if len(self.nicks) > NICKS_MAX:
            oldest = next(iter(self.nicks))
            del self.nicks[oldest]
            self.known_by.pop(oldest, None)

    async def _call_back(self, node: NodeId, addresses: tuple[Address, ...], ticket: bytes) -> None:
        try:
            async with self._one_at_a_time(node):
                if self._best(node) is None:
                    await self._dial(node, addresses, ticket, "direct, they asked")
        except (Disconnected, PeerFault, Refused):
            return  # they wait in vain and are told so by their own time limit

    # --- both ---------------------------------------------------------------------------------------

    @contextmanager
    def _listed(self, link: PeerLink) -> Iterator[None]:
        self._links[link.node].append(link)
        self._arrived.unpark_all()
        try:
            yield
        finally:
            self._links[link.node].remove(link)
            if not self._links[link.node]:
                del self._links[link.node]


class Requests:
    """What they ask, to iterate over; what they tell us as uploaders is passed on to the downloads."""

    def __init__(self, link: PeerLink) -> None:
        self._link = link

    def __aiter__(self) -> Requests:
        return self

    async def __anext__(self) -> Incoming:
        link = self._link
        while True:
            incoming = await link.channel.incoming().__anext__()
            message = incoming.message
            if isinstance(message, QueueMoved):
                link.stands(message.position, message.wait_s, message.queue_ticket)
            elif isinstance(message, Have):
                if (tell := link.haves.get(message.file)) is not None:
                    tell(message.pieces)
                return incoming  # it may be about a file that they fetch from us, too
            elif isinstance(message, Turn):
                if (allow := link.turns.get(message.file)) is not None:
                    allow(message.pieces)
            else:
                link.used_at = trio.current_time()
                return incoming


def describe_path(how: str, remote: Address | None) -> str:
    """How two people are connected, in words: "direct, IPv4"."""
    if remote is None:
        return how
    if how == "direct" and is_private(remote.host):
        how = "local network"
    return f"{how}, {'IPv6' if ':' in remote.host else 'IPv4'}"
