"""People who exchange the same file tell each other of further ones.

Rule 1: who is named is only tried; they count once they opened the file to us, and nothing is taken on trust.
Rule 2: whoever named us several people who were of no use is not listened to any more.
Rule 3: only people are named, never addresses: to reach them, an index server is asked for a ticket.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import trio

from client.engine.downloads.records import KnownSource
from client.engine.network.asking import ask_in_time
from p2pshare.errors import Disconnected, PeerFault, Refused
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.limits import HAVES_PER_MESSAGE
from p2pshare.transport.channel import Channel
from p2pshare.wire.fields import Holder
from p2pshare.wire.peer import AskOthers, Have

BEGIN_S = 0.25  # a file that is here by then needs nobody else
FIRST_PAUSE_S = 2.0  # a swarm that has just begun grows fast ...
PAUSE_MAX_S = 60.0  # ... and later one answer a minute does
ENOUGH = 24  # sources: more are not asked for
DUDS_MAX = 3  # this many, or as many as were of use, are forgiven
DEAD_MAX = 1_000  # remembered, so that nobody is tried again and again


class Recommended:
    """Who was named by whom, and what came of it. Pure."""

    def __init__(self, me: NodeId) -> None:
        self._me = me
        self._by: dict[NodeId, NodeId] = {}  # somebody who is tried -> who named them
        self._good: Counter[NodeId] = Counter()
        self._duds: Counter[NodeId] = Counter()
        self._dead: dict[NodeId, None] = {}

    def named_untrusted(
        self, by: NodeId, holders: Iterable[Holder], known: Iterable[NodeId]
    ) -> list[KnownSource]:
        """Those that should be tried. `known` are those that need not."""
        if self.ignores(by):
            return []
        fresh = {holder.node: holder for holder in holders}
        for node in (self._me, by, *known, *self._dead):
            fresh.pop(node, None)
        return [KnownSource(holder.server, node, holder.nick, 0) for node, holder in fresh.items()]

    def tries(self, node: NodeId, by: NodeId) -> None:
        """They are tried now."""
        self._by[node] = by

    def joined(self, node: NodeId) -> None:
        """They opened the file to us."""
        if (by := self._by.pop(node, None)) is not None:
            self._good[by] += 1

    def failed(self, node: NodeId) -> bool:
        """They did not. Whether they were only named, so that they need not be tried again."""
        by = self._by.pop(node, None)
        if by is None:
            return False
        self._duds[by] += 1
        self._dead[node] = None
        if len(self._dead) > DEAD_MAX:
            del self._dead[next(iter(self._dead))]
        return True

    def ignores(self, node: NodeId) -> bool:
        """Whether nothing that they say of others counts any more."""
        return self._duds[node] > max(DUDS_MAX, self._good[node])


def haves(file: FileId, pieces: Sequence[int]) -> Iterator[Have]:
    """Messages that tell these pieces."""
    for first in range(0, len(pieces), HAVES_PER_MESSAGE):
        yield Have(file=file, pieces=tuple(pieces[first : first + HAVES_PER_MESSAGE]))


class Others:
    """For one download."""

    def __init__(
        self, me: NodeId, known: Callable[[], Iterable[NodeId]], add: Callable[[KnownSource], bool]
    ) -> None:
        """`known` are those who are tried already; `add` tries one more, and tells whether there is room."""
        self.recommended = Recommended(me)
        self._known = known
        self._add = add

    async def keep_asking(self, node: NodeId, channel: Channel, file: FileId) -> None:
        """Ask somebody who has the file open to us for others, for as long as the connection lasts."""
        await trio.sleep(BEGIN_S)
        pause_s = FIRST_PAUSE_S
        while not self.recommended.ignores(node):
            if len(list(self._known())) < ENOUGH:
                try:
                    question = AskOthers(request=channel.next_request(), file=file)
                    self._hear(node, (await ask_in_time(channel, question)).some)
                except Refused:
                    pass
                except PeerFault as fault:
                    await channel.aclose(fault.code, fault.text)
                    return
                except Disconnected:
                    return
            await trio.sleep(pause_s)
            pause_s = min(PAUSE_MAX_S, 2 * pause_s)

    def _hear(self, by: NodeId, holders: Iterable[Holder]) -> None:
        for known in self.recommended.named_untrusted(by, holders, self._known()):
            if self._add(known):
                self.recommended.tries(known.node, by)
