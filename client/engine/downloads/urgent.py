"""Pieces that somebody waits for, because the file is played while it arrives. Pure, like the plan it serves.

Each goes to the source that should bring it first, counting what that source has to bring already: so a slow
source is asked for one that is needed later, and none is asked for what a faster one will bring sooner. The
first few are asked for once more where they are late and somebody else would be much faster. Who gives us no
slot yet is asked for previews: the ends of a file are what a player looks at first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from client.engine.downloads.pieces import Pieces
from client.engine.downloads.source import Ask, Source
from p2pshare.identity import NodeId
from p2pshare.limits import FETCH_PIECES_MAX, FETCHES_OPEN_MAX, PREVIEW_BYTES

LOOK_AHEAD = 96  # pieces handed out at a time; those behind them wait for the next look
TOGETHER_S = 0.1  # neighbours go to the same source if that brings the second one at most so much later
LATE_PIECES = 4  # the first of those missing: behind them there is time
LATE_S = 1.0  # one that comes sooner is not late
LATE_GAIN = 0.5  # a second request must promise to need at most this part of the first one's time
AGAIN_PART = 0.05  # of all pieces may be asked for again because they are late ...
AGAIN_MIN = 4
RACERS_MAX = 2  # sources asked for one piece


class Urgent:
    """What is wanted first, in order."""

    def __init__(self, pieces: Pieces, piece_size: int) -> None:
        self.wanted: Sequence[int] = ()
        self.kept_back = 0
        """A set of pieces: free, but best left to a source that has no room just now."""
        self._pieces = pieces
        ends = min(pieces.count, max(1, PREVIEW_BYTES // piece_size))
        self._previews = pieces.span(0, ends) | pieces.span(pieces.count - ends, ends)
        self._again_left = max(AGAIN_MIN, int(pieces.count * AGAIN_PART))

    def want(self, pieces: Sequence[int]) -> None:
        """These, and no others any more."""
        self.wanted = pieces
        self.kept_back = 0

    def arrived(self, pieces: int) -> None:
        """This set of pieces is here."""
        self.wanted = [piece for piece in self.wanted if not pieces & self._pieces.one(piece)]

    def asks(
        self, sources: Mapping[NodeId, Source], free: int, asked: Mapping[int, Sequence[NodeId]], now: float
    ) -> list[Ask]:
        """What to ask now, before anything else; `asked` says of whom each piece is asked already."""
        self.kept_back = 0
        couriers = [_Courier(node, at, now) for node, at in sources.items() if at.ready]
        couriers += [
            _Courier(node, at, now, at.reach & self._previews)
            for node, at in sources.items()
            if not at.ready and at.previews and not at.asked
        ]
        if not any(courier.room for courier in couriers):
            return []
        for piece in self.wanted[:LATE_PIECES]:
            if not free & self._pieces.one(piece):
                self._ask_again(piece, asked.get(piece, ()), sources, couriers, now)
        wanted = [piece for piece in self.wanted[:LOOK_AHEAD] if free & self._pieces.one(piece)]
        self._hand_out(wanted, couriers)
        return [ask for courier in couriers for ask in courier.asks()]

    def _hand_out(self, wanted: Iterable[int], couriers: list[_Courier]) -> None:
        last: _Courier | None = None
        for piece in wanted:
            bit = self._pieces.one(piece)
            able = [courier for courier in couriers if courier.held & bit]
            if not able:
                continue
            first = min(able, key=lambda courier: courier.next_s)
            if last in able and last.next_s <= first.next_s + TOGETHER_S:
                first = last
            if not first.take(piece):
                self.kept_back |= bit
            last = first

    def _ask_again(
        self,
        piece: int,
        racers: Sequence[NodeId],
        sources: Mapping[NodeId, Source],
        couriers: list[_Courier],
        now: float,
    ) -> None:
        if not racers or len(racers) >= RACERS_MAX or not self._again_left:
            return
        due_s = min(_due_s(sources[node], piece, now) for node in racers)
        able = [
            courier
            for courier in couriers
            if courier.room and courier.node not in racers and courier.held & self._pieces.one(piece)
        ]
        if due_s < LATE_S or not able:
            return
        fastest = min(able, key=lambda courier: courier.next_s)
        if fastest.next_s <= due_s * LATE_GAIN and fastest.take(piece):
            self._again_left -= 1


class _Courier:
    """A source that may be asked, with what it was just given."""

    def __init__(self, node: NodeId, at: Source, now: float, previews: int | None = None) -> None:
        """`previews`: what it gives without a slot, a piece at a time."""
        self.node = node
        self.held = at.reach if previews is None else previews
        self.room = at.room if previews is None else 1
        self._looks = previews is not None
        self.next_s = at.pace.expected_anew_s(len(at.asked))
        """When it should bring what it is asked for now."""
        if at.asked:  # one that has fallen silent keeps everybody waiting
            self.next_s = max(self.next_s, at.pace.expected_s(len(at.asked) - 1, now))
        self._each_s = at.pace.each_s
        self._requests_left = FETCHES_OPEN_MAX - at.runs
        self._taken: list[int] = []

    def take(self, piece: int) -> bool:
        """It should bring this piece. Whether it can be asked now, not only when it has room again."""
        self.next_s += self._each_s
        goes_on = self._taken and piece == self._taken[-1] + 1
        if not self.room or not (goes_on or self._requests_left):
            return False
        self.room -= 1
        self._requests_left -= 0 if goes_on else 1
        self._taken.append(piece)
        if self._looks:
            self.held = 0
        return True

    def asks(self) -> Iterator[Ask]:
        """Runs of neighbours are one request each."""
        first = 0
        for place, piece in enumerate(self._taken, start=1):
            run_ends = place == len(self._taken) or self._taken[place] != piece + 1
            if run_ends or place - first == FETCH_PIECES_MAX:
                yield Ask(self.node, self._taken[first], place - first, self._looks)
                first = place


def _due_s(at: Source, piece: int, now: float) -> float:
    for place, each in enumerate(at.asked):
        if each == piece:
            return at.pace.expected_s(place, now)
    return math.inf
