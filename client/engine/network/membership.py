"""Joining and leaving index servers, and the nick on them."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from client.engine.network.servers import Publisher, ServerLink, Servers, Wishing
from client.engine.status import ServerState
from p2pshare.addresses import parse_address_untrusted
from p2pshare.errors import BadMessage, Disconnected, LocalTrouble, PeerFault, Refused
from p2pshare.identity import NodeId
from p2pshare.links import Invite, format_link, parse_link_untrusted
from p2pshare.names import nick_problem
from p2pshare.transport.dial import dial
from p2pshare.transport.endpoint import Endpoint
from p2pshare.wire.fields import Role
from p2pshare.wire.index import Caller

JOIN_TIMEOUT_S = 15.0  # for a server to log us in
LOOK_S = 0.1


@dataclass(frozen=True)
class Joined:
    """A server that works."""

    name: str
    link: str  # its invite
    before: str  # the invite it was used by until now, if it was used


class Membership:
    """Which servers are used."""

    def __init__(
        self,
        endpoint: Endpoint,
        servers: Servers,
        publisher: Publisher,
        on_caller: Callable[[NodeId, Caller], Awaitable[None]],
        wishing: Wishing,
        chance: random.Random,
        nursery: trio.Nursery,
    ) -> None:
        """The connections live in `nursery`."""
        self._endpoint = endpoint
        self._servers = servers
        self._publisher = publisher
        self._on_caller = on_caller
        self._wishing = wishing
        self._chance = chance
        self._nursery = nursery
        self._scopes: dict[NodeId, trio.CancelScope] = {}

    def use(self, link: str, nick: str, port: int) -> ServerLink:
        """Connect to the server of an invite from now on."""
        invite = parse_link_untrusted(link)
        assert isinstance(invite, Invite)  # settings and `join` check it
        return self._use(invite, nick, port)

    def _use(self, invite: Invite, nick: str, port: int) -> ServerLink:
        if invite.server in self._servers.links:
            return self._servers.links[invite.server]
        link = ServerLink(
            self._endpoint,
            invite,
            nick,
            port,
            self._publisher,
            self._on_caller,
            self._wishing,
            self._chance,
        )
        self._servers.links[invite.server] = link
        scope = self._scopes[invite.server] = trio.CancelScope()
        self._nursery.start_soon(self._run, link, scope)
        return link

    async def _run(self, link: ServerLink, scope: trio.CancelScope) -> None:
        with scope:
            await link.run()

    async def join(self, text: str, nick: str, port: int) -> Joined:
        """Use a server, given by its invite or as host:port, and wait until it works.

        Raises `LocalTrouble` for an invite that is none, and `Disconnected` with what stands in the way; the
        server is not kept then.
        """
        invite = await self._invite(text.strip())
        older = self._servers.links.get(invite.server)
        before = format_link(older.invite) if older is not None else ""
        if older is not None and invite.code and not older.online.value:
            self._forget(invite.server)  # it was perhaps not let in for want of a code
        link = self._use(invite, nick, port)
        link.retry()
        with trio.move_on_after(JOIN_TIMEOUT_S):
            while True:
                view = link.view()
                if view.state is ServerState.ONLINE:
                    return Joined(view.name or view.address, format_link(link.invite), before)
                if view.state in (ServerState.REFUSED, ServerState.WAITING) and view.problem:
                    break
                await trio.sleep(LOOK_S)
        problem = link.view().problem or "It did not answer in time."
        if older is None:
            self._forget(invite.server)
        raise Disconnected(f"The index server could not be joined. {problem}")

    async def _invite(self, text: str) -> Invite:
        try:
            if ":" in text and not text.lower().startswith(("p2pshare:", "magnet:")):
                return await self._ask_for_key(text)
            invite = parse_link_untrusted(text)
        except BadMessage as error:
            raise LocalTrouble(f"{error.text} An invite begins with p2pshare:join?") from error
        if not isinstance(invite, Invite):
            raise LocalTrouble("This is a link to a file. Download it with `p2pshare get`.")
        return invite

    async def _ask_for_key(self, text: str) -> Invite:
        """A server named by its address alone: whoever answers is trusted from now on."""
        address = parse_address_untrusted(text)
        try:
            async with dial(self._endpoint, [address], None) as channel:
                if channel.hello.role is not Role.INDEX:
                    raise LocalTrouble(f"At {address} there is no index server, but another person's client.")
                return Invite(channel.peer, (address,), "")
        except (Disconnected, PeerFault) as error:
            raise Disconnected(f"No index server answers there. {error}") from error

    def leave(self, what: str) -> frozenset[str]:
        """Forget a server; returns its invite in every spelling known. Raises as `link_of`."""
        link = self.link_of(what)
        self._forget(link.node)
        return frozenset({format_link(link.invite)})

    def link_of(self, what: str) -> ServerLink:
        """The server given by node id, name or address; by "" the only one. Raises `LocalTrouble`."""
        links = list(self._servers.links.values())
        if not what and len(links) == 1:
            return links[0]
        for link in links:
            view = link.view()
            if what in (view.server, view.name, view.address, format_link(link.invite)):
                return link
        if not what:
            raise LocalTrouble("Say which index server you mean. `p2pshare status` lists them.")
        raise LocalTrouble(f'No index server called "{what}" is used. `p2pshare status` lists them.')

    def _forget(self, server: NodeId) -> None:
        self._scopes.pop(server).cancel()
        del self._servers.links[server]

    async def rename(self, nick: str) -> None:
        """Change the nick on every server. Raises `LocalTrouble` or `Refused` if it cannot be had."""
        if (problem := nick_problem(nick)) is not None:
            raise LocalTrouble(problem)
        for link in self._servers.links.values():
            try:
                await link.rename(nick)
            except Disconnected:
                continue  # it hears of it at the next login
            except Refused as error:
                raise LocalTrouble(f"{link.view().name or link.view().address}: {error.text}") from error
