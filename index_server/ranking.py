"""Which of the files that match come first. PURE.

    points = for the people online who hold it: 0 for one, and 1 more for each doubling
           + 3 if every word of the query is in a name of the file
           + 1 if the words stand side by side as typed, in a name, its folders or tags
           + 3 if a name says just that, apart from one last word such as its extension

The first two lines are known from bitmaps alone, and sort all matches into *bands*. Reading texts costs more,
so it is done for one *block* of RANKED files at a time, along the bands. That is what is approximate: a file
cannot rise out of its block. With at most RANKED matches, which a good query has, the order is exact.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyroaring import BitMap

from index_server.bitslices import BitSlices

RANKED = 200  # two pages of the largest size; reading this many texts takes about a quarter of a millisecond
IN_NAME_POINTS = 3
SIDE_BY_SIDE_POINTS = 1
EXACT_POINTS = 3


def best(matches: BitMap, named: BitMap, sources: BitSlices, start: int, count: int) -> list[tuple[int, int]]:
    """(points of its band, document) at places `start` to `start + count` when the bands stand in order.

    `named`: those of `matches` with every word in a name. `sources`: people online, by document.
    """
    picked: list[tuple[int, int]] = []
    for points, members in _bands(matches, named, sources):
        if start < len(members):
            picked += [(points, document) for document in members[start : start + count - len(picked)]]
            if len(picked) == count:
                break
        start = max(0, start - len(members))
    return picked


def closeness(typed: str, texts: Iterable[str]) -> int:
    """The points for the order of words. `texts` as made by `entry.search_text`."""
    words, closest = f" {typed} ", 0
    for text in texts:
        if words in text:
            exact = text.startswith(words) and text.count(" ", len(words), text.index("\n")) <= 1
            closest = max(closest, SIDE_BY_SIDE_POINTS + (EXACT_POINTS if exact else 0))
    return closest


def _bands(matches: BitMap, named: BitMap, sources: BitSlices) -> list[tuple[int, BitMap]]:
    bands: list[tuple[int, BitMap]] = []
    for doublings, members in sources.octaves(matches):
        bands.append((doublings + IN_NAME_POINTS, members & named))
        bands.append((doublings, members - named))
    return sorted(bands, key=lambda band: -band[0])
