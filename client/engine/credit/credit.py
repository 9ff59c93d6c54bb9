"""Credit as the engine uses it: its parts put together, and what people see of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable

import trio

from client.engine.browsing import Browser
from client.engine.credit.ledger import Ledger
from client.engine.credit.reporting import Reporting
from client.engine.credit.signing import Signing
from client.engine.credit.weight import refuses_to_sign, weight
from client.engine.network.peers import Peers
from client.engine.network.servers import Servers
from client.engine.status import CreditView, PersonCreditView, VouchedView
from p2pshare.database import Database
from p2pshare.errors import BadMessage
from p2pshare.identity import Identity, NodeId, format_node_id, parse_node_id_untrusted
from p2pshare.wire.index import LookUp, Person


class Credit:
    """`run` beside everything once `ledger` is loaded; `signing.settle` while people are still connected."""

    def __init__(
        self,
        database: Database,
        identity: Identity,
        peers: Peers,
        servers: Servers,
        *,
        count: Callable[[], Awaitable[None]],
        reports: Callable[[], bool],
        unix_now: Callable[[], float],
    ) -> None:
        """`count` has the ledger know everything that was sent; `reports`: whether servers are told."""
        self.ledger = Ledger(database, identity.node_id, unix_now)
        self.signing = Signing(identity, self.ledger, peers.connected, count)
        self._reporting = Reporting(database, servers, reports)
        self._database = database
        self._count = count
        self._me = identity.node_id
        self._peers = peers
        self._servers = servers

    async def run(self) -> None:
        """Have receipts signed, and tell them, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.signing.run)
            nursery.start_soon(self._reporting.run)

    async def view(self, who: str | None, browser: Browser) -> CreditView:
        """Of everybody, or of one person by nick or node id. Raises `Refused` or `LocalTrouble`."""
        await self._count()
        nicks = {**await self._database.read(_nicks), **self._peers.nicks}
        if who is None:
            people, about = self.ledger.people(), self._me
        else:
            people = _called(who, nicks) & self.ledger.people()
            if not people:
                somebody = await browser.find(who)
                nicks[somebody.node], people = somebody.nick, {somebody.node}
            about = min(people)
        views = [self._of(person, nicks.get(person, "")) for person in people]
        views.sort(key=lambda view: (-view.taken_bytes - view.given_bytes, view.nick, view.person))
        return CreditView(tuple(views), await self._vouched(about))

    def _of(self, person: NodeId, nick: str) -> PersonCreditView:
        given, taken = self.ledger.given(person), self.ledger.taken(person)
        return PersonCreditView(
            person=format_node_id(person),
            nick=nick,
            given_bytes=given.counted,
            given_signed=given.signed,
            taken_bytes=taken.counted,
            taken_signed=taken.signed,
            weight=weight(given=given, taken=taken),
            weight_there=weight(given=taken, taken=given),
            refuses_to_sign=refuses_to_sign(given),
        )

    async def _vouched(self, node: NodeId) -> tuple[VouchedView, ...]:
        answers, _ = await self._servers.ask_each(lambda request: LookUp(request=request, node=node))
        return tuple(
            VouchedView(
                server=link.view().name,
                given_bytes=person.given_bytes,
                given_people=person.given_people,
                taken_bytes=person.taken_bytes,
                taken_people=person.taken_people,
            )
            for link, person in answers
            if isinstance(person, Person)
        )


def _called(who: str, nicks: dict[NodeId, str]) -> set[NodeId]:
    try:
        return {parse_node_id_untrusted(who)}
    except BadMessage:
        return {node for node, nick in nicks.items() if nick.casefold() == who.casefold()}


def _nicks(connection: sqlite3.Connection) -> dict[NodeId, str]:
    return {NodeId(node): nick for node, nick in connection.execute("SELECT node, nick FROM person")}
