"""Vectors of receipts: one as it should be, and what makes it none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from p2pshare.errors import CloseCode
from p2pshare.identity import Identity
from p2pshare.limits import RECEIPT_TOTAL_MAX
from p2pshare.receipts import Receipt, sign_receipt
from tests.vector_file import Vector, vector

GIVER, TAKER = (Identity.from_seed(bytes([n]) * 32) for n in (5, 6))
TOTAL = 129_383_726


def receipt(total: int = TOTAL) -> Receipt:
    halves = [
        sign_receipt(each, giver=GIVER.node_id, taker=TAKER.node_id, total=total) for each in (TAKER, GIVER)
    ]
    return Receipt(GIVER.node_id, TAKER.node_id, total, *halves)


def vectors() -> Iterator[Vector]:
    good = receipt()
    head: list[tuple[str, object]] = [
        ("what", "receipt"),
        ("giver seed", GIVER.seed()),
        ("taker seed", TAKER.seed()),
        ("giver", good.giver),
        ("taker", good.taker),
        ("total", TOTAL),
    ]
    comment = "What giver has given taker, signed by both."
    yield vector("receipt", "success", comment, head, good.to_bytes())
    whole, alone = good.to_bytes(), replace(good, giver_signature=good.taker_signature)
    turned = replace(good, giver=good.taker, taker=good.giver)
    for name, comment, data in (
        ("alone", "The taker signed for both.", alone.to_bytes()),
        ("half", "The giver has not signed.", replace(good, giver_signature=bytes(64)).to_bytes()),
        ("more", "The signatures are for one byte less.", replace(good, total=TOTAL + 1).to_bytes()),
        ("turned", "Giver and taker changed places.", turned.to_bytes()),
        ("damaged", "One bit of the last signature is wrong.", whole[:-1] + bytes([whole[-1] ^ 1])),
        ("of_oneself", "Giver and taker are the same.", whole[:32] * 2 + whole[64:]),
        ("of_nothing", "A receipt is of one byte at least.", replace(good, total=0).to_bytes()),
        ("too_much", "More than a receipt can say.", replace(good, total=RECEIPT_TOTAL_MAX + 1).to_bytes()),
        ("short", "A byte is missing.", whole[:-1]),
    ):
        lines = [("what", "receipt"), ("code", CloseCode.BAD_MESSAGE)]
        yield vector(f"receipt_failure_{name}", "receipt failure", comment, lines, data)
