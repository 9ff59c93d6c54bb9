"""A query held against all documents at once. PURE.

Bitmaps answer almost everything. They do not know the order of words: for a phrase, the texts of documents
that have all of its words are read, at most TEXTS_READ for one search, of those that most people hold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from pyroaring import BitMap

from index_server.search import ranking
from index_server.search.expression import (
    AllOf,
    AnyOf,
    Expression,
    FreeNow,
    HeldBy,
    Lossless,
    Not,
    Number,
    OfKind,
    Phrase,
    Prefix,
    WithExtension,
    Within,
    Word,
)
from index_server.search.facets import FacetIndex
from index_server.search.holders import Holders

TEXTS_READ = 1_000  # some 1.5 ms

People = Mapping[str, Collection[int]]
"""The accounts of those who are named in `HeldBy`."""
NOBODY: People = {}


class Matcher:
    """For one search."""

    def __init__(
        self,
        facets: FacetIndex,
        holders: Holders,
        texts: Callable[[int], Iterable[str]],
        people: People = NOBODY,
    ) -> None:
        self._facets = facets
        self._holders = holders
        self._texts = texts
        self._people = people
        self._texts_left = TEXTS_READ

    def among(self, wanted: Expression, documents: BitMap) -> BitMap:
        """Those of the documents that are wanted. The result is not to be changed."""
        facets, holders = self._facets, self._holders
        match wanted:
            case Word(word):
                return facets.having((word,), documents)
            case Prefix(start):
                return facets.having_any(facets.vocabulary.beginning(start), documents)
            case Phrase(words):
                return self._saying(words, facets.having(words.split(), documents))
            case OfKind(kinds):
                return facets.of_kind(kinds, documents)
            case WithExtension(extensions):
                return facets.with_extension(extensions, documents)
            case Within(number, low, high):
                numbers = holders.sources if number is Number.SOURCES else facets.numbers[number]
                return numbers.within(low, high, documents)
            case Lossless():
                return facets.lossless(documents)
            case FreeNow():
                return documents & holders.free.positive
            case HeldBy(whom):
                return documents & holders.held_by(self._people.get(whom, ()))
            case Not(of):
                return documents - self.among(of, documents)
            case AllOf(parts):
                for part in sorted(parts, key=self._cost):
                    documents = self.among(part, documents)
                    if not documents:
                        break
                return documents
            case AnyOf(parts):
                return BitMap().union(*(self.among(part, documents) for part in parts))

    def named(self, wanted: Expression, matches: BitMap) -> BitMap:
        """Those of the matches that have in their names all words that are needed."""
        facets = self._facets
        match wanted:
            case Word(word):
                return facets.named((word,), matches)
            case Phrase(words):
                return facets.named(words.split(), matches)
            case Prefix(start):
                return facets.having_any(facets.vocabulary.beginning(start), matches, named=True)
            case AllOf(parts):
                for part in sorted(parts, key=self._cost):
                    matches = self.named(part, matches)
                return matches
            case AnyOf(parts):
                return BitMap().union(*(self.named(part, matches) for part in parts))
            case _:  # a filter or an exclusion, which all matches pass
                return matches

    def _cost(self, part: Expression) -> tuple[int, int]:
        """What narrows down most for least comes first."""
        match part:
            case Word(word):
                return 0, self._facets.frequency(word)
            case HeldBy():
                return 1, 0
            case Prefix():
                return 2, 0
            case OfKind() | WithExtension() | Lossless() | FreeNow():
                return 3, 0
            case AllOf() | AnyOf():
                return 4, 0
            case Within():
                return 5, 0
            case Not():
                return 6, 0
            case Phrase(words):
                return 7, min(map(self._facets.frequency, words.split()))

    def _saying(self, phrase: str, among: BitMap) -> BitMap:
        """Those of `among` in one of whose texts the words of the phrase stand side by side."""
        words, found = f" {phrase} ", BitMap()
        if len(among) > self._texts_left:
            named = self._facets.named(phrase.split(), among)
            along = ranking.bands(among, named, self._holders.sources)
            among = BitMap([place.document for place in ranking.block(along, self._texts_left)])
        self._texts_left -= len(among)
        for document in among:
            for text in self._texts(document):
                if words in text:
                    found.add(document)
                    break
        return found
