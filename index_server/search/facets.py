"""What documents say, turned around: the documents that have a word, kind, extension or number. PURE.

A document is a number here; what it stands for is the business of catalogue.py.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from pyroaring import BitMap

from index_server.search.bitslices import BitSlices
from index_server.search.copies import Names
from index_server.search.entry import tags_of
from index_server.search.expression import Number
from index_server.search.postings import Postings
from index_server.search.vocabulary import Vocabulary
from p2pshare import limits
from p2pshare.kinds import EXTENSIONS, FileKind, extension_of, kind_of
from p2pshare.wire.fields import NO_TAGS, ExtensionCount, FacetCounts, KindCount, SizeCount

K = TypeVar("K", bound=Hashable)
_NONE = BitMap()
WORDS = 2  # the first so many postings are by word
_MB = 1_000_000
SIZE_BOUNDS = (0, _MB, 10 * _MB, 100 * _MB, 1_000 * _MB, 10_000 * _MB)  # the least of each size band
_KNOWN_EXTENSIONS = " ".join(EXTENSIONS.values()).split()


class Facets(NamedTuple):
    """What one document can be found and filtered by: first the keys, in the order of
    `FacetIndex.postings`, then the numbers, in the order of `FacetIndex.numbers`."""

    in_name: Sequence[str] = ()
    """Words of its file names; one may stand there twice, here and below."""
    elsewhere: Sequence[str] = ()
    """Words of folders and tags."""
    kinds: Sequence[FileKind] = ()
    extensions: Sequence[str] = ()
    size_bands: Sequence[int] = ()
    lossless: Sequence[bool] = ()
    size: int = 0
    changed: int = 0
    length_s: int = 0
    bitrate_kbps: int = 0
    year: int = 0


NO_FACETS = Facets()
_new = tuple.__new__  # makes a named tuple in a third of the time


def facets_of(names: Names, size: int, packed_tags: bytes, changed: int) -> Facets:
    """The facets of a document that says this (see `documents.Said`)."""
    in_name: list[str] = []
    elsewhere: list[str] = []
    kinds: tuple[FileKind, ...] = ()
    extensions: tuple[str, ...] = ()
    for path, _, _, text in names:
        name, _, rest = text.partition("\n")
        in_name += name.split()
        elsewhere += rest.split()
        extension, kind = _ending(path)
        extensions += extension
        kinds += kind
    tags = tags_of(packed_tags) if packed_tags else NO_TAGS
    return _new(
        Facets,
        (
            in_name,
            elsewhere,
            kinds,
            extensions,
            (bisect_right(SIZE_BOUNDS, size) - 1,),
            (True,) if tags.lossless else (),
            size,
            changed,
            tags.length_s,
            tags.bitrate_kbps,
            tags.year,
        ),
    )


def _ending(path: str) -> tuple[tuple[str], tuple[FileKind]]:
    """The extension and kind of the file at the end of a path."""
    at = path.rfind(".")
    if at > 0 and path[at - 1] not in "./":  # most names are a stem, a dot and an extension
        return _known_ending(path[at:])
    return _known_ending(f"/{path}")


@lru_cache(maxsize=1_000)  # a few endings cover nearly all files
def _known_ending(end: str) -> tuple[tuple[str], tuple[FileKind]]:
    """From the last dot with something before it, or from an earlier place."""
    leaf = f"_{end}".rpartition("/")[2]
    return (extension_of(leaf),), (kind_of(leaf),)


class FacetIndex:
    """Bitmaps of documents by facet."""

    def __init__(self) -> None:
        self.vocabulary = Vocabulary()
        self._in_name: Postings[str] = Postings()
        self._elsewhere: Postings[str] = Postings()
        self._kinds: Postings[FileKind] = Postings()
        self._extensions: Postings[str] = Postings()
        self._size_bands: Postings[int] = Postings()
        self._lossless: Postings[bool] = Postings()
        self._sizes, self._dates, self._lengths = BitSlices(), BitSlices(), BitSlices()
        self._bitrates, self._years = BitSlices(), BitSlices()
        self.numbers: Mapping[Number, BitSlices] = {
            Number.SIZE: self._sizes,
            Number.DATE: self._dates,
            Number.LENGTH: self._lengths,
            Number.BITRATE: self._bitrates,
            Number.YEAR: self._years,
        }

        self.postings: tuple[Postings[Any], ...] = (
            self._in_name,
            self._elsewhere,
            self._kinds,
            self._extensions,
            self._size_bands,
            self._lossless,
        )

    # --- changing -----------------------------------------------------------------------------------

    def change(self, documents: Sequence[int], before: Sequence[Facets], after: Sequence[Facets]) -> None:
        """These documents, each named once, said `before` and say `after` now."""
        if not documents:
            return
        columns = zip([*zip(*before, strict=True)], [*zip(*after, strict=True)], strict=True)
        for which, (postings, (old, new)) in enumerate(zip(self.postings, columns, strict=False)):
            born, gone = postings.change(documents, old, new)
            if which < WORDS:
                self._learn(born, gone, self.postings[1 - which])
        for slices, (old, new) in zip(self.numbers.values(), columns, strict=True):
            slices.change(documents, old, new)

    def put_postings(self, which: int, bitmaps: Iterable[tuple[Hashable, BitMap]]) -> None:
        """Bitmaps that were in `postings[which]`, some of them perhaps empty now."""
        postings, is_words = self.postings[which], which < WORDS
        for key, members in bitmaps:
            if members:
                if is_words and not any(key in others for others in self.postings[:WORDS]):
                    self.vocabulary.add(str(key))
                postings[key] = members

    def put_numbers(self, which: int, digits: Sequence[BitMap]) -> None:
        """The digits of one of `numbers`."""
        [*self.numbers.values()][which].put(digits)

    def _learn(self, born: Iterable[str], gone: Iterable[str], others: Postings[str]) -> None:
        """Words are new to, or gone from, one of the two postings by word."""
        for word in born:
            if word not in others:
                self.vocabulary.add(word)
        for word in gone:
            if word not in others:
                self.vocabulary.remove(word)

    # --- looking ------------------------------------------------------------------------------------

    def kinds(self) -> dict[FileKind, int]:
        """How many documents there are of each kind, whether anybody who holds them is online or not."""
        return {kind: len(documents) for kind, documents in self._kinds.items()}

    def frequency(self, word: str) -> int:
        """How many documents have a word, at most."""
        return len(self._in_name.get(word, _NONE)) + len(self._elsewhere.get(word, _NONE))

    def saying(self, word: str) -> BitMap:
        """All documents that have a word."""
        return self._in_name.get(word, _NONE) | self._elsewhere.get(word, _NONE)

    def having(self, words: Iterable[str], among: BitMap) -> BitMap:
        """Those of `among` that have all the words, wherever."""
        for word in sorted(words, key=self.frequency):  # the rarest first: what follows is cheap then
            among = among & self._in_name.get(word, _NONE) | among & self._elsewhere.get(word, _NONE)
        return among

    def named(self, words: Iterable[str], among: BitMap) -> BitMap:
        """Those of `among` that have all the words in their file names."""
        for word in sorted(words, key=self.frequency):
            among = among & self._in_name.get(word, _NONE)
        return among

    def having_any(self, words: Iterable[str], among: BitMap, *, named: bool = False) -> BitMap:
        """Those of `among` that have at least one of the words, wherever or in their names."""
        places = (self._in_name,) if named else (self._in_name, self._elsewhere)
        bitmaps = [place[word] for word in words for place in places if word in place]
        return among & BitMap().union(*bitmaps)

    def of_kind(self, kinds: Iterable[FileKind], among: BitMap) -> BitMap:
        return among & _any_of(self._kinds, kinds)

    def with_extension(self, extensions: Iterable[str], among: BitMap) -> BitMap:
        return among & _any_of(self._extensions, extensions)

    def lossless(self, among: BitMap) -> BitMap:
        return among & self._lossless.get(True, _NONE)

    def counts(self, among: BitMap) -> FacetCounts:
        """How many of them are of each kind, extension and size."""
        kinds = [(kind, among.intersection_cardinality(self._kinds.get(kind, _NONE))) for kind in FileKind]
        extensions = [
            (extension, among.intersection_cardinality(self._extensions[extension]))
            for extension in _KNOWN_EXTENSIONS
            if extension in self._extensions
        ]
        bands = [
            (band, among.intersection_cardinality(self._size_bands.get(band, _NONE)))
            for band in range(len(SIZE_BOUNDS))
        ]
        kinds.sort(key=lambda each: -each[1])
        extensions.sort(key=lambda each: (-each[1], each[0]))
        return FacetCounts(
            kinds=tuple(KindCount(kind=kind, files=files) for kind, files in kinds if files),
            extensions=tuple(
                ExtensionCount(extension=extension, files=files) for extension, files in extensions if files
            )[: limits.FACET_EXTENSIONS_MAX],
            sizes=tuple(
                SizeCount(size_min=SIZE_BOUNDS[band], size_max=_band_end(band), files=files)
                for band, files in bands
                if files
            ),
        )


def _band_end(band: int) -> int:
    return SIZE_BOUNDS[band + 1] - 1 if band + 1 < len(SIZE_BOUNDS) else limits.FILE_BYTES_MAX


def _any_of(bitmaps: dict[K, BitMap], keys: Iterable[K]) -> BitMap:
    return BitMap().union(*(bitmaps.get(key, _NONE) for key in keys))
