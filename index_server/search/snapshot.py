"""The catalogue as a row of pieces of bytes, made while it changes, and the way back. PURE.

Pieces are made one by one, and between two of them anything may change. So what a piece says may be stale by
the time the last one is made. Documents that were touched meanwhile are put down again, round by round, until
so few are left that they go into the last piece at once: it says which documents were ever *touched*, and how
the last ones are. Bitmaps are believed for all other documents; the touched ones are taken out of them and
indexed anew. So what comes back is the catalogue exactly as it was when the last piece was made.

Rule 1: whoever reads made sure that the bytes are those that were written, and by the same code.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from typing import TypeVar

import msgspec
from pyroaring import BitMap

from index_server.search.documents import Documents, Kept
from index_server.search.facets import FacetIndex

DOCUMENTS = 1_000  # in one piece: some 2 ms of work
BITMAPS = 1_000
K = TypeVar("K")


class _Postings(msgspec.Struct, tag=1, array_like=True):
    which: int
    bitmaps: list[tuple[str | int | bool, bytes]]


class _Slices(msgspec.Struct, tag=2, array_like=True):
    which: int
    digits: list[bytes]


class _Rows(msgspec.Struct, tag=3, array_like=True):
    documents: list[Kept]


class _Last(msgspec.Struct, tag=4, array_like=True):
    touched: bytes
    documents: list[Kept]


_DECODE = msgspec.msgpack.Decoder(_Postings | _Slices | _Rows | _Last).decode
_ENCODE = msgspec.msgpack.Encoder().encode


def save(documents: Documents, facets: FacetIndex) -> Generator[bytes, None, bytes]:
    """The pieces; the last one is returned. Two snapshots cannot be made at the same time."""
    touched = documents.touched = BitMap([*documents.left])
    everything = BitMap()
    try:
        for which, postings in enumerate(facets.postings):
            keys = [*postings]
            for start in range(0, len(keys), BITMAPS):
                known = [key for key in keys[start : start + BITMAPS] if key in postings]
                yield _ENCODE(_Postings(which, [(key, postings[key].serialize()) for key in known]))
        for which, slices in enumerate(facets.numbers.values()):
            yield _ENCODE(_Slices(which, [members.serialize() for members in slices.digits]))
        for start in range(0, len(documents.keys), DOCUMENTS):
            end = min(start + DOCUMENTS, len(documents.keys))
            yield _ENCODE(_Rows([documents.kept(number) for number in range(start, end)]))
        while len(touched) > DOCUMENTS:
            everything |= touched
            again, touched = touched, BitMap()
            documents.touched = touched
            for start in range(0, len(again), DOCUMENTS):
                some_again = again[start : start + DOCUMENTS]
                yield _ENCODE(_Rows([documents.kept(number) for number in some_again]))
        everything |= touched
        return _ENCODE(_Last(everything.serialize(), [documents.kept(number) for number in touched]))
    finally:
        documents.touched = None


def load(
    documents: Documents, facets: FacetIndex, last: bytes, others: Iterable[bytes]
) -> Iterator[list[int]]:
    """Fill what is empty; yields after a few milliseconds of work, what documents are to be indexed anew."""
    end = _DECODE(last)
    assert isinstance(end, _Last)
    touched = BitMap.deserialize(end.touched)
    later: dict[int, Kept] = {}
    for piece in others:
        part = _DECODE(piece)
        if isinstance(part, _Postings):
            facets.put_postings(part.which, _without(touched, part.bitmaps))
        elif isinstance(part, _Slices):
            digits = [members for _, members in _without(touched, enumerate(part.digits))]
            facets.put_numbers(part.which, digits)
        else:
            for kept in part.documents:
                if kept[0] in touched:
                    later[kept[0]] = kept
                else:
                    documents.put(kept)
        yield []
    later |= {kept[0]: kept for kept in end.documents}
    rest = iter(sorted(later.items()))
    while some := [*islice(rest, DOCUMENTS)]:
        for _, kept in some:
            documents.put(kept)
        yield [number for number, _ in some if documents.copies[number]]
    documents.find_free()


def _without(touched: BitMap, bitmaps: Iterable[tuple[K, bytes]]) -> Iterator[tuple[K, BitMap]]:
    for key, data in bitmaps:
        members = BitMap.deserialize(data)
        if touched:
            members -= touched
        yield key, members
