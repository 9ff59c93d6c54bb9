"""Which piece to ask of whom.

Rule 1: nothing here awaits, sleeps, or reads a clock; `now` is given, and chance comes from a seed.
Rule 2: a source is only ever judged by what it delivered, never by what it promised.

A piece is free, asked for, or done. `assign` asks for free pieces, the rarest first, in runs of neighbours as
long as that costs nothing. Once no free piece can be had it asks for pieces a second time where that should
bring them sooner (the end game); the loser of such a race is named in a `Cancel`. A source that goes silent
keeps its requests, but they become free for the others.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Iterable, Sequence

from client.engine.downloads.pace import Pace
from client.engine.downloads.pieces import Pieces, Rarity
from client.engine.downloads.source import Ask, Cancel, Source
from client.engine.downloads.urgent import Urgent
from p2pshare.identity import NodeId
from p2pshare.limits import FETCH_PIECES_MAX
from p2pshare.ranges import RangeSet

SNUB_S = 45.0  # of silence; one data message of 1 MiB passes in that time at 23 kB/s
RACERS_MAX = 4  # sources asked for one piece at the same time
RACE_GAIN = 0.7  # a second request must promise to need at most this part of the first one's time
RACE_RESCUE = 0.1  # the same for those beyond RACES_PART
RACES_PART = 0.01  # of all pieces may be raced for a small gain, so that no more than that comes twice
RACES_MIN = 2
RACE_DEPTH = 8  # pieces at the end of each source's list that a race may be about
RACE_CHECK_S = 0.5  # how often to look whether a race became worth while
RUNS_LEFT = 2  # runs that should be left for each source: they shorten towards the end of a file


class Plan:
    """The plan of one download, from the first source to the last piece."""

    def __init__(self, piece_count: int, piece_size: int, done: RangeSet, seed: int) -> None:
        """`done` are the pieces verified before."""
        self.duplicates = 0  # pieces that came although they were here
        self._pieces = Pieces(piece_count)
        self._piece_size = piece_size
        self._done = self._pieces.of(done)
        self._free = self._pieces.all ^ self._done
        self._rarity = Rarity(self._pieces)
        self._urgent = Urgent(self._pieces, piece_size)
        self._resting: frozenset[NodeId] = frozenset()
        self._sources: dict[NodeId, Source] = {}
        self._asked: dict[int, list[NodeId]] = {}  # by piece
        self._liars: set[NodeId] = set()
        self._races = 0  # second requests so far
        self._races_for_small_gain = max(RACES_MIN, int(piece_count * RACES_PART))
        self._chance = random.Random(seed)

    # --- what is there -------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        return self._done == self._pieces.all

    @property
    def missing(self) -> int:
        """How many pieces."""
        return (self._pieces.all ^ self._done).bit_count()

    def needs(self, piece: int) -> bool:
        return not self._done & self._pieces.one(piece)

    def bitmap(self) -> bytes:
        """The pieces done, as in `RangeSet.to_bitmap`."""
        return self._pieces.bitmap(self._done)

    def done_pieces(self) -> list[int]:
        ranges = RangeSet.from_bitmap(self.bitmap(), self._pieces.count)
        return [piece for pieces in ranges for piece in pieces]

    def rate(self, source: NodeId) -> float:
        """What a source delivers, in bytes a second; 0 while unknown."""
        return (self._sources[source].pace.rate or 0.0) * self._piece_size

    def window(self, source: NodeId) -> int:
        """Pieces that may wait at a source at the same time."""
        return self._sources[source].pace.window

    def waiting(self, source: NodeId) -> int:
        """Pieces that do wait there."""
        return len(self._sources[source].asked)

    def lied(self, source: NodeId) -> bool:
        return source in self._liars

    def prefer(self, pieces: Sequence[int]) -> None:
        """These are wanted before all others, in this order, instead of those preferred before."""
        self._urgent.want(pieces)
        self._urgent.arrived(self._done)

    def rest(self, sources: Collection[NodeId]) -> bool:
        """Nothing is asked of these for now but what is preferred. Whether these are others than before."""
        before, self._resting = self._resting, frozenset(sources)
        return before != self._resting

    def asks(self, source: NodeId) -> bool:
        """Whether something is asked of it and not here yet."""
        at = self._sources.get(source)
        return at is not None and bool(at.asked)

    # --- sources come and go -------------------------------------------------------------------------

    def source_joined(self, source: NodeId, pieces: RangeSet | None) -> None:
        """`pieces` None: all. It is asked once it is ready. A liar, or one that is here, does not join."""
        if source in self._sources or source in self._liars:
            return
        held = self._pieces.all if pieces is None else self._pieces.of(pieces)
        pace = Pace(self._piece_size, careful=bool(self._urgent.wanted))
        self._sources[source] = Source(held, pieces is None, pace)
        if pieces is not None:
            self._rarity.add(held)

    def source_hides(self, source: NodeId) -> None:
        """It holds the pieces that it did not name, too: they may be asked for if they are preferred."""
        if (at := self._sources.get(source)) is not None:
            at.hidden = self._pieces.all & ~at.held

    def source_allows(self, source: NodeId, pieces: int) -> None:
        """It gives in turns: so many more pieces may be asked for; 0 takes back what was not used."""
        if (at := self._sources.get(source)) is not None:
            at.ready = True
            at.allowed = (at.allowed or 0) + pieces if pieces else 0

    def source_left(self, source: NodeId) -> None:
        """Whatever was asked of it is free again."""
        gone = self._sources.pop(source, None)
        if gone is None:
            return
        if not gone.complete:
            self._rarity.remove(gone.held)
        for piece in gone.asked:
            self._unask(source, piece)

    def source_ready(self, source: NodeId) -> None:
        """It gave us a slot."""
        if source in self._sources:
            self._sources[source].ready = True

    def source_waits(self, source: NodeId) -> None:
        """It took the slot back. What was asked of it is still answered, with data or by refusing."""
        if source in self._sources:
            self._sources[source].ready = False

    def source_has(self, source: NodeId, pieces: Iterable[int]) -> None:
        """An incomplete source has more; numbers beyond the file mean nothing."""
        at = self._sources.get(source)
        if at is None or at.complete:
            return
        more = 0
        for piece in pieces:
            if piece < self._pieces.count:
                more |= self._pieces.one(piece)
        more &= ~at.held
        at.held |= more
        at.hidden &= ~more
        self._rarity.add(more)

    # --- what they deliver ---------------------------------------------------------------------------

    def heard(self, source: NodeId, now: float) -> None:
        """A part of a piece came: the source is alive."""
        at = self._sources.get(source)
        if at is None:
            return
        at.pace.waiting_since = now
        if at.pace.snubbed:
            at.pace.snubbed = False
            for piece in at.asked:
                self._free &= ~self._pieces.one(piece)

    def piece_arrived(self, source: NodeId, piece: int, now: float) -> tuple[Cancel, ...]:
        """A piece is verified and written. Names the requests that are needless now."""
        self.heard(source, now)
        at = self._sources.get(source)
        run = at.asked.get(piece) if at is not None else None
        if at is not None and run is not None:
            at.pace.arrived(run.asked_at, run.delivered_then, now)
        if not self.needs(piece):
            self.duplicates += 1
            return ()
        self._done |= self._pieces.one(piece)
        if self._urgent.wanted:
            self._urgent.arrived(self._pieces.one(piece))
        self._free &= ~self._pieces.one(piece)
        cancels = []
        for racer in self._asked.pop(piece, ()):
            ended = self._sources[racer].take(piece)
            last_of_it = racer == source and piece == ended.ask.end - 1
            if not ended.left and not last_of_it:
                cancels.append(Cancel(racer, ended.ask.first))
        return tuple(cancels)

    def piece_bad(self, source: NodeId, piece: int) -> None:
        """The piece was not what it should be: its sender is dropped and never asked again."""
        self._liars.add(source)
        self.source_left(source)

    def ended(self, source: NodeId, first: int, *, lacks: bool = False) -> None:
        """A request was refused, or ended before its last piece; what is missing of it is free again.

        `lacks`: and this source is not asked for it again.
        """
        at = self._sources.get(source)
        if at is None:
            return
        for piece in [piece for piece, run in at.asked.items() if run.ask.first == first]:
            at.previews &= not at.take(piece).ask.preview
            self._unask(source, piece)
            if lacks:
                self._lacks(at, piece)

    # --- what to do next -----------------------------------------------------------------------------

    def assign(self, now: float) -> tuple[Ask, ...]:
        """What to ask now. Call it after whatever happened, and at `next_timer`."""
        self._snub_the_silent(now)
        asks = self._urgent.asks(self._sources, self._free, self._asked, now) if self._urgent.wanted else []
        for urgent in asks:
            self._note(urgent, now)
        able = sorted(self._with_room(), key=lambda each: -(each[1].pace.rate or 0.0))
        if not able:
            return tuple(asks)
        run_max = max(1, min(FETCH_PIECES_MAX, self._free.bit_count() // (RUNS_LEFT * len(self._sources))))
        idle = []
        while able:  # a run for each in turn, so that a small file comes from everybody
            for source, at in able:
                if ask := self._next_run(source, at, min(at.room, run_max)):
                    self._note(ask, now)
                    asks.append(ask)
                else:
                    idle.append(source)
            able = [(source, at) for source, at in able if at.room and source not in idle]
        if idle and not self._free_at_somebody():
            asks += self._second_requests(idle, now)
        return tuple(asks)

    def next_timer(self, now: float) -> float:
        """When to call `assign` even if nothing happens; infinity for never."""
        silent = (at.pace.waiting_since for at in self._sources.values() if at.asked and not at.pace.snubbed)
        timer = min(silent, default=math.inf) + SNUB_S
        if self._asked and any(self._with_room()):
            timer = min(timer, now + RACE_CHECK_S)
        return timer

    def _with_room(self) -> Iterable[tuple[NodeId, Source]]:
        working = (each for each in self._sources.items() if each[0] not in self._resting)
        return ((source, at) for source, at in working if at.ready and at.room)

    def _next_run(self, source: NodeId, at: Source, most: int) -> Ask | None:
        wanted = self._free & at.held & ~self._urgent.kept_back
        if not wanted:
            return None
        wanted = self._rarity.rarest(wanted)
        start = self._chance.randrange(self._pieces.count)
        behind = at.next_piece
        if behind is not None and behind < self._pieces.count and wanted & self._pieces.one(behind):
            start = behind
        first = self._pieces.first_from(wanted, start)
        return Ask(source, first, self._pieces.run(wanted, first, most))

    def _free_at_somebody(self) -> bool:
        return any(at.ready and at.held & self._free for at in self._sources.values())

    def _second_requests(self, idle: list[NodeId], now: float) -> Iterable[Ask]:
        """Second requests for what should come last, where that should bring it sooner."""
        expected: dict[int, float] = {}
        for at in self._sources.values():
            for place, piece in list(enumerate(at.asked))[-RACE_DEPTH:]:
                expected[piece] = min(expected.get(piece, math.inf), at.pace.expected_s(place, now))
        latest_first = sorted(expected, key=lambda piece: -expected[piece])
        for source in idle:
            at = self._sources[source]
            for piece in latest_first:
                anew_s = at.pace.expected_anew_s(len(at.asked))
                gain = RACE_GAIN if self._races < self._races_for_small_gain else RACE_RESCUE
                if not at.room or anew_s > expected[piece] * gain:
                    break
                racers = self._asked[piece]
                if len(racers) < RACERS_MAX and source not in racers and at.held & self._pieces.one(piece):
                    ask = Ask(source, piece, 1)
                    self._note(ask, now)
                    self._races += 1
                    yield ask

    def _snub_the_silent(self, now: float) -> None:
        for at in self._sources.values():
            if at.asked and not at.pace.snubbed and now - at.pace.waiting_since >= SNUB_S:
                at.pace.snub()
                for piece in at.asked:
                    self._free_if_unasked(piece)

    # --- bookkeeping ---------------------------------------------------------------------------------

    def _note(self, ask: Ask, now: float) -> None:
        self._sources[ask.source].note(ask, now)
        self._free &= ~self._pieces.span(ask.first, ask.count)
        for piece in range(ask.first, ask.end):
            self._asked.setdefault(piece, []).append(ask.source)

    def _unask(self, source: NodeId, piece: int) -> None:
        racers = self._asked[piece]
        racers.remove(source)
        if not racers:
            del self._asked[piece]
        self._free_if_unasked(piece)

    def _free_if_unasked(self, piece: int) -> None:
        if self.needs(piece) and all(
            self._sources[racer].pace.snubbed for racer in self._asked.get(piece, ())
        ):
            self._free |= self._pieces.one(piece)

    def _lacks(self, at: Source, piece: int) -> None:
        if at.complete:  # from now on it counts as an incomplete one
            at.complete = False
            self._rarity.add(at.held)
        at.hidden &= ~self._pieces.one(piece)
        if at.held & self._pieces.one(piece):
            at.held ^= self._pieces.one(piece)
            self._rarity.remove(self._pieces.one(piece))
