"""Which pieces a whole copy shows to whom, while several people fetch it at the same time.

If everybody saw everything, many would ask for the same pieces, and while a piece goes out a second time
nobody has the others. So each is shown a few at a time, of those that the fewest of the others hold or were
shown. Everybody tells which pieces they hold, so it is seen who passes on what only they were given: who does
is shown more, and who keeps it to themselves waits for the others.

Rule 1: the uplink never waits: something is always shown to somebody who may fetch.
Rule 2: who is alone here is shown everything, once they had a little; nothing is ever hidden again.

Pure: `now` is given, in seconds, and chance comes from a seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from client.engine.downloads.pieces import Pieces, Rarity
from p2pshare.identity import NodeId
from p2pshare.limits import MIB

AHEAD = 2  # pieces shown and not sent yet, for each who may fetch: one on its way, one behind it ...
AHEAD_S = 1.0  # ... or what goes out in this time: the news that a piece is passed on takes about as long
ALONE_BYTES = (
    2 * MIB
)  # shown at first to who is alone; when half of it is gone and nobody else came, the rest
ALONE_PIECES = 4  # but at least so many
MEMORY_S = 2.0  # over which it is measured how fast pieces go out
DISTRUST = 10.0  # how much longer somebody waits who has not passed on anything yet


@dataclass(eq=False, slots=True)
class _Taker:
    """Sets of pieces."""

    shown: int = 0
    all: bool = False  # shown everything: then what is shown says nothing of what will be held
    theirs: int = 0  # as they tell
    given: int = 0
    entrusted: int = 0  # given to them when nobody else had it
    passed_on: int = 0  # of these, what others have now who did not get it from us
    counted: int = 0  # in the rarity

    @property
    def waiting(self) -> int:
        return (self.shown & ~self.theirs & ~self.given).bit_count()


class Showing:
    """One file of which everything is here, and those who have it open."""

    def __init__(self, count: int, piece_bytes: int, seed: int) -> None:
        self._pieces = Pieces(count)
        self._alone = min(count, max(ALONE_PIECES, ALONE_BYTES // piece_bytes))
        self._rarity = Rarity(self._pieces)
        self._takers: dict[NodeId, _Taker] = {}
        self._chance = random.Random(seed)
        self._passed_on = 0  # a set of pieces that somebody has who did not get them from us
        self._entrusted: dict[int, NodeId] = {}  # who of those who were given a piece had it last
        self._rate = 0.0  # pieces a second
        self._sent_at = 0.0

    def __iter__(self) -> Iterator[NodeId]:
        """Those who have it open."""
        return iter(self._takers)

    def __len__(self) -> int:
        return len(self._takers)

    def join(self, person: NodeId) -> bytes | None:
        """The pieces that they are shown when they come, as a bitmap; None for all."""
        taker = self._takers.get(person)
        if taker is None:
            taker = _Taker()
            if not self._takers:
                first = self._chance.randrange(self._pieces.count - self._alone + 1)
                taker.shown = self._pieces.span(first, self._alone)
                taker.all = taker.shown == self._pieces.all
                self._count(taker)
            self._takers[person] = taker
        return None if taker.all else self._pieces.bitmap(taker.shown)

    def leave(self, person: NodeId) -> None:
        if (taker := self._takers.pop(person, None)) is not None:
            self._rarity.remove(taker.counted)

    def has(self, person: NodeId, pieces: Iterable[int]) -> None:
        """They say that they hold these; numbers beyond the file mean nothing."""
        if (taker := self._takers.get(person)) is not None:
            for piece in pieces:
                if piece < self._pieces.count:
                    self._learn(person, taker, piece)
            self._count(taker)

    def gave(self, person: NodeId, piece: int, now: float) -> None:
        """The piece went to them, whether it was shown to them or not."""
        if (taker := self._takers.get(person)) is not None:
            one = self._pieces.one(piece)
            taker.given |= one
            if not self._passed_on & one:  # who had it before kept it to themselves, or was slow
                self._entrusted[piece] = person
                taker.entrusted |= one
            self._count(taker)
        self._rate *= max(0.0, 1 - (now - self._sent_at) / MEMORY_S)
        self._rate += 1 / MEMORY_S
        self._sent_at = now

    def show(self, may_fetch: Callable[[NodeId], bool]) -> dict[NodeId, list[int]]:
        """What to show now, to those who may fetch."""
        if len(self._takers) == 1:
            return self._show_the_rest()
        able = {person: taker for person, taker in self._takers.items() if may_fetch(person)}
        target = max(AHEAD * len(able), int(self._rate * AHEAD_S))
        target -= sum(taker.waiting for taker in able.values() if not taker.all)
        score = {person: _patience(taker) for person, taker in able.items() if not taker.all}
        news: dict[NodeId, list[int]] = {}
        while score and target > 0:
            person = min(score, key=lambda each: score[each])
            taker = able[person]
            wanted = self._pieces.all & ~taker.shown & ~taker.theirs
            if not wanted:
                del score[person]
                continue
            wanted = self._rarity.rarest(wanted)
            piece = self._pieces.first_from(wanted, self._chance.randrange(self._pieces.count))
            taker.shown |= self._pieces.one(piece)
            self._count(taker)
            news.setdefault(person, []).append(piece)
            score[person] = _patience(taker)
            target -= 1
        return news

    def _show_the_rest(self) -> dict[NodeId, list[int]]:
        [(person, taker)] = self._takers.items()
        if taker.all or taker.waiting > self._alone // 2:
            return {}
        hidden = self._pieces.all & ~taker.shown
        taker.all, taker.shown = True, self._pieces.all
        return {person: list(self._pieces.each(hidden))}

    def _learn(self, person: NodeId, taker: _Taker, piece: int) -> None:
        """They hold a piece. If not from us, whoever we gave it to last passed it on."""
        one = self._pieces.one(piece)
        taker.theirs |= one
        if taker.given & one or self._passed_on & one:
            return
        giver = self._takers.get(self._entrusted.get(piece, person))
        if giver is not None and giver is not taker:
            self._passed_on |= one
            giver.passed_on |= one

    def _count(self, taker: _Taker) -> None:
        held = taker.theirs | taker.given | (0 if taker.all else taker.shown)
        self._rarity.add(held & ~taker.counted)
        taker.counted |= held


def _patience(taker: _Taker) -> float:
    """Who has the least is shown the next piece: the more they passed on, the more they may have ahead."""
    ahead = taker.waiting + (taker.entrusted & ~taker.passed_on).bit_count()
    return ahead * (1 + DISTRUST / (1 + taker.passed_on.bit_count()))
