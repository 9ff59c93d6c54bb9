"""What documents say, turned around: the documents that have a word, kind, extension or size. PURE.

A document is a number here; what it stands for is the business of catalogue.py.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from pyroaring import BitMap

from index_server.bitslices import BitSlices
from index_server.query import SearchQuery
from p2pshare import limits
from p2pshare.kinds import FileKind, extension_of, kind_of

K = TypeVar("K", bound=Hashable)
_NONE = BitMap()


@dataclass(frozen=True)
class Facets:
    """What one document can be found and filtered by."""

    in_name: frozenset[str] = frozenset()
    """Words of its file names."""
    elsewhere: frozenset[str] = frozenset()
    """Words of folders and tags."""
    kinds: frozenset[FileKind] = frozenset()
    extensions: frozenset[str] = frozenset()
    size: int = 0


NO_FACETS = Facets()


def facets_of(paths: Iterable[str], texts: Iterable[str], size: int) -> Facets:
    """The facets of a document that has these paths and search texts (see entry.py), each named once."""
    in_name: set[str] = set()
    elsewhere: set[str] = set()
    for text in texts:
        name, _, rest = text.partition("\n")
        in_name.update(name.split())
        elsewhere.update(rest.split())
    extensions = {extension_of(path) for path in paths}
    kinds = frozenset(kind_of(f"_.{extension}") for extension in extensions)
    return Facets(frozenset(in_name), frozenset(elsewhere), kinds, frozenset(extensions), size)


class FacetIndex:
    """Bitmaps of documents by facet."""

    def __init__(self) -> None:
        self._in_name: dict[str, BitMap] = {}
        self._elsewhere: dict[str, BitMap] = {}
        self._kinds: dict[FileKind, BitMap] = {}
        self._extensions: dict[str, BitMap] = {}
        self._sizes = BitSlices()

    def change(self, document: int, before: Facets, after: Facets) -> None:
        """The document said `before` and says `after` now."""
        _move(self._in_name, document, before.in_name, after.in_name)
        _move(self._elsewhere, document, before.elsewhere, after.elsewhere)
        _move(self._kinds, document, before.kinds, after.kinds)
        _move(self._extensions, document, before.extensions, after.extensions)
        self._sizes.change(document, before.size, after.size)

    def matches(self, query: SearchQuery, among: BitMap) -> BitMap:
        """Those of `among` that have every word and filter of the query, and no excluded word.

        Phrases are not looked at: bitmaps do not know the order of words.
        """
        found = self.having(query.words, among)
        for word in query.excluded_words:
            found = found - self._in_name.get(word, _NONE) - self._elsewhere.get(word, _NONE)
        if query.kinds:
            found = found & _any_of(self._kinds, query.kinds)
        if query.extensions:
            found = found & _any_of(self._extensions, query.extensions)
        if query.size_min > 0:
            found = self._sizes.at_least(query.size_min, found)
        if query.size_max < limits.FILE_BYTES_MAX:
            found = found - self._sizes.at_least(query.size_max + 1, found)
        return found

    def having(self, words: Iterable[str], among: BitMap) -> BitMap:
        """Those of `among` that have all the words, wherever."""
        for word in sorted(words, key=self._frequency):  # the rarest first: what follows is cheap then
            among = among & self._in_name.get(word, _NONE) | among & self._elsewhere.get(word, _NONE)
        return among

    def named(self, query: SearchQuery, among: BitMap) -> BitMap:
        """Those of `among` that have every word of the query in their file names."""
        for word in query.words:
            among = among & self._in_name.get(word, _NONE)
        return among

    def _frequency(self, word: str) -> int:
        return len(self._in_name.get(word, _NONE)) + len(self._elsewhere.get(word, _NONE))


def _move(bitmaps: dict[K, BitMap], document: int, before: Collection[K], after: Collection[K]) -> None:
    for key in before:
        if key not in after:
            bitmaps[key].remove(document)
            if not bitmaps[key]:
                del bitmaps[key]
    for key in after:
        if key not in before:
            if key not in bitmaps:
                bitmaps[key] = BitMap()
            bitmaps[key].add(document)


def _any_of(bitmaps: dict[K, BitMap], keys: Iterable[K]) -> BitMap:
    return BitMap().union(*(bitmaps.get(key, _NONE) for key in keys))
