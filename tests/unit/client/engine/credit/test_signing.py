from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
import trio.testing

from client.engine.credit import signing
from client.engine.credit.weight import Flow
from p2pshare.errors import BadMessage, CloseCode, Reason, Refused
from p2pshare.identity import Identity
from p2pshare.limits import MIB, RECEIPT_AHEAD_BYTES_MAX
from p2pshare.receipts import Receipt, read_receipt_untrusted, sign_receipt
from p2pshare.wire.peer import ReceiptSigned, SignReceipt
from tests.two_signers import GIVER, OTHER, TAKER, Signer, Wire


@asynccontextmanager
async def two() -> AsyncIterator[tuple[Signer, Signer, Wire]]:
    """(giver, taker, the wire between them)."""
    wire = Wire()
    async with trio.open_nursery() as nursery:
        giver = await Signer(GIVER).start(nursery)
        taker = await Signer(TAKER, wire).start(nursery)
        wire.giver = giver
        yield giver, taker, wire
        nursery.cancel_scope.cancel()


def moved(giver: Signer, taker: Signer, size: int) -> None:
    giver.uncounted.append(size)
    taker.ledger.took(GIVER.node_id, "giver", size)


def claim(
    total: int, *, by: Identity = TAKER, giver: Identity = GIVER, taker: Identity = TAKER, known: bytes = b""
) -> SignReceipt:
    signature = sign_receipt(by, giver=giver.node_id, taker=taker.node_id, total=total)
    return SignReceipt(request=1, total=total, signature=signature, known=known)


def receipt(total: int, *signers: Identity) -> bytes:
    """Of GIVER and TAKER; `signers` are those who sign for taker and giver."""
    by_taker, by_giver = (
        each.sign(b"p2pshare 2026-11-22 receipt v1", GIVER.node_id + TAKER.node_id + total.to_bytes(8, "big"))
        for each in signers or (TAKER, GIVER)
    )
    return Receipt(GIVER.node_id, TAKER.node_id, total, by_taker, by_giver).to_bytes()


# --- two who are honest -----------------------------------------------------------------------------------


async def test_what_was_moved_is_signed_by_both() -> None:
    async with two() as (giver, taker, _):
        moved(giver, taker, 100)
        await taker.signing.settle()
        assert giver.flow == taker.flow == Flow(100, 100)
        kept = await giver.ledger.receipt(TAKER.node_id, given=True)
        assert kept == await taker.ledger.receipt(GIVER.node_id, given=False) == receipt(100)


async def test_what_is_on_its_way_or_was_thrown_away_is_simply_not_signed() -> None:
    async with two() as (giver, taker, _):
        moved(giver, taker, 100)
        giver.uncounted.append(30)
        await taker.signing.settle()
        assert (giver.flow, taker.flow) == (Flow(130, 100), Flow(100, 100))


async def test_a_giver_that_is_about_to_count_what_arrived_already_signs_it() -> None:
    async with two() as (giver, taker, _):
        taker.ledger.took(GIVER.node_id, "giver", RECEIPT_AHEAD_BYTES_MAX)
        await taker.signing.settle()
        assert giver.flow == Flow(0, RECEIPT_AHEAD_BYTES_MAX)


async def test_an_answer_that_is_lost_is_given_again() -> None:
    async with two() as (giver, taker, wire):
        moved(giver, taker, 100)
        wire.loses_answers = True
        await taker.signing.settle()
        assert (giver.flow, taker.flow) == (Flow(100, 100), Flow(100, 0))
        wire.loses_answers = False
        await taker.signing.settle()
        assert giver.flow == taker.flow == Flow(100, 100)
        moved(giver, taker, 1)
        await taker.signing.settle()
        assert giver.flow == taker.flow == Flow(101, 101)


async def test_what_a_taker_signs_for_they_still_know_after_a_crash() -> None:
    async with two() as (giver, taker, wire):
        moved(giver, taker, 100)
        wire.loses_answers = True
        await taker.signing.settle()
        await taker.crash()
        assert taker.flow == Flow(100, 0)


