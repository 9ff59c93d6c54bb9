"""The index servers that this client uses: one lasting connection to each, renewed by itself."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import trio

from client.engine.network.asking import ask_in_time, ask_in_turn
from client.engine.network.backoff import Backoff
from client.engine.network.notices import Notices
from client.engine.network.pace import Pace
from client.engine.status import ServerState, ServerView
from client.engine.watch import Watch
from p2pshare.addresses import Address
from p2pshare.errors import CloseCode, Disconnected, LocalTrouble, PeerFault, Reason, Refused
from p2pshare.identity import NodeId, format_node_id
from p2pshare.links import Invite
from p2pshare.transport.background import background
from p2pshare.transport.channel import Channel
from p2pshare.transport.dial import dial
from p2pshare.transport.endpoint import Endpoint
from p2pshare.wire.account import Announcement
from p2pshare.wire.fields import FileId, Source
from p2pshare.wire.index import (
    AskTicket,
    Caller,
    FindSources,
    Listen,
    LoggedIn,
    Login,
    LookUp,
    Person,
    Publish,
    Published,
    Register,
    Rename,
    Sources,
    TicketIssued,
)
from p2pshare.wire.schema import Message
from p2pshare.wire.wishes import WishHits

HOPELESS_S = 600.0  # wait after a refusal that a person has to mend (nick taken, banned)
ONLINE_WAIT_S = 3.0  # for a server that is needed now and may just be connecting
ONLINE_LOOK_S = 0.2  # whoever wants to ask a server looks again whether one is there
REFUSED_PAUSE_S = 60.0  # before telling a change again that a server would not take
PUBLISH_PAUSE_S = 0.3  # changes that come close together are told together


class Publisher(Protocol):
    """What a server has to be told about our shares (`publish.py`)."""

    changed: Watch[int]

    async def next_batch(self, server: NodeId, digest: bytes) -> Publish | None:
        """The next change to tell a server that holds a manifest of this digest; None if it is up to date."""

    async def acknowledge(self, server: NodeId, batch: Publish) -> None:
        """The server has stored it."""

    async def pending(self, server: NodeId) -> int:
        """How many offers it has not been told yet."""

    async def told(self, server: NodeId) -> int:
        """How many offers it has acknowledged."""


class Wishing(Protocol):
    """Whose wishes a server keeps (`wishes/`)."""

    async def keep(self, link: ServerLink) -> None:
        """See that it keeps what it should, while it is connected."""

    async def heard(self, link: ServerLink, message: WishHits) -> None:
        """It found something."""


@dataclass
class _Standing:
    """How we stand with a server; what its view shows."""

    state: ServerState = ServerState.CONNECTING
    name: str = ""
    nick: str = ""
    problem: str = ""
    reachable: bool | None = None
    published: int = 0
    pending: int = 0
    retry_at: float = 0.0


class ServerLink:
    """One index server: connect, log in, tell what we share, hear who wants to reach us; for ever."""

    def __init__(
        self,
        endpoint: Endpoint,
        invite: Invite,
        nick: str,
        port: int,
        publisher: Publisher,
        on_caller: Callable[[NodeId, Caller], Awaitable[None]],
        wishing: Wishing,
        chance: random.Random,
    ) -> None:
        """`port` is where we take connections. `on_caller` hears of people who were given a ticket to us."""
        self.invite = invite
        self.nick = nick
        self.online = Watch(False)
        self.logins = 0  # how often we came online there
        self.notices = Notices()
        self._endpoint = endpoint
        self._port = port
        self._publisher = publisher
        self._on_caller = on_caller
        self._wishing = wishing
        self._chance = chance
        self._standing = _Standing(name=invite.name)
        self._pace = Pace()
        self._clock: tuple[float, float] | None = None  # what it said, and when by a clock that never jumps
        self._channel: Channel | None = None
        self._retry_now = trio.Event()
        self._resume = b""  # goes on with our session there when the connection is lost

    @property
    def node(self) -> NodeId:
        return self.invite.server

    @property
    def me(self) -> NodeId:
        """Our own key."""
        return self._endpoint.node

    def view(self) -> ServerView:
        at = self._standing
        return ServerView(
            server=format_node_id(self.node),
            name=at.name,
            address=str(self.invite.addresses[0]),
            state=at.state,
            nick=at.nick,
            reachable=at.reachable,
            offers_published=at.published,
            offers_pending=at.pending,
            problem=at.problem,
            retry_in_s=max(0.0, at.retry_at - trio.current_time())
            if at.state is ServerState.WAITING
            else 0.0,
            welcome=self.notices.welcome,
            announcements=self.notices.heard,
        )

    def unix_now(self) -> float | None:
        """The time by its clock: ours may be wrong, and jump. None if it never told."""
        if self._clock is None:
            return None
        said, at = self._clock
        return said + trio.current_time() - at

    async def ask(self, build: Callable[[int], Message]) -> Any:
        """The answer to `build(request number)`. Raises `Disconnected` when not online, or `Refused`."""
        channel = self._channel
        if channel is None:
            raise Disconnected(
                f"The index server {self._standing.name or self.invite.addresses[0]} is not connected."
            )
        return await ask_in_turn(self._pace, channel, build(channel.next_request()))

    def tell(self, message: Message) -> None:
        """Say something that is not answered. Nothing happens while not online."""
        if self._channel is not None:
            self._channel.post(message)

    async def rename(self, nick: str) -> None:
        """Raises `Refused` if the nick cannot be had here."""
        self.nick = nick
        if self._channel is not None:
            renamed = await self.ask(lambda request: Rename(request=request, nick=nick))
            self._standing.nick = renamed.nick
        else:
            self.retry()

    def retry(self) -> None:
        """Try to connect now instead of waiting."""
        self._retry_now.set()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        backoff = Backoff()
        while True:
            self._retry_now = trio.Event()
            started, told_s = trio.current_time(), 0.0
            online_at: float | None = None
            self._standing.state = ServerState.CONNECTING
            try:
                async with dial(self._endpoint, self.invite.addresses, self.node) as channel:
                    welcome = await self._log_in(channel)
                    online_at = trio.current_time()
                    await self._stay(channel, welcome)
            except Refused as error:
                hopeless = error.reason in (
                    Reason.NICK_TAKEN,
                    Reason.NICK_BAD,
                    Reason.BANNED,
                    Reason.REGISTRATION_CLOSED,
                )
                told_s = error.retry_after_s or (HOPELESS_S if hopeless else 0)
                if error.reason is Reason.BANNED:
                    told_s = min(told_s, HOPELESS_S)  # a ban may be taken back before its time
                self._standing.state = ServerState.REFUSED if hopeless else ServerState.WAITING
                self._standing.problem = error.text
            except (Disconnected, PeerFault) as error:
                if getattr(error, "code", None) is CloseCode.REPLACED:
                    told_s = HOPELESS_S  # two programs with one key would throw each other out for ever
                elif isinstance(error, Disconnected):
                    told_s = error.retry_after_s
                self._standing.state = ServerState.WAITING
                self._standing.problem = str(error)
            finally:
                self._channel = None
                self.online.set(False)
            held_s = trio.current_time() - online_at if online_at is not None else 0.0
            delay_s = backoff.delay_s(held_s, self._chance.random(), told_s)
            self._standing.retry_at = trio.current_time() + delay_s
            with trio.move_on_after(delay_s):
                await self._retry_now.wait()
            if trio.current_time() - started < 1:
                await trio.sleep(1)  # whoever asks for a retry in a loop does not make a storm

    async def _log_in(self, channel: Channel) -> LoggedIn:
        async def login() -> LoggedIn:
            message = Login(request=channel.next_request(), resume=self._resume)
            answer: LoggedIn = await ask_in_time(channel, message)
            return answer

        try:
            welcome = await login()
        except Refused as error:
            if error.reason is not Reason.NOT_REGISTERED:
                raise
            code = self.invite.code
            await ask_in_time(channel, Register(request=channel.next_request(), nick=self.nick, code=code))
            welcome = await login()
        self._pace.told(welcome.budgets, trio.current_time())
        self._resume = welcome.resume
        if self.nick and welcome.nick != self.nick:
            try:
                question = Rename(request=channel.next_request(), nick=self.nick)
                renamed = await ask_in_turn(self._pace, channel, question)
                self._standing.nick = renamed.nick
                return welcome
            except Refused as error:
                self._standing.problem = f"You are {welcome.nick} on this server: {error.text}"
        self._standing.nick = welcome.nick
        return welcome

    async def _stay(self, channel: Channel, welcome: LoggedIn) -> None:
        """Everything that happens while online; ends with `Disconnected`."""
        self._channel = channel
        self._clock = (welcome.unix_now, trio.current_time()) if welcome.unix_now else None
        self._standing.state = ServerState.ONLINE
        self._standing.name = welcome.server_name or self.invite.name
        self.notices.welcome = welcome.welcome
        self._standing.problem = self._standing.problem if welcome.nick != self.nick else ""
        self.logins += 1
        self.online.set(True)
        async with background() as nursery:
            if not welcome.resumed:  # else the server knows it, and has tested it
                nursery.start_soon(self._tell_port, channel)
            nursery.start_soon(self._publish, channel, welcome.manifest)
            nursery.start_soon(self._wishing.keep, self)
            async for incoming in channel.incoming():
                if isinstance(incoming.message, Caller):
                    await self._on_caller(self.node, incoming.message)
                elif isinstance(incoming.message, Announcement):
                    self.notices.hear(incoming.message)
                elif isinstance(incoming.message, WishHits):
                    nursery.start_soon(self._wishing.heard, self, incoming.message)
        raise channel.ending or Disconnected

    async def _tell_port(self, channel: Channel) -> None:
        try:
            question = Listen(request=channel.next_request(), port=self._port)
            found = await ask_in_turn(self._pace, channel, question)
            self._standing.reachable = found.reachable
        except (Refused, Disconnected):
            self._standing.reachable = None

    async def _publish(self, channel: Channel, digest: bytes) -> None:
        """Keep the server's idea of our shares the same as ours."""
        try:
            while True:
                seen = self._publisher.changed.value
                batch = await self._publisher.next_batch(self.node, digest)
                if batch is None:
                    self._standing.pending = 0
                    self._standing.published = await self._publisher.told(self.node)
                    await self._publisher.changed.other_than(seen)
                    await trio.sleep(PUBLISH_PAUSE_S)
                    continue
                self._standing.pending = await self._publisher.pending(self.node)
                try:
                    published: Published = await ask_in_turn(
                        self._pace, channel, replace(batch, request=channel.next_request())
                    )
                except Refused as error:
                    if error.reason is Reason.MANIFEST_MISMATCH:
                        if not digest:  # it was told everything anew, and still counts otherwise
                            await trio.sleep(REFUSED_PAUSE_S)
                        digest = b""  # fits nothing, so everything is told anew
                        continue
                    self._standing.problem = f"Your shares are not all listed on this server: {error.text}"
                    await trio.sleep(error.retry_after_s or REFUSED_PAUSE_S)
                    continue
                digest = batch.result
                if published.banned:
                    self._standing.problem = f"{published.banned} of your files are banned on this server."
                self._standing.published = published.offers
                try:
                    await self._publisher.acknowledge(self.node, batch)
                except LocalTrouble as trouble:  # a full disk: what is not written down is told again
                    self._standing.problem = f"Your shares are not all listed on this server: {trouble}"
                    await trio.sleep(REFUSED_PAUSE_S)
        except Disconnected:
            return  # `_stay` finds out by itself


