"""Who may ask next for pieces of a file that we are still fetching ourselves.

In a swarm everybody gives and takes at the same time, so nobody stands in line for minutes. A turn is a few
pieces; a few people have one at the same time, so that the uplink is busy while one of them asks. It goes to
whoever lacks something that is here, the one who waited longest first.

Rule 1: those who give to us come first, and one turn in five goes to newcomers, so that they get something to
        give. Who had that and gives nothing is served when nobody else wants anything, one at a time.
Rule 2: while nobody waits, turns have no end.
Rule 3: who gives is known from verified bytes, never from what anybody says.

Pure: `now` is given, in seconds. A member is a person with one file open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from client.engine.downloads.pieces import Pieces
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.limits import FETCH_PIECES_MAX, KIB, MIB

Member = tuple[NodeId, FileId]

TURNS = 4  # at the same time
TURN_PIECES = 2  # one on its way, one waiting behind it
TURN_BYTES = 128 * KIB  # or as many as make this
ALONE_BYTES = 64 * MIB  # may be asked for ahead while nobody waits: more than any path holds
IDLE_S = 0.5  # who has a turn and asks for nothing for so long makes room
SLOW_S = 20.0  # who takes longer than this for a turn does not keep others waiting
FREE_TURN = 5  # each so many-th turn goes to a newcomer
FAIR_PART = 0.5  # who gave us at least this part of what they got is one who gives


_GIVES, _NEW, _TAKES = "gives", "new", "takes"


@dataclass(eq=False, slots=True)
class _File:
    pieces: Pieces
    piece_bytes: int
    mine: int  # a set of pieces
    members: int = 0


@dataclass(eq=False, slots=True)
class _State:
    """Of one member."""

    file: _File
    theirs: int = 0  # the pieces that they hold, or asked us for
    granted: int = 0  # pieces that they may still ask for
    asked_bytes: int = 0  # that they wait for
    began_at: float = 0.0  # the turn
    moved_at: float = 0.0  # when it began, or something was asked or sent in it


class Exchange:
    """The turns, and those who wait for one."""

    def __init__(self, may_take: Callable[[NodeId], bool] = lambda person: True) -> None:
        """`may_take` is false of those whose quota is used up."""
        self._may_take = may_take
        self._files: dict[FileId, _File] = {}
        self._members: dict[Member, _State] = {}
        self._line: dict[Member, None] = {}  # who waited longest first
        self._turns: dict[Member, None] = {}
        self._given: dict[NodeId, int] = {}  # bytes that they gave us
        self._taken: dict[NodeId, int] = {}  # bytes that they got
        self._begun = 0
        self._news: dict[Member, list[int]] = {}

    # --- what happens --------------------------------------------------------------------------------

    def join(self, member: Member, count: int, piece_bytes: int, mine: bytes, now: float) -> None:
        """They opened a file of so many pieces, of which we hold those of the bitmap `mine`."""
        if member in self._members:
            return
        file = self._files.setdefault(member[1], _File(Pieces(count), piece_bytes, 0))
        file.mine = int.from_bytes(mine, "big")
        file.members += 1
        self._members[member] = _State(file)
        self._line[member] = None
        self.pass_time(now)

    def leave(self, member: Member, now: float) -> None:
        """They closed it, or are gone."""
        state = self._members.pop(member, None)
        if state is None:
            return
        self._line.pop(member, None)
        self._turns.pop(member, None)
        self._news.pop(member, None)
        state.file.members -= 1
        if not state.file.members:
            del self._files[member[1]]
        self.pass_time(now)

    def forget(self, person: NodeId) -> None:
        """Their last connection is gone."""
        self._given.pop(person, None)
        self._taken.pop(person, None)

    def gained(self, file: FileId, pieces: Iterable[int], now: float) -> None:
        """We hold these, too, and they know it."""
        if (at := self._files.get(file)) is not None:
            for piece in pieces:
                at.mine |= at.pieces.one(piece)
            self.pass_time(now)

    def has(self, member: Member, pieces: Iterable[int]) -> None:
        """They say that they hold these; numbers beyond the file mean nothing."""
        if (state := self._members.get(member)) is not None:
            for piece in pieces:
                if piece < state.file.pieces.count:
                    state.theirs |= state.file.pieces.one(piece)

    def gave(self, person: NodeId, size: int) -> None:
        """They gave us so many verified bytes."""
        self._given[person] = self._given.get(person, 0) + size

    def asks(self, member: Member, first: int, count: int, now: float) -> bool:
        """They ask for these pieces. Whether they may."""
        state = self._members.get(member)
        if state is None or count > state.granted:
            return False
        state.granted -= count
        state.asked_bytes += count * state.file.piece_bytes
        state.moved_at = now
        state.theirs |= state.file.pieces.span(first, count)
        self.pass_time(now)
        return True

    def sent(self, member: Member, size: int, now: float) -> None:
        """So many bytes went to them."""
        if (state := self._members.get(member)) is None:
            return
        self._taken[member[0]] = self._taken.get(member[0], 0) + size
        state.asked_bytes = max(0, state.asked_bytes - size)
        state.moved_at = now
        if not state.asked_bytes:
            self.pass_time(now)

    def answered(self, person: NodeId, now: float) -> None:
        """Everything that they asked for is answered, or they no longer want it."""
        for member in [member for member in self._turns if member[0] == person]:
            state = self._members[member]
            if state.asked_bytes:
                state.asked_bytes, state.moved_at = 0, now
        self.pass_time(now)

    def pass_time(self, now: float) -> None:
        """End the turns that are over and begin others. Call it at `next_timer`."""
        for member in list(self._turns):
            state = self._members[member]
            if not state.granted and not state.asked_bytes:
                self._end(member)
        if self._somebody_waits():
            for member in self._in_the_way():
                self._shorten(member, now)
        waiting = [member for member in self._line if self._could_use_it(member)]
        while len(self._turns) < TURNS and (chosen := self._next(waiting)) is not None:
            waiting.remove(chosen)
            self._begin(chosen, now)
        if not waiting:
            for member in self._turns:
                self._lengthen(member)

    # --- turns ---------------------------------------------------------------------------------------

    def _next(self, waiting: list[Member]) -> Member | None:
        """Whose turn it is, of those who wait."""
        order: tuple[str, ...] = (_GIVES, _NEW) if (self._begun + 1) % FREE_TURN else (_NEW, _GIVES)
        if all(self._standing(member) is not _TAKES for member in self._turns):
            order = (*order, _TAKES)
        for standing in order:
            for member in waiting:
                if self._standing(member) is standing:
                    return member
        return None

    def _begin(self, member: Member, now: float) -> None:
        self._begun += 1
        state = self._members[member]
        state.began_at = state.moved_at = now
        del self._line[member]
        self._turns[member] = None
        self._grant(member, self._turn_pieces(state))

    def _shorten(self, member: Member, now: float) -> None:
        """Others wait: nobody keeps more than a turn, and not for ever."""
        state = self._members[member]
        over, fair = now >= self._ends_at(state), self._turn_pieces(state)
        if state.granted and (over or state.granted > fair):
            state.granted = 0
            self._news[member] = [0]
            if not over:
                self._grant(member, fair)
        if over:
            self._end(member)

    def _somebody_waits(self) -> bool:
        return any(map(self._could_use_it, self._line))

    def _in_the_way(self) -> list[Member]:
        """Whose turns must end for somebody who waits: while there is room, only people who give nothing wait,
        for the one of them who has a turn."""
        full = len(self._turns) >= TURNS
        return [member for member in self._turns if full or self._standing(member) is _TAKES]

    def _lengthen(self, member: Member) -> None:
        state = self._members[member]
        most = max(TURN_PIECES, min(FETCH_PIECES_MAX, ALONE_BYTES // state.file.piece_bytes))
        if state.granted < most // 2 and self._could_use_it(member):
            self._grant(member, most - state.granted)

    def _end(self, member: Member) -> None:
        del self._turns[member]
        self._line[member] = None

    def _grant(self, member: Member, count: int) -> None:
        self._members[member].granted += count
        news = self._news.setdefault(member, [])
        if news and news[-1]:
            news[-1] += count
        else:
            news.append(count)

    def _turn_pieces(self, state: _State) -> int:
        return min(FETCH_PIECES_MAX, max(TURN_PIECES, TURN_BYTES // state.file.piece_bytes))

    def _could_use_it(self, member: Member) -> bool:
        state = self._members[member]
        return bool(state.file.mine & ~state.theirs) and self._may_take(member[0])

    def _standing(self, member: Member) -> str:
        given, taken = self._given.get(member[0], 0), self._taken.get(member[0], 0)
        if given > 0 and given >= FAIR_PART * taken:
            return _GIVES
        return _NEW if not taken else _TAKES

    def _ends_at(self, state: _State) -> float:
        idle_at = math.inf if state.asked_bytes else state.moved_at + IDLE_S
        return min(state.began_at + SLOW_S, idle_at)

    # --- what follows --------------------------------------------------------------------------------

    def knows(self, member: Member) -> bool:
        return member in self._members

    def has_turn(self, member: Member) -> bool:
        return member in self._turns

    def next_timer(self) -> float:
        """When to call `pass_time` even if nothing happens; infinity for never."""
        if not self._somebody_waits():
            return math.inf
        return min((self._ends_at(self._members[member]) for member in self._in_the_way()), default=math.inf)

    def take_news(self) -> dict[Member, list[int]]:
        """What to tell since the last call: how many more pieces may be asked for; 0 takes back."""
        news, self._news = self._news, {}
        return news
