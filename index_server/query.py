"""The query language: what a person types, and what it means to the catalogue. PURE.

    query   = *( term / space )
    term    = ["-"] ( phrase / token )
    phrase  = DQUOTE *any-but-DQUOTE ( DQUOTE / end )
    token   = 1*any-but-space-and-DQUOTE

Terms are folded by `names.search_words`. A term that folds to one word must occur. One that folds to several
words, be it quoted or a token with punctuation inside such as `wu-tang` or `song.mp3`, must occur as these
words side by side. `-` at the start of a term, with a quote, letter or digit right behind it, excludes;
elsewhere it is punctuation. A term that folds to nothing, such as `&`, is skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from p2pshare import limits
from p2pshare.errors import Reason, Refused
from p2pshare.kinds import FileKind
from p2pshare.names import search_words
from p2pshare.wire.index import Search

_TERM = re.compile(r'(?P<minus>-(?=["\w]))?(?:"(?P<phrase>[^"]*)"?|(?P<token>[^\s"]+))')


@dataclass(frozen=True)
class SearchQuery:
    """A search as the catalogue takes it. Words and phrases are folded, each stands once."""

    words: tuple[str, ...]
    """All must occur: the single words, and every word of a phrase."""
    phrases: tuple[str, ...] = ()
    """Words joined by one space; they must occur side by side."""
    excluded_words: tuple[str, ...] = ()
    excluded_phrases: tuple[str, ...] = ()
    typed: str = ""
    """The wanted words in the order they were typed, joined by a space: a name of just these is the best."""
    kinds: frozenset[FileKind] = frozenset()
    """Only these; empty for all."""
    extensions: frozenset[str] = frozenset()
    """Only these, in lower case; empty for all."""
    size_min: int = 0
    size_max: int = limits.FILE_BYTES_MAX


def parse_search_untrusted(search: Search) -> SearchQuery:
    """Raises `Refused(BAD_QUERY)` with a sentence that helps, and nothing else."""
    wanted: list[list[str]] = []
    excluded: list[list[str]] = []
    for term in _TERM.finditer(search.query):
        words = search_words(term["token"] if term["phrase"] is None else term["phrase"])
        if words:
            (excluded if term["minus"] else wanted).append(words)
    if not wanted:
        # A filter alone would list everything of a kind, in no useful order.
        raise _bad(
            "Type at least one word to search for. Filters and -exclusions only narrow its results down."
        )
    if len(wanted) + len(excluded) > limits.QUERY_WORDS_MAX:
        raise _bad(f"A query has at most {limits.QUERY_WORDS_MAX} words and phrases. Leave some out.")
    if search.size_min > search.size_max:
        raise _bad("The least size is greater than the greatest. Swap the two.")
    extensions = frozenset(extension.lower() for extension in search.extensions)
    if not all(extension.isalnum() for extension in extensions):
        raise _bad("An extension has letters and digits only, as in mp3.")
    typed = [word for words in wanted for word in words]
    return SearchQuery(
        words=_unique(typed),
        phrases=_unique(" ".join(words) for words in wanted if len(words) > 1),
        excluded_words=_unique(words[0] for words in excluded if len(words) == 1),
        excluded_phrases=_unique(" ".join(words) for words in excluded if len(words) > 1),
        typed=" ".join(typed),
        kinds=frozenset(search.kinds),
        extensions=extensions,
        size_min=search.size_min,
        size_max=search.size_max,
    )


def _unique(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))


def _bad(text: str) -> Refused:
    return Refused(Reason.BAD_QUERY, text)