async def test_a_taker_that_forgot_everything_is_shown_what_they_signed() -> None:
    async with two() as (giver, taker, _):
        moved(giver, taker, 100)
        await taker.signing.settle()
        await taker.lose_library()
        moved(giver, taker, 10)
        await taker.signing.settle()
        assert taker.flow == Flow(100, 100)
        moved(giver, taker, 5)
        await taker.signing.settle()
        assert (giver.flow, taker.flow) == (Flow(115, 105), Flow(105, 105))


async def test_a_giver_that_forgot_everything_is_shown_what_they_signed() -> None:
    async with two() as (giver, taker, _):
        moved(giver, taker, 100 * MIB)
        await taker.signing.settle()
        await giver.lose_library()
        moved(giver, taker, 10)
        await taker.signing.settle()
        assert giver.flow == taker.flow == Flow(100 * MIB + 10, 100 * MIB + 10)


async def test_where_a_giver_lost_some_of_its_count_in_a_crash_the_smaller_count_is_signed_from_then_on() -> (
    None
):
    async with two() as (giver, taker, wire):
        taker.ledger.took(GIVER.node_id, "giver", 50 * MIB)  # sent, but never written by the giver
        moved(giver, taker, 100)
        await taker.signing.settle()
        assert (giver.flow, taker.flow) == (Flow(100, 0), Flow(50 * MIB + 100, 0))
        await taker.signing.settle()
        assert giver.flow == Flow(100, 100)
        moved(giver, taker, 7)
        await taker.signing.settle()
        assert giver.flow == Flow(107, 107)
        assert len(wire.asked) == 3


async def test_who_ends_while_the_other_says_nothing_does_not_wait_for_long(
    mock_clock: trio.testing.MockClock,
) -> None:
    async with two() as (giver, taker, wire):
        moved(giver, taker, 1)
        wire.ask = never  # type: ignore[method-assign]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(taker.signing.settle)
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(signing.LAST_ANSWERS_S)


async def test_it_is_asked_for_once_nothing_more_arrives_and_now_and_then_before(
    mock_clock: trio.testing.MockClock,
) -> None:
    async with two() as (giver, taker, wire):
        asked = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(taker.signing.run)
            for _ in range(20):
                await trio.testing.wait_all_tasks_blocked()
                moved(giver, taker, 1_000)
                mock_clock.jump(signing.LOOK_S)
                await trio.testing.wait_all_tasks_blocked()
                asked.append(len(wire.asked))
            mock_clock.jump(signing.LOOK_S)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert giver.flow == taker.flow == Flow(20_000, 20_000)
        assert asked[-1] <= 2, "a trickle is signed once a minute"


async def never(message: SignReceipt) -> ReceiptSigned:
    await trio.sleep_forever()
    raise AssertionError


# --- takers who are not -----------------------------------------------------------------------------------


async def test_nobody_is_given_a_receipt_for_what_they_never_took_however_small_the_steps() -> None:
    async with two() as (giver, _, _):
        giver.uncounted.append(100)
        for step in range(1, signing.ASKED_BURST):
            answer = await giver.signing.countersign(
                TAKER.node_id, claim(100 + step * RECEIPT_AHEAD_BYTES_MAX)
            )
            assert answer.given == 100
        assert giver.flow == Flow(100, 100 + RECEIPT_AHEAD_BYTES_MAX)
        assert giver.ledger.weight(TAKER.node_id) == 1.0


async def test_a_stranger_who_took_nothing_gets_nothing_signed_beyond_what_may_be_on_its_way() -> None:
    async with two() as (giver, _, _):
        answer = await giver.signing.countersign(TAKER.node_id, claim(RECEIPT_AHEAD_BYTES_MAX + 1))
        assert (answer.receipt, answer.given) == (b"", 0)


async def test_a_smaller_total_than_was_signed_changes_nothing_and_shows_the_newest() -> None:
    async with two() as (giver, taker, _):
        moved(giver, taker, 100)
        await taker.signing.settle()
        unsigned = replace(claim(60), signature=bytes(64))  # not even looked at
        answer = await giver.signing.countersign(TAKER.node_id, unsigned)
        assert answer.receipt == receipt(100)
        assert giver.flow == Flow(100, 100)


