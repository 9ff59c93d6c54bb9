"""The query language: what a person types, and what it means to the catalogue. PURE.

    query   = any
    any     = all *( ("OR" / "|") all )
    all     = *( ["-"] ( group / filter / phrase / token ) )
    group   = "(" any ( ")" / end )
    filter  = key ":" *any-but-space-and-DQUOTE                                           see terms.py
    phrase  = DQUOTE *any-but-DQUOTE ( DQUOTE / end )
    token   = 1*any-but-space-and-DQUOTE

Phrases and tokens are folded by `names.search_words`. One that folds to one word must occur. One that folds
to several words, be it quoted or a token with punctuation inside such as `wu-tang` or `song.mp3`, must occur
as these words side by side. A token that ends in `*`, with at least PREFIX_CHARS_MIN characters in its last
word, stands for all words that begin so. `-` at the start, with a quote, parenthesis, letter or digit right
behind it, excludes. A term that folds to nothing, such as `&`, is skipped, and so is an OR with nothing
before or behind it. `(` groups where a term could begin, and `)` where a group is open; elsewhere all of
these are punctuation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from index_server.search.expression import (
    CONTACTS,
    NO_LIMIT,
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
    Word,
)
from index_server.search.terms import KEYS, filter_untrusted, with_extension_untrusted, within_untrusted
from p2pshare import limits
from p2pshare.errors import Reason, Refused
from p2pshare.names import search_words
from p2pshare.wire.fields import NO_FILTERS, Filters
from p2pshare.wire.index import Search

PREFIX_CHARS_MIN = 2  # one letter begins too many words to say anything
GROUPS_DEEP_MAX = 8

_PATTERN = (
    r'(?P<minus>-(?=["\w(]))?(?:'
    r"(?P<open>\()|"
    r'"(?P<phrase>[^"]*)"?|'
    rf'(?i:(?P<key>{"|".join(KEYS)})):(?P<value>[^\s"%s]*)|'
    r'(?P<token>[^\s"%s]+))'
)
_TERM = re.compile(_PATTERN % ("", ""))
_TERM_IN_GROUP = re.compile(r"(?P<close>\))|" + _PATTERN % (")", ")"))
_SPACE = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Spelt:
    """Wanted words as they stand in a query, so that they can be replaced there."""

    words: tuple[str, ...]
    """Folded."""
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A search as the catalogue takes it."""

    wanted: Expression
    """Everything that must hold, filters included."""
    typed: str = ""
    """The wanted words in the order they were typed, joined by a space: a name of just these is the best.
    Empty if there are alternatives or beginnings of words among them."""
    people: frozenset[str] = frozenset()
    """Who is named in `HeldBy`, but for CONTACTS."""
    spelt: tuple[Spelt, ...] = field(default=(), compare=False)
    """The wanted words, in order."""


def parse_search_untrusted(search: Search) -> SearchQuery:
    """Raises `Refused(BAD_QUERY)` with a sentence that helps, and nothing else."""
    parser = _Parser(search.query)
    typed = parser.any_of(0)
    if typed is None or not parser.is_narrow:
        # A filter alone would list everything of a kind, in no useful order.
        raise _bad(
            "Type at least one word to search for, or name a person as in `from:alice`."
            " Filters and -exclusions only narrow results down."
        )
    if parser.terms > limits.QUERY_WORDS_MAX:
        raise _bad(
            f"A query has at most {limits.QUERY_WORDS_MAX} words, phrases and filters. Leave some out."
        )
    parts = (typed, *_wanted_by(search.filters))
    wanted = parts[0] if len(parts) == 1 else AllOf(parts)
    spelt = tuple(parser.spelt)
    return SearchQuery(
        wanted=wanted,
        typed=" ".join(word for each in spelt for word in each.words) if parser.is_plain else "",
        people=frozenset(parser.people),
        spelt=spelt,
    )


