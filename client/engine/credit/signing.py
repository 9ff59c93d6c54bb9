"""How two people come to a receipt: the taker signs and asks, the giver checks its own count and signs, too.

Rule 1: nobody signs for more than they counted themselves. Where counts differ, the smaller one is signed.
Rule 2: a receipt that both signed is worth more than any count: whoever's library is of an earlier day is
        shown it, finds their own signature under it, and goes on from there.
Rule 3: whatever is lost on the way is asked for again, with a larger total. Nothing is ever due twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import trio

from client.engine.credit.ledger import Ledger
from client.engine.network.peers import PeerLink
from p2pshare.errors import BadMessage, Disconnected, LocalTrouble, PeerFault, Reason, Refused
from p2pshare.identity import Identity, NodeId
from p2pshare.limits import MIB, RECEIPT_AHEAD_BYTES_MAX, RECEIPT_TOTAL_MAX
from p2pshare.receipts import Receipt, half_holds, read_receipt_untrusted, sign_receipt
from p2pshare.session.budget import TokenBucket
from p2pshare.transport.background import background
from p2pshare.transport.channel import Channel
from p2pshare.wire.peer import ReceiptSigned, SignReceipt

LOOK_S = 5.0  # how often we look for something to have signed; what has not grown since is signed as it is
SIGN_BYTES = 16 * MIB  # what grows on is signed every so many bytes ...
SIGN_S = 60.0  # ... and this often
ANSWER_S = 20.0  # who does not answer in time is asked again later
PAUSE_S = 300.0  # before somebody is asked again who would not sign, or said nothing
LAST_ANSWERS_S = 2.0  # for the receipts that are signed when we end
ASKED_PER_S = 0.5  # proposals of one person that we look at: each may cost four checks of a signature ...
ASKED_BURST = 10  # ... and so many at once
ASKERS_MAX = 1_000  # budgets remembered


@dataclass
class _Taking:
    """How far we are with somebody who gives to us."""

    seen: int = 0  # what was counted at the last look
    asked_at: float = 0.0
    not_before: float = 0.0
    excess: int = 0  # we counted so many more bytes than they did: they lost some of their count in a crash
    asking: bool = False


class Signing:
    """`run` asks for our own receipts, `countersign` answers those who took from us."""

    def __init__(
        self,
        identity: Identity,
        ledger: Ledger,
        links: Callable[[], Iterable[PeerLink]],
        count: Callable[[], Awaitable[None]],
    ) -> None:
        """`links`: one connection to each person; `count` has the ledger know everything that was sent."""
        self._identity = identity
        self._ledger = ledger
        self._links = links
        self._count = count
        self._taking: dict[NodeId, _Taking] = {}
        self._budgets: dict[NodeId, TokenBucket] = {}

    # --- taking -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """For ever."""
        async with background() as nursery:
            while True:
                await trio.sleep(LOOK_S)
                for channel in self._due(trio.current_time()):
                    nursery.start_soon(self._ask, channel)

    async def settle(self) -> None:
        """Have signed what can be within LAST_ANSWERS_S, because we end now."""
        with trio.move_on_after(LAST_ANSWERS_S):
            async with trio.open_nursery() as nursery:
                for link in self._links():
                    nursery.start_soon(self._ask, link.channel)

    def _due(self, now: float) -> list[Channel]:
        due = []
        for link in self._links():
            flow = self._ledger.taken(link.node)
            if not flow.unsigned:
                continue
            taking = self._taking.setdefault(link.node, _Taking())
            grows, taking.seen = flow.counted > taking.seen, flow.counted
            wanted = not grows or flow.unsigned >= SIGN_BYTES or now >= taking.asked_at + SIGN_S
            if wanted and now >= taking.not_before:
                due.append(link.channel)
        return due

    async def _ask(self, channel: Channel) -> None:
        taking = self._taking.setdefault(channel.peer, _Taking())
        if taking.asking:
            return
        taking.asking = True
        try:
            await self._ask_once(channel, taking)
        except (Disconnected, LocalTrouble):
            pass  # another time
        except Refused:
            taking.not_before = trio.current_time() + PAUSE_S
        except PeerFault as fault:
            taking.not_before = trio.current_time() + PAUSE_S
            await channel.aclose(fault.code, fault.text)
        finally:
            taking.asking = False

    async def _ask_once(self, channel: Channel, taking: _Taking) -> None:
        giver = channel.peer
        flow = self._ledger.taken(giver)
        total = min(flow.counted - taking.excess, RECEIPT_TOTAL_MAX)
        if total <= flow.signed:
            return
        taking.asked_at = trio.current_time()
        await self._ledger.write()  # what we sign for is not forgotten
        question = SignReceipt(
            request=channel.next_request(),
            total=total,
            signature=sign_receipt(self._identity, giver=giver, taker=self._identity.node_id, total=total),
            known=await self._ledger.receipt(giver, given=False),
        )
        with trio.move_on_after(ANSWER_S) as patience:
            answer: ReceiptSigned = await channel.ask(question)
            if await self._keep(giver, answer) < total:  # from now on it is signed as they count
                taking.excess = max(0, flow.counted - answer.given)
        if patience.cancelled_caught:
            taking.not_before = trio.current_time() + PAUSE_S

    async def _keep(self, giver: NodeId, answer: ReceiptSigned) -> int:
        """The total of the receipt in the answer; 0 if there is none. Raises `PeerFault` if it was forged."""
        if not answer.receipt:
            return 0
        receipt = read_receipt_untrusted(answer.receipt)
        self._check(receipt, giver=giver, taker=self._identity.node_id)
        await self._ledger.keep(receipt)
        return receipt.total

    def _check(self, receipt: Receipt, *, giver: NodeId, taker: NodeId) -> None:
        if (receipt.giver, receipt.taker) != (giver, taker):
            raise BadMessage("The receipt is of other people.")
        if not receipt.signed_by_both():
            raise BadMessage("A signature of the receipt is wrong.")

    # --- giving -------------------------------------------------------------------------------------

    async def countersign(self, taker: NodeId, message: SignReceipt) -> ReceiptSigned:
        """The newest receipt of what we gave them, this one if it can be signed.

        Raises `PeerFault` if they show a signature that is none, and `Refused` if they ask too often.
        """
        if not self._budget(taker).take(1, trio.current_time()):
            raise Refused(Reason.TOO_MUCH, "Too many receipts in a short time.", round(1 / ASKED_PER_S))
        me = self._identity.node_id
        if message.known:
            known = read_receipt_untrusted(message.known)
            if known.total > self._ledger.given(taker).signed:
                self._check(known, giver=me, taker=taker)
                await self._ledger.keep(known, lost=True)
        await self._count()
        given, total = self._ledger.given(taker), message.total
        # Not of `signed`: then each receipt would make room for a larger one, and nothing be given for it.
        if given.signed < total <= given.counted + RECEIPT_AHEAD_BYTES_MAX:
            if not half_holds(taker, message.signature, giver=me, taker=taker, total=total):
                raise BadMessage("The signature of the receipt is wrong.")
            ours = sign_receipt(self._identity, giver=me, taker=taker, total=total)
            await self._ledger.keep(Receipt(me, taker, total, message.signature, ours))
        return ReceiptSigned(
            request=message.request,
            receipt=await self._ledger.receipt(taker, given=True),
            given=self._ledger.given(taker).counted,
        )

    def _budget(self, taker: NodeId) -> TokenBucket:
        budget = self._budgets.get(taker)
        if budget is None:
            if len(self._budgets) >= ASKERS_MAX:
                del self._budgets[next(iter(self._budgets))]
            budget = TokenBucket(ASKED_PER_S, ASKED_BURST, trio.current_time())
            self._budgets[taker] = budget
        return budget
