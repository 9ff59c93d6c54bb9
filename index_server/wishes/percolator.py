"""Which wishes an offer is about: search turned around. PURE.

A catalogue files documents under their words and holds a query against them. Here queries are filed, each
under the rarest word that it cannot do without, and there under the second rarest. An offer is held against
those that are filed under its own words, and so costs a few look-ups, however many wishes there are. A query
of alternatives is filed under a word of each. Equal queries are one: a thousand people may wait for the same
film.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from index_server.search.expression import AllOf, Expression, Word, fits, required_words
from index_server.wishes.matching import ANY_ENDING, Said, cover

QUERIES_PER_PLACE_MAX = 200  # each costs every offer that has both words up to a microsecond

_Place = tuple[str, str]  # the word that a query is filed under, and the second one or NO_WORD
NO_WORD = ""


class _Query:
    """What one or more wishes ask for."""

    __slots__ = ("places", "required", "wanted", "wishes", "words_say_all")

    def __init__(self, wanted: Expression) -> None:
        self.wanted = wanted
        self.required = required_words(wanted)
        self.words_say_all = isinstance(wanted, Word) or (
            isinstance(wanted, AllOf) and all(isinstance(part, Word) for part in wanted.of)
        )
        self.places: tuple[_Place, ...] = ()
        self.wishes: tuple[int, ...] = ()

    def fits(self, said: Said) -> bool:
        # Most are turned away by the first test, and most of the others ask for words alone.
        return self.required <= said.words and (self.words_say_all or fits(self.wanted, said))


class Percolator:
    """Wishes are numbers here; what they stand for is the business of `wishes.py`."""

    def __init__(self, frequency: Callable[[str], int]) -> None:
        """`frequency` says how many files have a word, as far as is known."""
        self._frequency = frequency
        self._queries: dict[Expression, _Query] = {}
        self._by_wish: dict[int, _Query] = {}
        self._filed: dict[str, dict[str, tuple[_Query, ...]]] = {}
        self._beginnings: Counter[int] = Counter()  # lengths of the beginnings of words that are filed under

    def __len__(self) -> int:
        return len(self._by_wish)

    def has_room(self, wanted: Expression) -> bool:
        """Whether one more wish for this costs no more than it may."""
        return wanted in self._queries or all(
            len(self._filed.get(word, {}).get(second, ())) < QUERIES_PER_PLACE_MAX
            for word, second in self._places_for(_Query(wanted))
        )

    def add(self, wish: int, wanted: Expression) -> None:
        """From now on an offer can be about this wish. There must be a `cover` for it."""
        query = self._queries.get(wanted)
        if query is None:
            query = self._queries[wanted] = _Query(wanted)
            self._file(query, self._places_for(query))
        query.wishes = (*query.wishes, wish)
        self._by_wish[wish] = query

    def remove(self, wish: int) -> None:
        """It is no wish any more; no error if it is none already."""
        query = self._by_wish.pop(wish, None)
        if query is None:
            return
        query.wishes = tuple(each for each in query.wishes if each != wish)
        if not query.wishes:
            self._unfile(query)
            del self._queries[query.wanted]

    def refile(self, wish: int) -> None:
        """File its query anew, by what is known of words now."""
        query = self._by_wish[wish]
        better = self._places_for(query)
        if better != query.places:
            self._unfile(query)
            self._file(query, better)

    def matching(self, said: Said) -> Iterator[int]:
        """The wishes that this offer is about, each once."""
        found: dict[_Query, None] = {}  # one of alternatives may be met under several words
        filed, seconds = self._filed, said.words | {NO_WORD}
        for word in filed.keys() & self._keys(said):
            under = filed[word]
            few = under if len(under) < len(seconds) else under.keys() & seconds
            for second in few:
                if second in seconds:
                    for query in under[second]:
                        if query.fits(said):
                            found[query] = None
        for query in found:
            yield from query.wishes

    def _keys(self, said: Said) -> frozenset[str]:
        """Everything that a query about this offer can be filed under."""
        if not self._beginnings:
            return said.words
        return said.words.union(
            word[:length] + ANY_ENDING
            for word in said.words
            for length in self._beginnings
            if len(word) >= length
        )

    def _places_for(self, query: _Query) -> tuple[_Place, ...]:
        """Where to file it, so that it is rarely looked at in vain."""
        places: list[_Place] = []
        for word in cover(query.wanted, self._cost):
            under = self._filed.get(word, {})
            others = sorted(query.required - {word}, key=self._cost) or [NO_WORD]
            free = (other for other in others if len(under.get(other, ())) < QUERIES_PER_PLACE_MAX)
            places.append((word, next(free, others[0])))
        return tuple(places)

    def _cost(self, word: str) -> float:
        """How often something is looked at in vain that is filed under this word."""
        if word.endswith(ANY_ENDING):
            return 1e6 / len(word)  # nobody counts these: about as often as a very common word
        return self._frequency(word) + 1 / len(word)  # of two that nobody has, the longer one is rarer

    def _file(self, query: _Query, places: tuple[_Place, ...]) -> None:
        query.places = places
        for word, second in places:
            under = self._filed.setdefault(word, {})
            under[second] = (*under.get(second, ()), query)
            if word.endswith(ANY_ENDING):
                self._beginnings[len(word) - len(ANY_ENDING)] += 1

    def _unfile(self, query: _Query) -> None:
        for word, second in query.places:
            under = self._filed[word]
            under[second] = tuple(each for each in under[second] if each is not query)
            if not under[second]:
                del under[second]
            if not under:
                del self._filed[word]
            if word.endswith(ANY_ENDING):
                self._beginnings[len(word) - len(ANY_ENDING)] -= 1
                self._beginnings = +self._beginnings  # what is counted no more is gone
