"""One source as the plan sees it: what it holds, and what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from client.engine.downloads.pace import Pace
from p2pshare.identity import NodeId
from p2pshare.limits import FETCHES_OPEN_MAX

REFILL_PART = 4  # a window is refilled when this part of it is empty, so that requests are runs


@dataclass(frozen=True)
class Ask:
    """Ask `source` for `count` pieces from `first` on."""

    source: NodeId
    first: int
    count: int
    preview: bool = False  # in the small lane, as we have no slot there

    @property
    def end(self) -> int:
        return self.first + self.count


@dataclass(frozen=True)
class Cancel:
    """What was asked of `source` from `first` on is no longer wanted. It may have been answered meanwhile."""

    source: NodeId
    first: int


@dataclass(eq=False, slots=True)
class Run:
    """An open request."""

    ask: Ask
    asked_at: float
    delivered_then: int  # by its source, when this was asked
    left: int  # pieces still wanted of it


@dataclass(eq=False, slots=True)
class Source:
    """Somebody who holds the file or a part of it."""

    held: int  # a set of pieces, see `Pieces`
    complete: bool
    pace: Pace
    ready: bool = False  # we have a slot there
    previews: bool = True  # without one, it has not refused us a look at the file yet
    asked: dict[int, Run] = field(default_factory=dict)  # by piece, oldest first
    runs: int = 0
    next_piece: int | None = None  # behind the last run: going on there lets it read ahead
    allowed: int | None = None  # pieces that we may ask for, where it gives in turns
    hidden: int = 0  # a set of pieces that it holds and would rather not give yet

    @property
    def reach(self) -> int:
        """What can be had of it if need be."""
        return self.held | self.hidden

    @property
    def room(self) -> int:
        """Pieces to ask for now."""
        if self.allowed == 0:  # as most of a swarm at any moment
            return 0
        window = self.pace.window
        room = window - len(self.asked)
        room = room if room * REFILL_PART >= window and self.runs < FETCHES_OPEN_MAX else 0
        return room if self.allowed is None else min(room, self.allowed)

    def note(self, ask: Ask, now: float) -> None:
        """This is asked of it now."""
        if not self.asked:
            self.pace.waiting_since = now
        run = Run(ask, now, self.pace.delivered, ask.count)
        self.asked.update((piece, run) for piece in range(ask.first, ask.end))
        self.runs += 1
        if self.allowed is not None:
            self.allowed -= ask.count
        self.next_piece = ask.end

    def take(self, piece: int) -> Run:
        """The piece is asked of it no longer."""
        run = self.asked.pop(piece)
        run.left -= 1
        if not run.left:
            self.runs -= 1
        if not self.asked:
            self.pace.snubbed = False  # whatever it is asked next is a new chance
        return run
