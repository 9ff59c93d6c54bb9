"""What was found, packed as it travels. PURE.

A page names hundreds of people. They are packed once each, not once for every hit: what is told of somebody
stays the same from one search to the next, but for the number of the offer. What stands here follows the
declarations of `Hit` and `Source`; the tests decode it, which checks every limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

import msgspec

from index_server.online import Visitor
from index_server.search.copies import PARTIAL, Copy
from index_server.search.found import Found
from p2pshare import limits
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.kinds import kind_of
from p2pshare.wire.fields import NO_TAGS, Hit, Source, SpeedClass
from p2pshare.wire.schema import dump, pack

UNTOLD_WAIT_S = 60  # a guess at those who did not say: one turn of somebody else
NOBODY = pack([])
HEADS = 20_000  # some 10 MB: the files that are found again and again
_SPEEDS = len(SpeedClass)
_BEHIND_WHOLE = 1 << 40  # above every wait, below the unreachable
_UNREACHABLE = 1 << 41
_NO_TAGS = pack(dump(NO_TAGS))
_ENCODE = msgspec.msgpack.Encoder().encode
_ARRAYS = [bytes([0x90 + count]) for count in range(16)]  # beginnings of arrays of so many
_WHOLLY, _PARTLY = pack(False), pack(True)  # the field `partial`


class Told(NamedTuple):
    """How others are told of somebody online."""

    standing: int
    """The least is named first: who can be reached, then who lets somebody in soon, then who is fast."""
    before: bytes
    """Packed: the fields before `offer`."""
    after: bytes
    """Packed: the fields behind `partial`."""


def told_of(visitor: Visitor, speed: SpeedClass) -> Told:
    wait_s = UNTOLD_WAIT_S if visitor.wait_s is None else visitor.wait_s
    standing = wait_s * _SPEEDS + (_SPEEDS - 1 - speed)
    return Told(
        standing if visitor.reachable else standing + _UNREACHABLE,
        _ARRAYS[len(Source.FIELDS)] + pack(visitor.node) + pack(visitor.nick),
        pack(visitor.reachable) + pack(visitor.wait_s) + pack(int(speed)),
    )


def best_sources(
    copies: Iterable[Copy],
    by_account: Callable[[int], Visitor | None],
    speed_of: Callable[[int], SpeedClass],
    asker: NodeId,
) -> bytes:
    """Those first who can be reached, have all of it, and let somebody in soon; never the asker. Packed."""
    ranked: list[tuple[int, int, bytes, int, bytes]] = []
    place = 0  # of equal ones, the first of `copies` comes first
    for account, offer, about in copies:
        visitor = by_account(account)
        if visitor is None or visitor.node == asker:
            continue
        told = visitor.told
        if told is None:
            told = visitor.told = told_of(visitor, speed_of(account))
        standing, before, after = told
        if about & PARTIAL:
            ranked.append((standing + _BEHIND_WHOLE, place, before, offer, _PARTLY + after))
        else:
            ranked.append((standing, place, before, offer, _WHOLLY + after))
        place += 1
    ranked.sort()
    del ranked[limits.HIT_SOURCES_MAX :]
    parts = [_ARRAYS[len(ranked)]]
    for _, _, before, offer, after in ranked:
        parts += before, _ENCODE(offer), after
    return b"".join(parts)


def packed_hit(found: Found, some: bytes) -> bytes:
    """`some` as `best_sources` makes it."""
    return b"".join(
        [
            _head(found.file, found.path, found.size, found.changed, found.tags),
            _ENCODE(found.sources),
            some,
            _ENCODE(found.names),
            _ENCODE(found.free),
            _ENCODE(found.contacts),
            _ENCODE(found.doubts),
        ]
    )


@lru_cache(maxsize=HEADS)
def _head(file: FileId | None, path: str, size: int, changed: int, tags: bytes) -> bytes:
    """What is the same in every hit, whoever is online."""
    return (
        _ARRAYS[len(Hit.FIELDS)]
        + pack(file)
        + pack(path)
        + pack(size)
        + pack(int(kind_of(path)))
        + pack(changed)
        + (tags or _NO_TAGS)
    )
