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
from collections import defaultdict
from collections.abc import Container, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pyroaring import BitMap

from index_server.rules import suspicion
from index_server.search import ranking, snapshot
from index_server.search.copies import NAMED_BY as NAMED_BY
from index_server.search.copies import Copy as Copy
from index_server.search.deal import Dealer
from index_server.search.documents import Changes, Documents, Key, note
from index_server.search.documents import Gone as Gone
from index_server.search.doubtful import Doubtful, Standing
from index_server.search.entry import Entry
from index_server.search.expression import CONTACTS, Expression
from index_server.search.facets import NO_FACETS, FacetIndex, facets_of
from index_server.search.found import Found as Found
from index_server.search.found import Presenter
from index_server.search.holders import Holders
from index_server.search.matcher import NOBODY, Matcher, People
from index_server.search.paging import Picked, Rank, Ranked, by_number, by_relevance
from index_server.search.query import SearchQuery
from index_server.search.ranking import Place
from index_server.search.spelling import better_spelt
from index_server.search.veil import Veil
from p2pshare.hashing import FileId
from p2pshare.kinds import FileKind
from p2pshare.wire.fields import NO_FACET_COUNTS, FacetCounts, SortBy, SpeedClass
from p2pshare.wire.index import Search

_NOTHING = BitMap()
LOADED = 2_000  # documents put on the shelves of their holders at once: some 2 ms
SHELVED = 200  # shelves made at once


@dataclass(frozen=True, slots=True)
class Page:
    """Part of an answer, best first."""

    total: int
    """How many documents match. If a phrase is asked for, at most `matcher.TEXTS_READ`."""
    found: tuple[Found, ...]
    facets: FacetCounts
    """Of all that match; empty on a page that is not the first."""
    hidden: int
    """How many more match, and are hidden by the server's rules."""


