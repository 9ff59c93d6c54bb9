"""What the catalogue keeps is a function of what is offered: after any changes, and after any snapshot, it is
what a catalogue is that hears of all offers for the first time."""

from __future__ import annotations

import random
from collections.abc import Generator, Iterable
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from index_server.search import snapshot
from index_server.search.catalogue import Catalogue, Gone
from index_server.search.entry import Entry, entry_of, entry_untrusted
from p2pshare.hashing import FileId
from p2pshare.wire.fields import NO_TAGS, Offer, Tags

ACCOUNTS = (1, 2, 3, 40_000)
FILES = tuple(FileId(bytes([number]) * 32) for number in range(6))

offers = st.builds(
    Offer,
    offer=st.integers(0, 7),
    path=st.sampled_from(
        ("wu.mp3", "wu tang.mp3", "a/wu.flac", "clan/é.txt", "live", "b/wu tang clan.tar.gz")
    ),
    size=st.sampled_from((0, 1, 7, 1_000, 20_000_000)),
    file=st.one_of(st.none(), st.sampled_from(FILES)),
    changed=st.sampled_from((0, 5, 1_700_000_000)),
    tags=st.sampled_from((NO_TAGS, Tags(artist="wu", year=1993), Tags(lossless=True, length_s=9))),
    partial=st.booleans(),
)


def state(catalogue: Catalogue) -> dict[str, Any]:
    """All that is kept, with keys of documents instead of numbers, which depend on the past; less what
    nobody offers, and is only waiting to be forgotten."""
    documents, facets, holders = catalogue._documents, catalogue._facets, catalogue._holders
    keys = {number: key for key, number in documents.numbers.items() if number not in documents.left}

    def offered(members: Iterable[int]) -> set[Any]:
        return {keys[number] for number in members if number not in documents.left}

    kept = [
        {
            word: offered(members)
            for word, members in postings.items()
            if not documents.left.keys() >= {*members}
        }
        for postings in facets.postings
    ]
    words = {word for postings in kept[:2] for word in postings}
    return {
        "copies": {
            key: [
                (copy.account, copy.offer, copy.partial, copy.about >> 16, documents.name_of(number, copy))
                for copy in documents.from_copy(number, 0)
            ]
            for number, key in keys.items()
        },
        "said": {key: _sets(documents.said(number)) for number, key in keys.items()},
        "postings": kept,
        "numbers": [
            {keys[number]: slices[number] for number in slices.positive if number not in documents.left}
            for slices in facets.numbers.values()
        ],
        "words": {word for word in words if word in facets.vocabulary.beginning(word[:2])},
        "shelves": {who: {keys[number] for number in shelf} for who, shelf in holders.shelves.items()},
        "sources": {keys[number]: holders.sources[number] for number in holders.sources.positive},
        "veiled": offered(catalogue._veil.documents),
        "free": len(documents.keys) - len(documents.numbers) == len(documents._free),
    }


def _sets(said: Any) -> Any:
    return {*said.names}, said.size, said.changed


class CatalogueAgainstOffers(RuleBasedStateMachine):
    """Pieces of a snapshot are tiny here, so that changes come between them."""

    @initialize()
    def start(self) -> None:
        self.patches = pytest.MonkeyPatch()
        self.patches.setattr(snapshot, "DOCUMENTS", 2)
        self.patches.setattr(snapshot, "BITMAPS", 3)
        self.catalogue = self.empty()
        self.offers: dict[tuple[int, int], Entry] = {}
        self.online: set[int] = set()
        self.saving: Generator[bytes, None, bytes] | None = None
        self.pieces: list[bytes] = []

    def teardown(self) -> None:
        self.patches.undo()

    def empty(self) -> Catalogue:
        made = Catalogue(random.Random(1))
        made.hide(frozenset({"clan"}), frozenset({FILES[0]}))
        return made

    @rule(
        account=st.sampled_from(ACCOUNTS),
        removed=st.sets(st.integers(0, 7)),
        added=st.lists(offers, max_size=8, unique_by=lambda offer: offer.offer),
    )
    def publish(self, account: int, removed: set[int], added: list[Offer]) -> None:
        entries = [entry_untrusted(offer) for offer in added]
        going = removed | {entry.offer for entry in entries}
        gone = [
            Gone(offer, self.offers.pop((account, offer)).file)
            for offer in sorted(going)
            if (account, offer) in self.offers
        ]
        self.offers |= {(account, entry.offer): entry for entry in entries}
        self.catalogue.publish(account, gone, entries)

    @rule(account=st.sampled_from(ACCOUNTS), most=st.integers(1, 9))
    def drop(self, account: int, most: int) -> None:
        while self.catalogue.drop(account, most):
            pass
        self.offers = {key: entry for key, entry in self.offers.items() if key[0] != account}

    @rule(most=st.integers(1, 9))
    def tidy(self, most: int) -> None:
        assert self.catalogue.tidy(most) == bool(self.catalogue._documents.left)

    @rule(account=st.sampled_from(ACCOUNTS), online=st.booleans())
    def set_online(self, account: int, online: bool) -> None:
        self.catalogue.set_online(account, online)
        (self.online.add if online else self.online.discard)(account)

    @precondition(lambda self: self.saving is None)
    @rule()
    def begin_a_snapshot(self) -> None:
        self.saving, self.pieces = self.catalogue.save(), []

    @precondition(lambda self: self.saving is not None)
    @rule(steps=st.integers(1, 12))
    def go_on_with_the_snapshot(self, steps: int) -> None:
        assert self.saving is not None
        for _ in range(steps):
            try:
                self.pieces.append(next(self.saving))
            except StopIteration as end:
                self.saving = None
                self.restart(end.value)
                break

    def restart(self, last: bytes) -> None:
        self.catalogue = self.empty()
        online = sorted(self.online)
        for account in online[::2]:
            self.catalogue.set_online(account, True)
        for _ in self.catalogue.load(last, iter(self.pieces)):
            pass
        for account in online[1::2]:
            self.catalogue.set_online(account, True)

    @invariant()
    def it_is_what_a_fresh_one_is(self) -> None:
        fresh = self.empty()
        for (account, _), entry in sorted(self.offers.items(), key=lambda item: item[0]):
            fresh.publish(account, (), [entry_of(entry.packed)])
        for account in self.online:
            fresh.set_online(account, True)
        assert state(self.catalogue) == state(fresh)


TestCatalogueAgainstOffers = CatalogueAgainstOffers.TestCase
TestCatalogueAgainstOffers.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
