"""The digest of a manifest: whether two sides hold the same set of offers, kept up to date offer by offer.

    offer hash = first 16 bytes of BLAKE3(context "p2pshare 2026-11-22 offer v1", MessagePack of the offer)
    digest     = sum of all offer hashes as big-endian numbers, modulo 2^128

A sum does not depend on order and changes by one addition or subtraction per offer. It finds drift between
honest sides; it is not meant to stop a client that lies about its own manifest, which would gain nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from blake3 import blake3

from p2pshare.wire.fields import Offer
from p2pshare.wire.schema import dump, pack

CONTEXT_OFFER = "p2pshare 2026-11-22 offer v1"
EMPTY_MANIFEST = bytes(16)
_MODULUS = 1 << 128
_BEGUN = blake3(derive_key_context=CONTEXT_OFFER)  # a copy is made faster than the key is derived


def offer_hash(offer: Offer) -> bytes:
    """16 bytes that change with anything the offer says."""
    return packed_offer_hash(pack(dump(offer)))


def packed_offer_hash(packed: bytes) -> bytes:
    """The hash of an offer that is in MessagePack already, in its shortest form."""
    return _BEGUN.copy().update(packed).digest(length=16)


def change_digest(digest: bytes, *, removed: Iterable[bytes] = (), added: Iterable[bytes] = ()) -> bytes:
    """The digest after offers with these hashes left and joined the manifest."""
    total = int.from_bytes(digest, "big")
    total -= sum(int.from_bytes(one, "big") for one in removed)
    total += sum(int.from_bytes(one, "big") for one in added)
    return (total % _MODULUS).to_bytes(16, "big")