class Servers:
    """All of them."""

    def __init__(self, me: NodeId) -> None:
        self._me = me
        self.links: dict[NodeId, ServerLink] = {}

    def online(self) -> list[ServerLink]:
        return [link for link in self.links.values() if link.online.value]

    def known(self) -> frozenset[NodeId]:
        """Whose tickets we honour."""
        return frozenset(self.links)

    async def ask_each(
        self, build: Callable[[int], Message], ask: Sequence[ServerLink] | None = None
    ) -> tuple[list[tuple[ServerLink, Any]], list[str]]:
        """(answers, a sentence for each failure) of all online servers, asked side by side."""
        answers: list[tuple[ServerLink, Any]] = []
        problems: list[str] = []

        async def one(link: ServerLink) -> None:
            try:
                answers.append((link, await link.ask(build)))
            except (Disconnected, Refused) as error:
                problems.append(f"{link.view().name or link.view().address}: {error}")

        async with trio.open_nursery() as nursery:
            for link in self.online() if ask is None else ask:
                nursery.start_soon(one, link)
        return answers, problems

    def clocks(self, server: NodeId, ours: float) -> tuple[float, ...]:
        """What time it may be for a server: by its own clock as it told, and by ours. Either may be wrong."""
        link = self.links.get(server)
        theirs = link.unix_now() if link is not None else None
        return (ours,) if theirs is None else (theirs, ours)

    async def find_sources(self, file: FileId) -> list[tuple[NodeId, Source]]:
        """Who else holds a file, on every server: (server, source). Waits until one is online."""
        while not self.online():  # noqa: ASYNC110  # servers come and go; after a start it is a moment
            await trio.sleep(ONLINE_LOOK_S)
        answers, _ = await self.ask_each(lambda request: FindSources(request=request, file=file))
        return [
            (link.node, source)
            for link, found in answers
            if isinstance(found, Sources)
            for source in found.some
            if source.node != self._me
            if source.node != link.me  # a running download of our own is offered, too
        ]

    async def look_up(self, who: str, node: NodeId | None) -> tuple[NodeId, Person] | None:
        """(server, person) for a key or a nick; None if no server knows it."""
        answers, _ = await self.ask_each(
            lambda request: LookUp(request=request, node=node, nick="" if node is not None else who)
        )
        people = [(link.node, person) for link, person in answers if isinstance(person, Person)]
        return max(people, key=lambda found: found[1].online, default=None)

    async def ticket(self, server: NodeId, node: NodeId) -> tuple[TicketIssued, list[Address]]:
        """A ticket to reach somebody, and where. Raises `Refused` or `Disconnected`."""
        link = self.links.get(server)
        if link is None:
            raise Disconnected("That index server is not used any more.")
        with trio.move_on_after(ONLINE_WAIT_S):
            await link.online.other_than(False)
        issued: TicketIssued = await link.ask(lambda request: AskTicket(request=request, node=node))
        return issued, [Address(address.host, address.port) for address in issued.addresses]
