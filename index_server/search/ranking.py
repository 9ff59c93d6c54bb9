"""Which of the files that match come first. PURE.

    points = for the people online who hold it: 0 for one, and 1 more for each doubling
           + 3 if a name of the file alone has every word that the query needs
           + 1 if the words stand side by side as typed, in a name, its folders or tags
           + 3 if a name says just that, apart from one last word such as its extension

The first two lines are known from bitmaps alone, and sort all matches into *bands*. Reading texts costs more,
so it is done for one *block* of RANKED files at a time, along the bands. That is what is approximate: a file
cannot rise out of its block. With at most RANKED matches, which a good query has, the order is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import repeat
from typing import NamedTuple

from pyroaring import BitMap

from index_server.search.bitslices import BitSlices

RANKED = 200  # two pages of the largest size; reading this many texts takes about a quarter of a millisecond
IN_NAME_POINTS = 3
SIDE_BY_SIDE_POINTS = 1
EXACT_POINTS = 3


class Place(NamedTuple):
    """Where a document stands along the bands: these sort like their documents."""

    without_points: int
    """Its points so far, below 0."""
    named: bool
    document: int


_PLACE: Callable[[tuple[int, bool, int]], Place] = partial(tuple.__new__, Place)
"""Without a call of Python's for each."""


class Band(NamedTuple):
    """Documents that are equal as far as bitmaps know."""

    without_points: int
    named: bool
    members: BitMap


def bands(matches: BitMap, named: BitMap, sources: BitSlices) -> list[Band]:
    """Best first. `named`: those of `matches` that a name alone would find. `sources`: people online."""
    found: list[Band] = []
    for doublings, members in sources.octaves(matches):
        found.append(Band(-doublings - IN_NAME_POINTS, True, members & named))
        found.append(Band(-doublings, False, members - named))
    return sorted((band for band in found if band.members), key=lambda band: band[:2])


def block(
    along: Iterable[Band], count: int, *, after: Place | None = None, until: Place | None = None
) -> list[Place]:
    """The next places along the bands, at most `count`: those behind `after` and up to `until`."""
    picked: list[Place] = []
    for without_points, named, members in along:
        first, end = 0, len(members)
        if after is not None:
            if (without_points, named) < after[:2]:
                continue
            if (without_points, named) == after[:2]:
                first = members.rank(after.document)
        if until is not None:
            if (without_points, named) > until[:2]:
                break
            if (without_points, named) == until[:2]:
                end = members.rank(until.document)
        end = min(end, first + count - len(picked))
        picked += map(_PLACE, zip(repeat(without_points), repeat(named), members[first:end]))
        if len(picked) == count:
            break
    return picked


def closeness(typed: str, texts: Iterable[Iterable[str]]) -> list[int]:
    """The points for the order of words. `texts` of each document, as made by `entry.search_text`."""
    words, points = f" {typed} ", []
    behind = len(words)
    for texts_of_one in texts:
        closest = 0
        for text in texts_of_one:
            if words not in text or not typed:
                continue
            exact = text.startswith(words) and text.count(" ", behind, text.index("\n")) <= 1
            closest = max(closest, SIDE_BY_SIDE_POINTS + (EXACT_POINTS if exact else 0))
        points.append(closest)
    return points
