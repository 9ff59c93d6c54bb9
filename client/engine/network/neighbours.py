"""People on the local network: found, and told that we are here."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import trio

from client.engine.network.peers import Peers
from p2pshare.errors import LocalTrouble
from p2pshare.identity import NodeId, short_id
from p2pshare.transport.discover import Found, Kind, announce, look_for

SETTLE_S = 3.0  # a command that is over sooner need not be announced, which takes 2 s to end
RETRY_S = 300.0  # after the network did not let us ask: it may come back

log = logging.getLogger(__name__)


class Neighbours:
    """Keeps `Peers` informed of who is near. Runs beside everything; nothing depends on it."""

    def __init__(self, peers: Peers, node: NodeId, interfaces: Sequence[str] | None) -> None:
        """`interfaces`: own addresses to look on; None for all."""
        self._peers = peers
        self._node = node
        self._interfaces = interfaces

    async def run(self, port: int, nick: str) -> None:
        """Announce ourselves and look for others, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._announce, port, nick)
            nursery.start_soon(self._look)

    async def _announce(self, port: int, nick: str) -> None:
        await trio.sleep(SETTLE_S)
        while True:
            try:
                async with announce(Kind.PEER, self._node, port, nick, self._interfaces):
                    await trio.sleep_forever()
            except LocalTrouble as trouble:
                log.info("not announced on the local network: %s", trouble)
            await trio.sleep(RETRY_S)

    async def _look(self) -> None:
        while True:
            try:
                async with look_for(Kind.PEER, self._interfaces) as sightings:
                    async for sighting in sightings:
                        if sighting.node == self._node:
                            continue
                        if isinstance(sighting, Found):
                            self._peers.on_local_network[sighting.node] = sighting.addresses
                            self._peers.remember_nick(sighting.node, sighting.name)
                        else:
                            self._peers.on_local_network.pop(sighting.node, None)
            except LocalTrouble as trouble:
                log.info("cannot look around on the local network: %s", trouble)
            await trio.sleep(RETRY_S)

    def names(self) -> tuple[str, ...]:
        """Who is near, for people: "nick (short id)"."""
        return tuple(
            f"{self._peers.nicks.get(node, '')} ({short_id(node)})" for node in self._peers.on_local_network
        )
