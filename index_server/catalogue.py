"""The catalogue: every file that anybody offers, found by words, filters or file id.

It lives in memory, is rebuilt from rows at start, and only ever hears of what is durable already. The calls
of `Catalogue` are all that the rest of the server knows of it, so that another engine can take its place.

A *document* is one file, whoever offers it: all offers with the same file id, or one offer alone while its
owner has not hashed it. A *copy* is one offer of a document. What nobody online holds is kept, and not found.

Rule 1: PURE. No clock, no database; whoever makes it gives it a source of random choices.
Rule 2: no call is slow. Bitmaps narrow down; texts are read for a bounded number of documents.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from pyroaring import BitMap

from index_server import ranking
from index_server.bitslices import BitSlices
from index_server.deal import Dealer
from index_server.entry import Entry, search_text
from index_server.facets import NO_FACETS, FacetIndex, Facets, facets_of
from index_server.query import SearchQuery
from p2pshare.hashing import FileId

NAMED_BY = 16  # copies whose names and tags lead to a document; what more of them say is noise or an attack
TEXTS_READ = 3_000  # documents whose texts are read for a phrase: some 4 ms
SOME_COPIES = 16  # told with a found document, so that the caller can choose by what is not known here


class Copy(NamedTuple):
    """One offer of a document."""

    account: int
    offer: int
    partial: bool
    size: int
    changed: int
    path: str
    tags: bytes
    """As in `Entry`."""
    text: str
    """As made by `entry.search_text`."""


class Found(NamedTuple):
    """A document that matches, as most of those who hold it show it."""

    file: FileId | None
    path: str
    size: int
    changed: int
    tags: bytes
    """As in `Entry`."""
    sources: int
    """How many people online hold it."""
    some: tuple[Copy, ...]
    """The copies of at most SOME_COPIES of them, chosen at random."""


@dataclass(frozen=True, slots=True)
class Page:
    """Part of an answer, best first."""

    total: int
    """How many documents match. If a phrase is asked for, at most TEXTS_READ."""
    found: tuple[Found, ...]
    next_offset: int | None
    """Where the next page begins; None on the last. People come and go between two pages, so a document may
    show up on both or on neither."""


class Gone(NamedTuple):
    """An offer that was removed or replaced, as far as is needed to find its document."""

    offer: int
    file: FileId | None


T = TypeVar("T", int, str, bytes)
_Key = FileId | tuple[int, int]  # of a document: its file id, or account and offer
_Copies = tuple[Copy, ...]


class Catalogue:
    """Accounts are small numbers; their offers are `Entry`s."""

    def __init__(self, choose: random.Random) -> None:
        self._choose = choose
        self._dealer = Dealer(choose)
        self._numbers: dict[_Key, int] = {}
        self._keys: list[_Key] = []  # by document number, as the copies
        self._copies: list[_Copies] = []
        self._free: list[int] = []  # document numbers to use again
        self._shelves: dict[int, BitMap] = {}  # documents by account
        self._online: set[int] = set()
        self._sources = BitSlices()  # by document: how many people online hold it
        self._facets = FacetIndex()

    def __len__(self) -> int:
        """How many documents there are, whether anybody who holds them is online or not."""
        return len(self._numbers)

    # --- what people offer --------------------------------------------------------------------------

    def publish(self, account: int, removed: Iterable[Gone], added: Iterable[Entry]) -> None:
        """Change what an account offers: first the removals, then the additions."""
        shelf = self._shelves.setdefault(account, BitMap())
        before = shelf.copy()
        for gone in removed:
            self._remove(account, shelf, gone)
        for entry in added:
            self._add(account, shelf, entry)
        if account in self._online:
            self._sources.decrement(before - shelf)
            self._sources.increment(shelf - before)
        if not shelf:
            del self._shelves[account]

    def drop(self, account: int) -> None:
        """Forget everything an account offers. Whether it is online stays as it is."""
        shelf = self._shelves.pop(account, None)
        if shelf is None:
            return
        if account in self._online:
            self._sources.decrement(shelf)
        for document in shelf:
            self._replace(document, tuple(copy for copy in self._copies[document] if copy.account != account))

    def set_online(self, account: int, online: bool) -> None:
        """Show or hide everything an account offers."""
        shelf = self._shelves.get(account, BitMap())
        if online and account not in self._online:
            self._online.add(account)
            self._sources.increment(shelf)
        elif not online and account in self._online:
            self._online.remove(account)
            self._sources.decrement(shelf)

    # --- finding ------------------------------------------------------------------------------------

    def search(self, query: SearchQuery, *, offset: int = 0, limit: int) -> Page:
        """At most `limit` of the documents that match. A page may be short and yet not be the last."""
        matches = self._facets.matches(query, self._sources.positive)
        named = self._facets.named(query, matches)
        if query.phrases:
            most_held = ranking.best(matches, named, self._sources, 0, TEXTS_READ)
            matches = BitMap([document for _, document in most_held])
        for phrase in query.phrases:
            matches = self._saying(phrase, matches)
        for phrase in query.excluded_phrases:
            suspects = self._facets.having(phrase.split(), matches)[:TEXTS_READ]
            matches = matches - self._saying(phrase, suspects)
        start = offset - offset % ranking.RANKED
        block = ranking.best(matches, named, self._sources, start, ranking.RANKED)
        ranked = sorted(
            (-points - ranking.closeness(query.typed, self._texts(document)), document)
            for points, document in block
        )
        chosen = ranked[offset - start :][:limit]
        reached = offset + len(chosen)
        return Page(
            total=len(matches),
            found=tuple(self._found(document) for _, document in chosen),
            next_offset=reached if chosen and reached < len(matches) else None,
        )

    def sources(self, file: FileId, *, asker: int, limit: int) -> tuple[int, tuple[Copy, ...]]:
        """How many people online hold this file, and copies of at most `limit` of them, chosen at random.

        The asker is none of them.
        """
        document = self._numbers.get(file)
        if document is None:
            return 0, ()

        def holds(account: int) -> bool:
            return account in self._online and document in self._shelves.get(account, ())

        dealt = self._dealer.deal(
            document,
            self._copies[document],
            limit,
            lambda account: account != asker and holds(account),
        )
        return self._sources[document] - holds(asker), dealt

    # --- inside: changing ---------------------------------------------------------------------------

    def _add(self, account: int, shelf: BitMap, entry: Entry) -> None:
        key = entry.file or (account, entry.offer)
        document = self._numbers.get(key)
        if document is None:
            document = self._new_document(key)
        copies = self._copies[document]
        path, text = entry.path, search_text(entry.path, entry.tags)
        for copy in copies[:NAMED_BY]:  # equal texts are kept once
            path = copy.path if copy.path == path else path
            text = copy.text if copy.text == text else text
        added = Copy(account, entry.offer, entry.partial, entry.size, entry.changed, path, entry.tags, text)
        self._replace(document, (*copies, added))
        shelf.add(document)

    def _remove(self, account: int, shelf: BitMap, gone: Gone) -> None:
        document = self._numbers[gone.file or (account, gone.offer)]
        copies = tuple(
            copy for copy in self._copies[document] if copy.offer != gone.offer or copy.account != account
        )
        if all(copy.account != account for copy in copies):  # one person may hold two copies
            shelf.remove(document)
        self._replace(document, copies)

    def _new_document(self, key: _Key) -> int:
        if self._free:
            document = self._free.pop()
            self._keys[document] = key
        else:
            document = len(self._keys)
            self._keys.append(key)
            self._copies.append(())
        self._numbers[key] = document
        return document

    def _replace(self, document: int, copies: _Copies) -> None:
        before, self._copies[document] = self._copies[document], copies
        if before[:NAMED_BY] != copies[:NAMED_BY]:
            self._facets.change(document, _facets(before), _facets(copies))
        if not copies:
            self._dealer.forget(document)
            del self._numbers[self._keys[document]]
            self._free.append(document)

    # --- inside: finding ----------------------------------------------------------------------------

    def _saying(self, phrase: str, among: BitMap) -> BitMap:
        """Those of `among` in one of whose texts the words of the phrase stand side by side."""
        words, found = f" {phrase} ", BitMap()
        for document in among:
            for text in self._texts(document):
                if words in text:
                    found.add(document)
                    break
        return found

    def _texts(self, document: int) -> Collection[str]:
        copies = self._copies[document]
        return (copies[0].text,) if len(copies) == 1 else {copy.text for copy in copies[:NAMED_BY]}

    def _found(self, document: int) -> Found:
        copies = self._online_copies(document, SOME_COPIES)
        path = _usual([copy.path for copy in copies])
        return Found(
            file=_file(self._keys[document]),
            path=path,
            size=_usual([copy.size for copy in copies]),
            changed=min((copy.changed for copy in copies if copy.changed), default=0),
            tags=_usual([copy.tags for copy in copies if copy.path == path]),
            sources=self._sources[document],
            some=copies,
        )

    def _online_copies(self, document: int, limit: int) -> _Copies:
        """One copy each of at most `limit` people online, chosen at random."""
        copies = self._copies[document]
        start = int(self._choose.random() * len(copies))
        chosen: dict[int, Copy] = {}
        for copy in itertools.chain(copies[start:], copies[:start]):
            if copy.account in self._online:
                chosen.setdefault(copy.account, copy)
                if len(chosen) == limit:
                    break
        return tuple(chosen.values())


def _facets(copies: _Copies) -> Facets:
    if not copies:
        return NO_FACETS
    copies = copies[:NAMED_BY]
    size = _usual([copy.size for copy in copies])
    return facets_of({copy.path for copy in copies}, {copy.text for copy in copies}, size)


def _usual(values: list[T]) -> T:
    """What most say, for some may lie. In a draw the greatest, so that the answer is always the same."""
    distinct = set(values)
    return values[0] if len(distinct) == 1 else max(distinct, key=lambda value: (values.count(value), value))


def _file(key: _Key) -> FileId | None:
    return None if isinstance(key, tuple) else key
