"""A receipt is the word of two people that one of them has given the other so many bytes, ever.

    giver(32) || taker(32) || total u64be(8) || taker's signature(64) || giver's signature(64)     200 bytes

Both sign the first 72 bytes, in CONTEXT_RECEIPT. The taker signs first: whoever holds only that half has a
claim, and nobody has a receipt without both keys. Of one giver and one taker only the largest total counts,
so an old receipt is worth nothing, and showing one twice adds nothing. No clock has a say in it.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2pshare.errors import BadMessage, Misuse
from p2pshare.identity import CONTEXT_RECEIPT, Identity, NodeId, verify
from p2pshare.limits import KEY_BYTES, RECEIPT_BYTES, RECEIPT_TOTAL_MAX, SIGNATURE_BYTES

_TOTAL_BYTES = 8
_CLAIM_BYTES = 2 * KEY_BYTES + _TOTAL_BYTES


@dataclass(frozen=True, slots=True)
class Receipt:
    """What `read_receipt_untrusted` cut out. Believe it when `signed_by_both` says so, not before."""

    giver: NodeId
    taker: NodeId
    total: int  # bytes that went from giver to taker since they first met
    taker_signature: bytes
    giver_signature: bytes

    def to_bytes(self) -> bytes:
        return _claim(self.giver, self.taker, self.total) + self.taker_signature + self.giver_signature

    def signed_by_both(self) -> bool:
        """Costs two checks of a signature, some 0.25 ms."""
        claim = _claim(self.giver, self.taker, self.total)
        return verify(self.giver, CONTEXT_RECEIPT, claim, self.giver_signature) and verify(
            self.taker, CONTEXT_RECEIPT, claim, self.taker_signature
        )


def sign_receipt(me: Identity, *, giver: NodeId, taker: NodeId, total: int) -> bytes:
    """My half of a receipt: I am one of the two."""
    if me.node_id not in (giver, taker) or giver == taker or not 1 <= total <= RECEIPT_TOTAL_MAX:
        raise Misuse("a receipt is between me and somebody else, of at least one byte")
    return me.sign(CONTEXT_RECEIPT, _claim(giver, taker, total))


def half_holds(signer: NodeId, signature: bytes, *, giver: NodeId, taker: NodeId, total: int) -> bool:
    """Did one of the two sign this?"""
    return verify(signer, CONTEXT_RECEIPT, _claim(giver, taker, total), signature)


def read_receipt_untrusted(data: bytes) -> Receipt:
    """Cut and checked in its shape; its signatures are not looked at. Raises BadMessage and nothing else."""
    if len(data) != RECEIPT_BYTES:
        raise BadMessage(f"A receipt has {RECEIPT_BYTES} bytes, not {len(data)}.")
    giver, taker = NodeId(data[:KEY_BYTES]), NodeId(data[KEY_BYTES : 2 * KEY_BYTES])
    total = int.from_bytes(data[2 * KEY_BYTES : _CLAIM_BYTES], "big")
    if giver == taker:
        raise BadMessage("A receipt is between two people, not one.")
    if not 1 <= total <= RECEIPT_TOTAL_MAX:
        raise BadMessage(f"A receipt is of 1 to {RECEIPT_TOTAL_MAX:,} bytes, not {total:,}.")
    half = _CLAIM_BYTES + SIGNATURE_BYTES
    return Receipt(giver, taker, total, data[_CLAIM_BYTES:half], data[half:])


def _claim(giver: NodeId, taker: NodeId, total: int) -> bytes:
    return giver + taker + total.to_bytes(_TOTAL_BYTES, "big")
