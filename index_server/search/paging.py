"""The matches in order, a page at a time. PURE.

A cursor says behind which place of the order the next page begins, not how many hits came before. So a
document whose own place does not change is on exactly one page, whoever comes and goes meanwhile; and a page
far down costs what the first one costs. A cursor holds nothing worth forging: every place may be asked for.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pyroaring import BitMap

from index_server.search import ranking
from index_server.search.bitslices import BitSlices
from index_server.search.expression import Number
from index_server.search.facets import FacetIndex
from index_server.search.holders import Holders
from index_server.search.ranking import Band, Place
from p2pshare.errors import Reason, Refused
from p2pshare.wire.fields import SortBy

BLOCK_GROWN_MAX = 2 * ranking.RANKED  # a block that is looked at again may have more documents by now
_BY_NUMBER = struct.Struct(">BBQI")  # sort; group; number; document
_BLOCK = struct.Struct(">B?b?Ib?I")  # sort; is there a start; start and end of the block
_SHOWN = struct.Struct(">bI")  # rank and document
_BY_RANK = struct.Struct(_BLOCK.format + _SHOWN.format[1:])


class Picked(NamedTuple):
    """A document on a page."""

    document: int
    doubts: int
    """See suspicion.py; 0 in any order but the one by relevance."""
    cursor: bytes
    """Continues behind it; empty if nothing is there."""


Ranked = tuple[int, int, int]  # rank, document and doubts: a document in its place within a block
Rank = Callable[[Sequence[Place]], list[Ranked]]
"""Puts a block in its final order, by (rank, document)."""


def by_relevance(along: Sequence[Band], rank: Rank, cursor: bytes, limit: int) -> list[Picked]:
    """At most `limit`; fewer at the end of a block. Raises `Refused(BAD_QUERY)` for a wrong cursor."""
    start, end, shown = _unpack_rank(cursor) if cursor else (None, None, None)
    while True:
        count = ranking.RANKED if end is None else BLOCK_GROWN_MAX
        places = ranking.block(along, count, after=start, until=end)
        if not places and end is None:
            return []
        end = end or places[-1]
        ranked = rank(places)
        if shown is not None:
            ranked = [each for each in ranked if each[:2] > shown]
        if ranked:
            break
        start, end, shown = end, None, None
    more_behind = bool(ranking.block(along, 1, after=end))
    of_block = _pack_block(start, end)
    picked = [
        Picked(document, doubts, of_block + _SHOWN.pack(rank, document))
        for rank, document, doubts in ranked[:limit]
    ]
    if len(picked) == len(ranked) and not more_behind:
        picked[-1] = picked[-1]._replace(cursor=b"")
    return picked


def by_number(
    matches: BitMap, sort: SortBy, facets: FacetIndex, holders: Holders, cursor: bytes, limit: int
) -> list[Picked]:
    """At most `limit`, in an order that bit slices know. Raises `Refused(BAD_QUERY)` for a wrong cursor."""
    groups, numbers, least_first = _order(matches, sort, facets, holders)
    start, after = _unpack_number(cursor, sort) if cursor else (0, None)
    found: list[tuple[int, int, int]] = []
    for group in range(start, len(groups)):
        places = numbers.ordered(
            groups[group],
            limit + 1 - len(found),
            least_first=least_first,
            after=after if group == start else None,
        )
        found += [(group, number, document) for number, document in places]
        if len(found) > limit:
            break
    picked = [Picked(place[2], 0, _BY_NUMBER.pack(sort, *place)) for place in found[:limit]]
    if picked and len(found) <= limit:
        picked[-1] = picked[-1]._replace(cursor=b"")
    return picked


def _order(
    matches: BitMap, sort: SortBy, facets: FacetIndex, holders: Holders
) -> tuple[list[BitMap], BitSlices, bool]:
    """(groups that come one behind the other, the number that orders each, whether the least comes first)"""
    sizes, dates = facets.numbers[Number.SIZE], facets.numbers[Number.DATE]
    match sort:
        case SortBy.SPEED:
            return holders.by_speed(matches), holders.sources, False
        case SortBy.SIZE | SortBy.SMALLEST:
            return [matches], sizes, sort is SortBy.SMALLEST
        case SortBy.DATE:
            return [matches], dates, False
        case SortBy.OLDEST:
            dated = matches & dates.positive
            return [dated, matches - dated], dates, True
        case _:
            return [matches], holders.sources, False


# --- cursors ---------------------------------------------------------------------------------------------


def _pack_block(start: Place | None, end: Place) -> bytes:
    return _BLOCK.pack(SortBy.RELEVANCE, start is not None, *(start or end), *end)


def _unpack_rank(cursor: bytes) -> tuple[Place | None, Place, tuple[int, int]]:
    try:
        sort, started, *fields = _BY_RANK.unpack(cursor)
    except struct.error:
        raise _not_ours() from None
    if sort != SortBy.RELEVANCE:
        raise _not_ours()
    return Place(*fields[:3]) if started else None, Place(*fields[3:6]), (fields[6], fields[7])


def _unpack_number(cursor: bytes, sort: SortBy) -> tuple[int, tuple[int, int]]:
    try:
        told, group, number, document = _BY_NUMBER.unpack(cursor)
    except struct.error:
        raise _not_ours() from None
    if told != sort:
        raise _not_ours()
    return group, (number, document)


def _not_ours() -> Refused:
    return Refused(Reason.BAD_QUERY, "The cursor is not one of this server for this order. Search anew.")