class Catalogue:
    """Accounts are small numbers; their offers are `Entry`s."""

    def __init__(self, choose: random.Random) -> None:
        self._choose = choose
        self._dealer = Dealer(choose)
        self._documents = Documents()
        self._holders = Holders()
        self._facets = FacetIndex()
        self._presenter = Presenter(self._documents, self._holders, choose)
        self._veil = Veil()
        self._hidden: tuple[frozenset[str], frozenset[FileId]] = frozenset(), frozenset()
        self._doubtful = Doubtful(self._documents, self._holders)

    def __len__(self) -> int:
        """How many documents there are, whether anybody who holds them is online or not."""
        return len(self._documents)

    def kinds(self) -> dict[FileKind, int]:
        """How many documents there are of each kind."""
        return self._facets.kinds()

    def frequency(self, word: str) -> int:
        """How many documents have a word, about."""
        return self._facets.frequency(word)

    # --- what people offer --------------------------------------------------------------------------

    def publish(self, account: int, removed: Iterable[Gone], added: Iterable[Entry]) -> None:
        """Change what an account offers: first the removals, then the additions."""
        changes: Changes = {}
        left = self._documents.remove_each(account, removed, changes)
        joined = self._documents.add_all(account, added, changes)
        shelf = self._holders.shelves.get(account, _NOTHING)
        self._put_on_shelf(account, shelf, shelf - BitMap(left) | BitMap(joined))
        self._look_at(changes)

    def drop(self, account: int, most: int | None = None) -> bool:
        """Forget what an account offers, or `most` of its files; returns whether there is more. Whether it is
        online stays as it is."""
        changes: Changes = {}
        shelf = self._holders.shelves.get(account, _NOTHING)
        going = shelf[:most]
        for document in going:
            change = self._documents.remove_all(document, account)
            if change is not None:
                note(changes, document, change)
        self._put_on_shelf(account, shelf, shelf - going)
        self._look_at(changes)
        return len(going) < len(shelf)

    def tidy(self, most: int) -> bool:
        """Forget at most so many of the files that nobody offers any more; returns whether there is more.

        They are found by no search. Until they are forgotten, coming back costs them next to nothing.
        """
        changes: Changes = {}
        self._documents.tidy(most, changes)
        self._look_at(changes)
        return bool(self._documents.left)

    def set_online(self, account: int, online: bool) -> None:
        """Show or hide everything an account offers."""
        self._holders.set_online(account, online)

    def set_free(self, account: int, free: bool) -> None:
        """Somebody online says whether a slot is free."""
        self._holders.set_free(account, free)

    def set_speed(self, account: int, speed: SpeedClass) -> None:
        """So fast somebody has given to others."""
        self._holders.set_speed(account, speed)

    def speed_of(self, account: int) -> SpeedClass:
        return self._holders.speed_of(account)

    def hide(self, words: frozenset[str], files: frozenset[FileId]) -> None:
        """From now on no search finds these files, nor what has one of these words."""
        self._hidden = words, files
        self._veil.replace(words, files, self._facets.saying, self._documents.numbers.get)

    # --- finding ------------------------------------------------------------------------------------

    def search(
        self,
        query: SearchQuery,
        *,
        people: People = NOBODY,
        sort: SortBy = SortBy.RELEVANCE,
        cursor: bytes = b"",
        limit: int,
        newcomers: Container[int] = (),
    ) -> Page:
        """At most `limit` of the documents that match. A page may be short and yet not be the last.

        `newcomers` are accounts that offer more than one believes (see suspicion.py). Raises
        `Refused(BAD_QUERY)` if the cursor is wrong.
        """
        matcher = self._matcher(people)
        matches = matcher.among(query.wanted, self._holders.sources.positive)
        hidden = matches.intersection_cardinality(self._veil.documents)
        if hidden:
            matches = matches - self._veil.documents
        if sort is SortBy.RELEVANCE:
            along = ranking.bands(matches, matcher.named(query.wanted, matches), self._holders.sources)
            picked = by_relevance(along, self._ranking(query.typed, newcomers), cursor, limit)
        else:
            picked = by_number(matches, sort, self._facets, self._holders, cursor, limit)
        contacts = people.get(CONTACTS, ())
        return Page(
            total=len(matches),
            found=self._presenter.show(picked, contacts),
            facets=NO_FACET_COUNTS if cursor else self._facets.counts(matches),
            hidden=hidden,
        )

    def suggest(self, search: Search, *, people: People = NOBODY, more_than: int) -> str:
        """The query spelt so that it finds more; empty if nothing helps. It was parsed before."""

        def count(query: SearchQuery) -> int:
            return len(self._matcher(people).among(query.wanted, self._holders.sources.positive))

        return better_spelt(search, self._facets.vocabulary, self._facets.frequency, count, more_than)

    def standing(self, key: FileId | tuple[int, int]) -> Standing | None:
        """What is known of a file, or of an offer that is not hashed; None if nobody online has it."""
        document = self._documents.numbers.get(key)
        if document is None:
            return None
        return self._doubtful.standing(document, hidden=document in self._veil.documents)

    def show(self, key: Key) -> Found | None:
        """One document as a search shows it; None if no search can find it now."""
        document = self._documents.numbers.get(key)
        if document is None or document in self._veil.documents:
            return None
        if document not in self._holders.sources.positive:
            return None
        return self._presenter.show([Picked(document, 0, b"")], ())[0]

    def anywhere(self, wanted: Expression, limit: int) -> list[tuple[FileId | None, Copy]]:
        """Some of the documents that are wanted, whether anybody who holds them is online or not: the file
        and one copy of each."""
        everything = BitMap(range(len(self._documents.keys))) - BitMap([*self._documents.left])
        matches = self._matcher(NOBODY).among(wanted, everything) - self._veil.documents
        return [
            (self._documents.file(document), next(self._documents.from_copy(document, 0)))
            for document in matches[:limit]
        ]

    def sources(self, file: FileId, *, asker: int, limit: int) -> tuple[int, tuple[Copy, ...]]:
        """How many people online hold this file, and copies of at most `limit` of them, chosen at random.

        The asker is none of them.
        """
        document = self._documents.numbers.get(file)
        if document is None:
            return 0, ()

        def holds(account: int) -> bool:
            return self._holders.holds(account, document)

        dealt = self._dealer.deal(
            document,
            self._documents.count(document),
            lambda: self._documents.holders(document),
            limit,
            lambda account: account != asker and holds(account),
        )
        copies = tuple([self._documents.copy_of(document, account) for account in dealt])
        return self._holders.sources[document] - holds(asker), copies

    # --- a snapshot ---------------------------------------------------------------------------------

    def save(self) -> Generator[bytes, None, bytes]:
        """What is offered, in pieces. It may change between two: what counts is when the last is returned."""
        return snapshot.save(self._documents, self._facets)

    def load(self, last: bytes, others: Iterable[bytes]) -> Iterator[None]:
        """Take what `save` made, the last piece first, and yield every few milliseconds.

        The catalogue must be empty, and nobody may publish meanwhile. People may come and go.
        """
        documents, shelves = self._documents, defaultdict[int, list[int]](list)
        for anew in snapshot.load(documents, self._facets, last, others):
            self._look_at({document: (None, documents.said(document)) for document in anew})
            yield
        for document in range(len(documents.keys)):
            for account in documents.accounts(document):
                shelves[account].append(document)
            if len(documents.names[document]) > 1:
                self._doubtful.look({document: (None, documents.said(document))})
            if document % LOADED == 0:
                yield
        for number, (account, shelf) in enumerate(shelves.items()):
            self._put_on_shelf(account, _NOTHING, BitMap(shelf))
            if number % SHELVED == 0:
                yield
        self.hide(*self._hidden)

    def accounts(self) -> list[int]:
        """Everybody who offers something."""
        return [*self._holders.shelves]

    # --- inside: changing ---------------------------------------------------------------------------

    def _put_on_shelf(self, account: int, before: BitMap, after: BitMap) -> None:
        self._holders.changed(account, before - after, after - before)
        if after:
            self._holders.shelves[account] = after
        else:
            self._holders.shelves.pop(account, None)

    def _look_at(self, changes: Changes) -> None:
        """What documents are found by has changed."""
        after = [NO_FACETS if said is None else facets_of(*said) for _, said in changes.values()]
        before = [NO_FACETS if said is None else facets_of(*said) for said, _ in changes.values()]
        self._facets.change([*changes], before, after)
        if any(self._hidden):
            for (document, (_, said)), facets in zip(changes.items(), after, strict=True):
                file = self._documents.file(document) if said else None
                self._veil.look(document, file, itertools.chain(facets.in_name, facets.elsewhere))
        for document, (_, said) in changes.items():
            if said is None:
                self._dealer.forget(document)
        self._doubtful.look(changes)

    # --- inside: finding ----------------------------------------------------------------------------

    def _matcher(self, people: People) -> Matcher:
        return Matcher(self._facets, self._holders, self._documents.texts, people)

    def _ranking(self, typed: str, newcomers: Container[int]) -> Rank:
        def rank(places: Sequence[Place]) -> list[Ranked]:
            documents = [place[2] for place in places]
            close = ranking.closeness(typed, map(self._documents.texts, documents))
            costs = [(place[0] - points, place[2]) for place, points in zip(places, close, strict=True)]
            doubts = self._doubtful.among(documents, newcomers)
            return suspicion.ranked_down(costs, doubts, self._documents.only_holder)

        return rank