@pytest.mark.parametrize(
    "message",
    [
        replace(claim(100), signature=bytes(64)),
        replace(claim(100), total=99),
        claim(100, by=OTHER, taker=OTHER),
        claim(100, giver=OTHER),
        claim(100, giver=TAKER, taker=GIVER),
        claim(100, known=receipt(90, TAKER, TAKER)),
        claim(100, known=receipt(90, OTHER, GIVER)),
        claim(100, known=receipt(90)[:-1]),
        claim(100, known=receipt(90)[32:64] + receipt(90)[:32] + receipt(90)[64:]),
    ],
    ids=[
        "no signature",
        "of another total",
        "of another taker",
        "of another giver",
        "of the other direction",
        "a receipt made alone",
        "a receipt that another signed",
        "a receipt cut short",
        "a receipt turned round",
    ],
)
async def test_a_forged_claim_ends_the_conversation_and_changes_nothing(message: SignReceipt) -> None:
    async with two() as (giver, _, _):
        giver.uncounted.append(1_000)
        with pytest.raises(BadMessage):
            await giver.signing.countersign(TAKER.node_id, message)
        assert giver.ledger.given(TAKER.node_id).signed == 0


async def test_a_receipt_of_another_pair_is_worth_nothing_here() -> None:
    async with two() as (giver, _, _):
        of_other = receipt(90)
        with pytest.raises(BadMessage):
            await giver.signing.countersign(OTHER.node_id, claim(100, by=OTHER, taker=OTHER, known=of_other))
        assert giver.ledger.people() == set()


async def test_who_asks_all_the_time_is_told_to_wait() -> None:
    async with two() as (giver, _, _):
        for _ in range(signing.ASKED_BURST):
            await giver.signing.countersign(TAKER.node_id, claim(1))
        with pytest.raises(Refused) as refused:
            await giver.signing.countersign(TAKER.node_id, claim(1))
        assert refused.value.reason is Reason.TOO_MUCH
        await giver.signing.countersign(OTHER.node_id, claim(1, by=OTHER, taker=OTHER))


# --- givers who are not -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        receipt(1_000, TAKER, OTHER),
        receipt(1_000, GIVER, GIVER),
        receipt(1_000)[:-1],
        receipt(1_000)[32:64] + receipt(1_000)[:32] + receipt(1_000)[64:],
    ],
    ids=["signed by another", "signed by the giver alone", "cut short", "turned round"],
)
async def test_a_forged_answer_ends_the_connection_and_is_not_kept(said: bytes) -> None:
    async with two() as (_, taker, wire):
        taker.ledger.took(GIVER.node_id, "giver", 100)
        wire.answer = lambda message: ReceiptSigned(request=message.request, receipt=said, given=1_000)
        await taker.signing.settle()
        assert wire.closed == [CloseCode.BAD_MESSAGE]
        assert taker.flow == Flow(100, 0)


async def test_a_giver_that_claims_to_have_given_more_gets_no_more_signed() -> None:
    async with two() as (_, taker, wire):
        taker.ledger.took(GIVER.node_id, "giver", 100)
        wire.answer = lambda message: ReceiptSigned(request=message.request, receipt=b"", given=1 << 40)
        for _ in range(3):
            await taker.signing.settle()
        assert {message.total for message in wire.asked} == {100}


async def test_a_giver_that_will_not_sign_keeps_the_claim_and_takes_nothing_from_the_taker() -> None:
    async with two() as (_, taker, wire):
        taker.ledger.took(GIVER.node_id, "giver", 100)

        def refuse(message: SignReceipt) -> ReceiptSigned:
            raise Refused(Reason.FAILED)

        wire.answer = refuse
        await taker.signing.settle()
        assert taker.flow == Flow(100, 0)
        assert read_receipt_untrusted(receipt(100)).total == wire.asked[0].total
        assert wire.closed == []
