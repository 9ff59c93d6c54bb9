"""An index server's side of publishing, kept as the protocol says: what it stores, and its digest."""

from __future__ import annotations

from p2pshare.errors import Reason, Refused
from p2pshare.wire.fields import Offer
from p2pshare.wire.index import Publish
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest, offer_hash
from p2pshare.wire.schema import decode_untrusted, encode


class FakeIndex:
    """One account's manifest."""

    def __init__(self) -> None:
        self.offers: dict[int, Offer] = {}
        self.digest = EMPTY_MANIFEST
        self.told: list[Publish] = []

    def publish(self, message: Publish) -> None:
        """Applied whole or not at all. Raises Refused(MANIFEST_MISMATCH)."""
        decoded = decode_untrusted(encode(message))
        assert isinstance(decoded, Publish)
        offers = {} if decoded.reset else dict(self.offers)
        digest = EMPTY_MANIFEST if decoded.reset else self.digest
        if digest != decoded.base:
            raise Refused(Reason.MANIFEST_MISMATCH)
        for number in decoded.removed:
            digest = change_digest(digest, removed=[offer_hash(offers.pop(number))])
        for offer in decoded.added:
            before = offers.get(offer.offer)
            digest = change_digest(
                digest, removed=[offer_hash(before)] if before else [], added=[offer_hash(offer)]
            )
            offers[offer.offer] = offer
        if digest != decoded.result:
            raise Refused(Reason.MANIFEST_MISMATCH)
        self.offers, self.digest = offers, digest
        self.told.append(decoded)

    def taken(self) -> list[Publish]:
        told, self.told = self.told, []
        return told