class _Parser:
    """Goes through a query once, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.terms = 0
        self.spelt: list[Spelt] = []
        self.people: set[str] = set()
        self.is_plain = True
        """No alternatives or beginnings of words are wanted so far."""
        self.is_narrow = False
        """Something is wanted that not half of the catalogue has."""
        self._excluded = 0  # how many exclusions the place is inside of

    def any_of(self, depth: int) -> Expression | None:
        """Up to the end of the group; None if nothing is in it."""
        if depth > GROUPS_DEEP_MAX:
            raise _bad(f"Parentheses stand at most {GROUPS_DEEP_MAX} deep. Leave some out.")
        alternatives: list[list[Expression]] = [[]]
        while (term := self._next(depth)) is not None:
            groups = term.groupdict()
            if groups.get("close"):
                break
            if groups["token"] in ("OR", "|") and not groups["minus"]:
                if alternatives[-1]:
                    alternatives.append([])
                continue
            self._excluded += bool(groups["minus"])
            part = self._part(term, depth)
            self._excluded -= bool(groups["minus"])
            if part is not None:
                alternatives[-1].append(Not(part) if groups["minus"] else part)
        joined = [_joined(parts) for parts in alternatives if parts]
        if len(joined) > 1:
            self.is_plain = self.is_plain and self._excluded > 0
            return AnyOf(tuple(joined))
        return joined[0] if joined else None

    def _next(self, depth: int) -> re.Match[str] | None:
        space = _SPACE.match(self._text, self._at)
        assert space is not None  # it matches nothing, too
        term = (_TERM_IN_GROUP if depth else _TERM).match(self._text, space.end())
        if term is not None:
            self._at = term.end()
        return term

    def _part(self, term: re.Match[str], depth: int) -> Expression | None:
        if term["open"]:
            return self.any_of(depth + 1)
        if term["key"]:
            return self._filter(term["key"].lower(), term["value"])
        text = term["token"] if term["phrase"] is None else term["phrase"]
        words = search_words(text)
        if not words:
            return None
        self.terms += 1
        self.is_narrow = self.is_narrow or not self._excluded
        if term["phrase"] is None and text.endswith("*") and len(words[-1]) >= PREFIX_CHARS_MIN:
            self.is_plain = False
            return _joined([*map(Word, words[:-1]), Prefix(words[-1])])
        if not self._excluded:
            start = term.end("minus") if term["minus"] else term.start()
            self.spelt.append(Spelt(tuple(words), start, term.end()))
        return Word(words[0]) if len(words) == 1 else Phrase(" ".join(words))

    def _filter(self, key: str, value: str) -> Expression:
        self.terms += 1
        asked = filter_untrusted(key, value)
        if isinstance(asked, HeldBy):
            self.is_narrow = self.is_narrow or not self._excluded
            if asked.whom != CONTACTS:
                self.people.add(asked.whom)
        return asked


def _joined(parts: list[Expression]) -> Expression:
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def _wanted_by(filters: Filters) -> list[Expression]:
    """What the fields of a search ask for. Raises `Refused(BAD_QUERY)`."""
    wanted: list[Expression] = []
    if filters.kinds:
        wanted.append(OfKind(frozenset(filters.kinds)))
    if filters.extensions:
        wanted.append(with_extension_untrusted(list(filters.extensions)))
    none = NO_FILTERS
    spans = (
        (Number.SIZE, filters.size_min, filters.size_max, none.size_max),
        (Number.LENGTH, filters.length_min_s, filters.length_max_s, none.length_max_s),
        (Number.BITRATE, filters.bitrate_min_kbps, filters.bitrate_max_kbps, none.bitrate_max_kbps),
        (Number.YEAR, filters.year_min, filters.year_max, none.year_max),
        (Number.SOURCES, filters.sources_min, NO_LIMIT, NO_LIMIT),
    )
    for number, low, high, highest in spans:
        if low > 0 or high < highest:
            wanted.append(within_untrusted(number, low, high))
    if filters.lossless:
        wanted.append(Lossless())
    if filters.free:
        wanted.append(FreeNow())
    return wanted


def _bad(text: str) -> Refused:
    return Refused(Reason.BAD_QUERY, text)
