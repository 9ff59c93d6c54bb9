"""Who plays in a load test: people made from their numbers, so that no process keeps what they offer.

A share is the run of offers with the numbers `first` to `next_offer` - 1. A change adds at its end and
removes at its beginning, so it keeps its size, and what an offer says follows from its owner and its number.
"""

from __future__ import annotations

import random
from hashlib import sha256

from p2pshare.hashing import FileId
from p2pshare.identity import Identity
from p2pshare.limits import PUBLISH_BATCH
from p2pshare.session.handshake import NoiseStatic
from p2pshare.wire.fields import Offer
from p2pshare.wire.index import Publish
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest, offer_hash
from scripts.bench.corpus import Corpus
from scripts.bench.load_mix import REACHABLE, files_shared

OWN_PART = 0.2  # of what somebody shares is held by nobody else
OWN_NUMBERS = 1 << 40  # files from here on are somebody's own
OWN_EACH = 1 << 24
CHANGED = 1_700_000_000
LOOPBACK = 127 << 24
ADDRESSES_FROM = 1 << 16  # 127.1.0.0: the programs of this machine itself use 127.0


class Person:
    """An account, online or not."""

    __slots__ = (
        "_reset",
        "address",
        "digest",
        "first",
        "next_offer",
        "nick",
        "number",
        "reachable",
        "resume",
        "static",
        "wanted",
    )

    def __init__(self, number: int, files: float) -> None:
        """`files`: how many each person shares in the mean."""
        self.number = number
        rng = random.Random(f"person {number}")
        self.reachable = rng.random() < REACHABLE
        self.wanted = files_shared(rng, files)
        self.nick = f"load{number}"
        self.address = _dotted(LOOPBACK + ADDRESSES_FROM + number)
        self.static = _static(number)
        self.resume = b""  # what the last login gave, to go on with
        self.first = self.next_offer = 0
        self.digest = EMPTY_MANIFEST  # as the server keeps it
        self._reset = False

    def offer(self, corpus: Corpus, number: int) -> Offer:
        """The offer with this number."""
        rng = random.Random(self.number << 32 | number)
        file = (
            OWN_NUMBERS + self.number * OWN_EACH + number if rng.random() < OWN_PART else corpus.popular(rng)
        )
        return Offer(
            offer=number,
            path=corpus.path(file),
            size=corpus.size(file),
            file=file_id(file),
            changed=CHANGED,
        )

    def change(self, corpus: Corpus, request: int, *, add: int, remove: int) -> Publish:
        """The next change of the share, from now on a part of it: ask it once, and take it for done."""
        add, remove = min(add, PUBLISH_BATCH), min(remove, PUBLISH_BATCH, self.next_offer - self.first)
        removed = range(self.first, self.first + remove)
        added = tuple(self.offer(corpus, self.next_offer + each) for each in range(add))
        base = self.digest
        self.digest = change_digest(
            base,
            removed=(offer_hash(self.offer(corpus, number)) for number in removed),
            added=map(offer_hash, added),
        )
        self.first, self.next_offer = self.first + remove, self.next_offer + add
        reset, self._reset = self._reset, False
        return Publish(
            request=request,
            base=base,
            result=self.digest,
            removed=tuple(removed),
            added=added,
            reset=reset,
        )

    def forget(self) -> None:
        """The server is to forget what it keeps: the next change begins anew."""
        self.first = self.next_offer = 0
        self.digest = EMPTY_MANIFEST
        self._reset = True

    @property
    def missing(self) -> int:
        """How many offers of the wanted share are still to be published."""
        return max(0, self.wanted - (self.next_offer - self.first))


def file_id(file: int) -> FileId:
    return FileId(sha256(b"%d" % file).digest())


def _static(number: int) -> NoiseStatic:
    seeds = [sha256(f"p2pshare load {what} {number}".encode()).digest() for what in ("identity", "noise")]
    return NoiseStatic.create(Identity.from_seed(seeds[0]), seeds[1])


def _dotted(address: int) -> str:
    return ".".join(str(byte) for byte in address.to_bytes(4, "big"))
