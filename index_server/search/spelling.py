"""Did you mean: a query spelt otherwise that finds more. PURE.

Only words that few documents have may be wrong. Each is replaced by words of the catalogue that are nearly
the same, or that begin with it, and what finds most is suggested, so a suggestion never leads nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from index_server.search.query import SearchQuery, Spelt, parse_search_untrusted
from index_server.search.vocabulary import SPELT_CHARS_MIN, Vocabulary
from p2pshare.errors import Refused
from p2pshare.limits import QUERY_BYTES_MAX
from p2pshare.wire.index import Search

RARE = 3  # a word that so few documents have may be a slip of somebody else
SUSPECTS_MAX = 2  # words of one query that are looked at: one costs up to a millisecond
BEGUN_SLIPS = 2  # a word broken off is as likely meant as one two slips away
TRIED_MAX = 4  # others for each of them


def better_spelt(
    search: Search,
    vocabulary: Vocabulary,
    frequency: Callable[[str], int],
    count: Callable[[SearchQuery], int],
    more_than: int,
) -> str:
    """The query that finds most, if that is more than so many; else empty.

    `frequency`: how many documents have a word. `count`: how many a query finds.
    """
    best, most = "", more_than
    text = search.query
    for _ in range(SUSPECTS_MAX):
        suspects = _suspects(replace(search, query=text), frequency)
        if not suspects:
            break
        spelt, word = suspects[0]
        tried = [_put(text, spelt, word, other) for other in _others(word, vocabulary, frequency)]
        found = [(_count(search, other, count), other) for other in tried]
        if not found:
            break
        finds, text = max(found, key=lambda each: each[0])  # of equal ones the nearest
        if finds > most:
            best, most = text, finds
    return best


def _suspects(search: Search, frequency: Callable[[str], int]) -> list[tuple[Spelt, str]]:
    """The rarest first; of equal ones, and that is mostly those that nobody has, the longest."""
    suspects = [
        (spelt, word)
        for spelt in parse_search_untrusted(search).spelt
        for word in spelt.words
        if len(word) >= SPELT_CHARS_MIN and frequency(word) <= RARE
    ]
    return sorted(suspects, key=lambda suspect: (frequency(suspect[1]), -len(suspect[1])))


def _others(word: str, vocabulary: Vocabulary, frequency: Callable[[str], int]) -> list[str]:
    more = frequency(word)
    alike = [
        (slips, -often, other)
        for slips, other in vocabulary.alike(word)
        if (often := frequency(other)) > more
    ]
    begun = [
        (BEGUN_SLIPS, -often, other)
        for other in vocabulary.beginning(word)
        if (often := frequency(other)) > more and other != word
    ]
    nearest = sorted(alike + begun)
    return list(dict.fromkeys(other for _, _, other in nearest))[:TRIED_MAX]


def _put(text: str, spelt: Spelt, word: str, other: str) -> str:
    words = " ".join(other if each == word else each for each in spelt.words)
    return text[: spelt.start] + (f'"{words}"' if len(spelt.words) > 1 else words) + text[spelt.end :]


def _count(search: Search, text: str, count: Callable[[SearchQuery], int]) -> int:
    if len(text.encode()) > QUERY_BYTES_MAX:
        return 0
    try:
        return count(parse_search_untrusted(replace(search, query=text)))
    except Refused:
        return 0
