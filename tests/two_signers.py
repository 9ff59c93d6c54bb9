"""Two people who sign receipts, with real ledgers, joined by a connection that can lose answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import trio

from client.engine.credit.ledger import Ledger
from client.engine.credit.signing import Signing
from client.engine.library import MIGRATIONS
from client.engine.network.peers import PeerLink
from p2pshare.database import Database, open_database
from p2pshare.errors import CloseCode, Disconnected
from p2pshare.identity import Identity, NodeId
from p2pshare.wire.peer import ReceiptSigned, SignReceipt
from p2pshare.wire.schema import decode_untrusted, encode

GIVER, TAKER, OTHER = (Identity.from_seed(bytes([n]) * 32) for n in range(1, 4))
Answer = Callable[[SignReceipt], ReceiptSigned]


@dataclass
class Wire:
    """The taker's connection to the giver, as `Signing` uses a channel."""

    giver: Signer | None = None
    loses_answers: bool = False
    loses_questions: bool = False
    answer: Answer | None = None
    """What somebody without our program would say."""
    asked: list[SignReceipt] = field(default_factory=list)
    closed: list[CloseCode] = field(default_factory=list)
    peer: NodeId = GIVER.node_id

    def next_request(self) -> int:
        return len(self.asked) + 1

    async def ask(self, message: SignReceipt) -> ReceiptSigned:
        heard = decode_untrusted(encode(message))
        assert isinstance(heard, SignReceipt)
        self.asked.append(heard)
        await trio.lowlevel.checkpoint()
        if self.loses_questions:
            raise Disconnected
        if self.answer is not None:
            answer = self.answer(heard)
        else:
            assert self.giver is not None
            answer = await self.giver.signing.countersign(TAKER.node_id, heard)
        if self.loses_answers:
            raise Disconnected
        said = decode_untrusted(encode(answer))
        assert isinstance(said, ReceiptSigned)
        return said

    async def aclose(self, code: CloseCode, text: str) -> None:
        self.closed.append(code)

    # `Signing` finds channels in links; this is both.
    @property
    def node(self) -> NodeId:
        return self.peer

    @property
    def channel(self) -> Wire:
        return self


class Signer:
    """One of the two; `crash` forgets what was not written, `lose_library` everything."""

    def __init__(self, identity: Identity, wire: Wire | None = None) -> None:
        self._identity = identity
        self._wire = wire
        self._nursery: trio.Nursery
        self.uncounted: list[int] = []
        """Sent, but the ledger is not told yet."""

    async def start(self, nursery: trio.Nursery) -> Signer:
        self._nursery = nursery
        await self.lose_library()
        return self

    async def lose_library(self) -> None:
        self._database: Database = await self._nursery.start(_library)
        await self.crash()

    async def crash(self) -> None:
        self.ledger = Ledger(self._database, self._identity.node_id, lambda: 1.0)
        await self.ledger.load()
        links = [cast(PeerLink, self._wire)] if self._wire is not None else []
        self.signing = Signing(self._identity, self.ledger, lambda: links, self._count)

    async def _count(self) -> None:
        sent, self.uncounted = self.uncounted, []
        for size in sent:
            self.ledger.gave(TAKER.node_id, "taker", size)
        await self.ledger.write()

    @property
    def flow(self) -> object:
        """What went from giver to taker, as this one knows it."""
        if self._wire is None:
            return self.ledger.given(TAKER.node_id)
        return self.ledger.taken(GIVER.node_id)


async def _library(task_status: trio.TaskStatus[Database]) -> None:
    async with open_database(":memory:", MIGRATIONS, threads=False) as database:
        task_status.started(database)
        await trio.sleep_forever()
