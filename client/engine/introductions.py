"""People who exchange a file with us: they are sources for us, and are named to each other."""

from __future__ import annotations

import random
from collections.abc import Callable

from client.engine.downloads.onward import Onward
from client.engine.downloads.records import KnownSource
from client.engine.network.peers import Peers
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.limits import OTHERS_MAX
from p2pshare.wire.fields import Holder


class Introductions:
    """Only those are named with whom we are connected at the moment, each of whom was let in by a ticket."""

    def __init__(
        self,
        peers: Peers,
        onward: Onward,
        takers: Callable[[FileId], list[NodeId]],
        chance: random.Random,
    ) -> None:
        """`takers` are those who have a file open here."""
        self._peers = peers
        self._onward = onward
        self._takers = takers
        self._chance = chance

    def meet(self, person: NodeId, file: FileId) -> None:
        """Somebody fetches a file from us that we fetch, too: they will have what we lack."""
        server = self._peers.known_by.get(person, person)  # on a local network nobody is needed to reach them
        for download in self._onward.running(file):
            download.add_source(KnownSource(server, person, self._peers.nicks.get(person, ""), 0))

    def others(self, asker: NodeId, file: FileId) -> tuple[Holder, ...]:
        """Some of those with whom we exchange a file, for somebody who has it open here."""
        people = {person: self._peers.known_by.get(person) for person in self._takers(file)}
        for download in self._onward.running(file):
            working = (supplier for supplier in download.suppliers.values() if supplier.works)
            people.update({supplier.node: supplier.known.server for supplier in working})
        people.pop(asker, None)
        known = [
            Holder(node=person, nick=nick, server=server)
            for person, server in people.items()
            if server is not None and (nick := self._peers.nicks.get(person, ""))
        ]
        return tuple(self._chance.sample(known, min(OTHERS_MAX, len(known))))
