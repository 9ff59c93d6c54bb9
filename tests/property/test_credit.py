"""Whatever happens to two people who sign receipts, and whatever is shown to them, the receipts stay true."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from client.engine.credit.weight import STRANGER, WEIGHT_MAX, Flow, weight
from p2pshare.errors import BadMessage, Refused
from p2pshare.limits import MIB, RECEIPT_AHEAD_BYTES_MAX, RECEIPT_TOTAL_MAX
from p2pshare.receipts import Receipt, read_receipt_untrusted, sign_receipt
from p2pshare.wire.peer import SignReceipt
from tests.two_signers import GIVER, OTHER, TAKER, Signer, Wire

sizes = st.integers(0, RECEIPT_TOTAL_MAX)
flows = st.builds(Flow, counted=sizes, signed=sizes)


@given(flows, flows)
def test_a_weight_is_bounded_and_nobody_has_less_than_a_stranger(given_: Flow, taken: Flow) -> None:
    assert STRANGER <= weight(given=given_, taken=taken) <= WEIGHT_MAX
    assert weight(given=given_, taken=Flow()) == STRANGER


@given(flows, flows, sizes)
def test_giving_more_never_lowers_it_and_taking_more_never_raises_it(
    given_: Flow, taken: Flow, more: int
) -> None:
    before = weight(given=given_, taken=taken)
    gave = Flow(taken.counted + more, taken.signed + more)
    assert weight(given=given_, taken=gave) >= before
    took = Flow(given_.counted + more, given_.signed)
    assert weight(given=took, taken=taken) <= before


@given(st.binary(min_size=1, max_size=3), st.integers(0, 199), st.integers(1, RECEIPT_TOTAL_MAX))
def test_no_change_to_a_receipt_goes_unseen(change: bytes, place: int, total: int) -> None:
    pair: dict[str, Any] = {"giver": GIVER.node_id, "taker": TAKER.node_id, "total": total}
    good = Receipt(
        **pair,
        taker_signature=sign_receipt(TAKER, **pair),
        giver_signature=sign_receipt(GIVER, **pair),
    )
    data = bytearray(good.to_bytes())
    for offset, one in enumerate(change):
        data[(place + offset) % len(data)] ^= one
    try:
        read = read_receipt_untrusted(bytes(data))
    except BadMessage:
        return
    assert read.signed_by_both() == (read == good)


# --- two people and what befalls them ---------------------------------------------------------------------

steps = st.one_of(
    st.tuples(st.just("moves"), st.integers(1, 40 * MIB)),
    st.tuples(st.just("wastes"), st.integers(1, 4 * MIB)),
    st.tuples(st.just("signs"), st.just(0)),
    st.tuples(st.just("loses the answer"), st.just(0)),
    st.tuples(st.just("loses the question"), st.just(0)),
    st.tuples(st.just("shows an old claim"), st.integers(0, 9)),
    st.tuples(st.just("forges"), st.integers(0, 5)),
    st.tuples(st.just("taker is killed"), st.just(0)),
    st.tuples(st.just("giver is killed"), st.just(0)),
    st.tuples(st.just("taker loses the library"), st.just(0)),
    st.tuples(st.just("giver loses the library"), st.just(0)),
)


class Story:
    """What really happened, beside what the two think."""

    def __init__(self, giver: Signer, taker: Signer, wire: Wire) -> None:
        self.giver, self.taker, self.wire = giver, taker, wire
        self.sent = self.verified = 0

    async def happens(self, what: str, number: int) -> None:
        giver, taker, wire = self.giver, self.taker, self.wire
        giver.signing._budgets.clear()  # time passes
        match what:
            case "moves" | "wastes":
                self.sent += number
                giver.uncounted.append(number)
                if what == "moves":
                    self.verified += number
                    taker.ledger.took(GIVER.node_id, "giver", number)
            case "signs" | "loses the answer" | "loses the question":
                wire.loses_answers = what == "loses the answer"
                wire.loses_questions = what == "loses the question"
                for taking in taker.signing._taking.values():
                    taking.not_before = 0.0
                await taker.signing.settle()
            case "shows an old claim":
                if wire.asked:
                    await giver.signing.countersign(TAKER.node_id, wire.asked[number % len(wire.asked)])
            case "forges":
                await self.forges(number)
            case "taker is killed":
                await taker.crash()
            case "giver is killed":
                await giver.crash()
            case "taker loses the library":
                await taker.lose_library()
            case "giver loses the library":
                await giver.lose_library()

    async def forges(self, number: int) -> None:
        total = self.giver.ledger.given(TAKER.node_id).counted or 1
        by = [OTHER, GIVER][number % 2]
        signature = by.sign(b"p2pshare 2026-11-22 receipt v1", GIVER.node_id + TAKER.node_id)
        known = b""
        if number >= 2 and self.wire.asked:
            held = await self.taker.ledger.receipt(GIVER.node_id, given=False)
            if held:
                larger = replace(read_receipt_untrusted(held), total=total + 1_000_000)
                known = larger.to_bytes()
        before = self.giver.ledger.given(TAKER.node_id).signed
        try:
            await self.giver.signing.countersign(
                TAKER.node_id, SignReceipt(request=1, total=total, signature=signature, known=known)
            )
        except (BadMessage, Refused):
            pass
        assert self.giver.ledger.given(TAKER.node_id).signed == before

    async def check(self) -> None:
        given_ = self.giver.ledger.given(TAKER.node_id)
        taken = self.taker.ledger.taken(GIVER.node_id)
        assert given_.signed <= self.verified, "more was signed than was ever verified"
        assert taken.signed <= self.verified
        assert taken.counted <= self.verified
        assert given_.counted <= self.sent
        assert given_.signed <= given_.counted + RECEIPT_AHEAD_BYTES_MAX
        for ledger, person, giving in (
            (self.giver.ledger, TAKER, True),
            (self.taker.ledger, GIVER, False),
        ):
            held = await ledger.receipt(person.node_id, given=giving)
            flow = ledger.given(person.node_id) if giving else ledger.taken(person.node_id)
            if held:
                receipt = read_receipt_untrusted(held)
                assert receipt.signed_by_both()
                assert receipt.total == flow.signed
            else:
                assert flow.signed == 0
            assert STRANGER <= ledger.weight(person.node_id) <= WEIGHT_MAX


@settings(deadline=None, max_examples=60)
@given(st.lists(steps, max_size=25))
def test_receipts_never_say_more_than_was_moved_and_both_agree_in_the_end(
    story: list[tuple[str, int]],
) -> None:
    async def play() -> None:
        wire = Wire()
        async with trio.open_nursery() as nursery:
            giver = await Signer(GIVER).start(nursery)
            taker = await Signer(TAKER, wire).start(nursery)
            wire.giver = giver
            told = Story(giver, taker, wire)
            for what, number in story:
                signed = (giver.ledger.given(TAKER.node_id).signed, taker.ledger.taken(GIVER.node_id).signed)
                await told.happens(what, number)
                await told.check()
                if "library" not in what:
                    assert giver.ledger.given(TAKER.node_id).signed >= signed[0]
                    assert taker.ledger.taken(GIVER.node_id).signed >= signed[1]
            await told.happens("moves", RECEIPT_AHEAD_BYTES_MAX)
            for _ in range(2):  # the first may only show who lost what
                await told.happens("signs", 0)
            await told.happens("moves", 1)
            await told.happens("signs", 0)
            await told.check()
            lost_both = {"taker loses the library", "giver loses the library"} <= {what for what, _ in story}
            if not lost_both:
                assert giver.ledger.given(TAKER.node_id).signed == taker.ledger.taken(GIVER.node_id).signed
            assert wire.closed == []
            nursery.cancel_scope.cancel()

    trio.run(play)
