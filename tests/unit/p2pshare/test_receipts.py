from __future__ import annotations

from dataclasses import replace

import pytest

from p2pshare.errors import BadMessage, Misuse
from p2pshare.identity import CONTEXT_TICKET, Identity
from p2pshare.limits import KEY_BYTES, RECEIPT_BYTES, RECEIPT_TOTAL_MAX
from p2pshare.receipts import Receipt, half_holds, read_receipt_untrusted, sign_receipt

GIVER, TAKER, OTHER = (Identity.from_seed(bytes([n]) * 32) for n in range(1, 4))
TOTAL = 123_456_789


def receipt(total: int = TOTAL, giver: Identity = GIVER, taker: Identity = TAKER) -> Receipt:
    pair = {"giver": giver.node_id, "taker": taker.node_id, "total": total}
    halves = {
        "taker_signature": sign_receipt(taker, **pair),  # type: ignore[arg-type]
        "giver_signature": sign_receipt(giver, **pair),  # type: ignore[arg-type]
    }
    return Receipt(**pair, **halves)  # type: ignore[arg-type]


def test_a_receipt_is_what_both_signed_and_survives_the_way() -> None:
    whole = receipt()
    assert whole.signed_by_both()
    assert len(whole.to_bytes()) == RECEIPT_BYTES
    again = read_receipt_untrusted(whole.to_bytes())
    assert again == whole


@pytest.mark.parametrize("total", [1, RECEIPT_TOTAL_MAX])
def test_the_smallest_and_the_largest_total_pass(total: int) -> None:
    assert read_receipt_untrusted(receipt(total).to_bytes()).signed_by_both()


def test_nobody_makes_a_receipt_alone() -> None:
    good = receipt()
    alone = replace(good, giver_signature=good.taker_signature)
    assert not alone.signed_by_both()
    assert not replace(good, taker_signature=good.giver_signature).signed_by_both()
    assert not replace(good, giver_signature=bytes(64)).signed_by_both()


def test_no_part_of_a_receipt_can_be_another() -> None:
    good = receipt()
    for forged in (
        replace(good, total=TOTAL + 1),
        replace(good, total=TOTAL - 1),
        replace(good, giver=OTHER.node_id),
        replace(good, taker=OTHER.node_id),
        Receipt(good.taker, good.giver, TOTAL, good.giver_signature, good.taker_signature),
        Receipt(good.taker, good.giver, TOTAL, good.taker_signature, good.giver_signature),
    ):
        assert not forged.signed_by_both()


def test_a_signature_of_another_context_is_worth_nothing() -> None:
    good = receipt()
    claim = good.to_bytes()[: 2 * KEY_BYTES + 8]
    assert not replace(good, giver_signature=GIVER.sign(CONTEXT_TICKET, claim)).signed_by_both()


def test_a_half_holds_for_its_signer_pair_and_total_only() -> None:
    pair = {"giver": GIVER.node_id, "taker": TAKER.node_id}
    half = sign_receipt(TAKER, **pair, total=TOTAL)
    assert half_holds(TAKER.node_id, half, **pair, total=TOTAL)
    assert not half_holds(GIVER.node_id, half, **pair, total=TOTAL)
    assert not half_holds(TAKER.node_id, half, **pair, total=TOTAL + 1)
    assert not half_holds(TAKER.node_id, half, giver=TAKER.node_id, taker=GIVER.node_id, total=TOTAL)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(RECEIPT_BYTES - 1),
        bytes(RECEIPT_BYTES + 1),
        receipt().to_bytes()[:32] * 2 + receipt().to_bytes()[64:],  # of one person
        receipt().to_bytes()[:64] + bytes(8) + bytes(128),  # of nothing
        receipt().to_bytes()[:64] + (RECEIPT_TOTAL_MAX + 1).to_bytes(8, "big") + bytes(128),
    ],
    ids=["empty", "short", "long", "of one person", "of nothing", "of too much"],
)
def test_what_has_not_the_shape_of_a_receipt_is_refused(data: bytes) -> None:
    with pytest.raises(BadMessage):
        read_receipt_untrusted(data)


def test_our_own_code_signs_only_for_ourselves_and_something() -> None:
    for giver, taker, total in (
        (GIVER.node_id, TAKER.node_id, TOTAL),
        (OTHER.node_id, OTHER.node_id, TOTAL),
        (OTHER.node_id, TAKER.node_id, 0),
        (OTHER.node_id, TAKER.node_id, RECEIPT_TOTAL_MAX + 1),
    ):
        with pytest.raises(Misuse):
            sign_receipt(OTHER, giver=giver, taker=taker, total=total)
