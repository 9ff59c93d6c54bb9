"""A swarm of up to a thousand, event by event.

What decides is the real thing: the plan of a download, the turns of an exchange, the slots of the seed and
what it shows, and how an index server deals out sources. What is left out: bytes, encryption, and the way
people meet. They know their neighbours from the first moment on; an uplink sends whole pieces one after the
other.
"""

from __future__ import annotations

import heapq
import itertools
import operator
import random
from collections import deque
from collections.abc import Callable
from functools import partial

from client.engine.downloads.plan import Plan
from client.engine.groups import Group
from client.engine.uploads.exchange import Exchange
from client.engine.uploads.news import PAUSE_S
from client.engine.uploads.showing import Showing
from client.engine.uploads.slots import Slots
from index_server.search.deal import Dealer
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.limits import OTHERS_MAX
from p2pshare.ranges import RangeSet
from scripts.bench.swarm_outcome import Outcome, Task

DELAY_S = 0.02  # one way
TOGETHER_S = 0.01  # what happens to somebody within so long is dealt with together
FILE = FileId(bytes(32))
SLOTS = {Group.EVERYONE: 4, Group.CONTACTS: 1, Group.TRUSTED: 1}
SEED_LINKS_MAX = 500  # as many connections of others a client takes


class Clock:
    """Events in the order of time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, time: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (time, next(self._order), event))

    def later(self, seconds: float, event: Callable[[], None]) -> None:
        self.at(self.now + seconds, event)

    def run(self, done: Callable[[], bool]) -> None:
        while not done():
            self.now, _, event = heapq.heappop(self._events)
            event()


class Uplink:
    """Sends one piece after the other."""

    def __init__(self, clock: Clock, piece_s: float) -> None:
        self._clock = clock
        self._piece_s = piece_s
        self._queue: deque[tuple[Callable[[], bool], Callable[[], None]]] = deque()
        self._busy = False

    def send(self, still_wanted: Callable[[], bool], sent: Callable[[], None]) -> None:
        self._queue.append((still_wanted, sent))
        self._begin()

    def _begin(self) -> None:
        while self._queue and not self._busy:
            still_wanted, sent = self._queue.popleft()
            if still_wanted():
                self._busy = True
                self._clock.later(self._piece_s, partial(self._end, sent))

    def _end(self, sent: Callable[[], None]) -> None:
        self._busy = False
        sent()
        self._begin()


class Giver:
    """What the seed and everybody else have in common."""

    def __init__(self, swarm: Swarm, node: NodeId) -> None:
        self.swarm = swarm
        self.node = node
        self.uplink = Uplink(swarm.clock, swarm.task.piece_size / swarm.task.uplink)

    def asked(self, taker: Peer, first: int, count: int) -> None:
        raise NotImplementedError

    def has(self, taker: Peer, pieces: tuple[int, ...]) -> None:
        raise NotImplementedError

    def deliver(self, taker: Peer, piece: int) -> None:
        self.swarm.clock.later(DELAY_S, partial(taker.arrived, self, piece))


class Seed(Giver):
    """Holds everything; gives by slots, and shows a part at a time."""

    def __init__(self, swarm: Swarm, node: NodeId) -> None:
        super().__init__(swarm, node)
        self.slots = Slots(SLOTS)
        self.showing = Showing(swarm.task.pieces, swarm.task.piece_size, 1)
        self.takers: dict[NodeId, Peer] = {}
        self.sent_pieces = 0
        self.sent_until_all_out = 0
        self._out: set[int] = set()
        self._open: dict[NodeId, int] = {}

    def opens(self, taker: Peer) -> None:
        self.takers[taker.node] = taker
        shown = self.showing.join(taker.node)
        pieces = None if shown is None else RangeSet.from_bitmap(shown, self.swarm.task.pieces)
        taker.plan.source_joined(self.node, pieces)
        self.slots.join(taker.node, Group.EVERYONE, self.swarm.clock.now)
        self.tell()

    def leaves(self, taker: Peer) -> None:
        del self.takers[taker.node]
        self.showing.leave(taker.node)
        self.slots.leave(taker.node, self.swarm.clock.now)
        self.tell()

    def pass_time(self) -> None:
        self.slots.pass_time(self.swarm.clock.now)
        self.tell()
        self.swarm.clock.later(0.5, self.pass_time)

    def tell(self) -> None:
        clock = self.swarm.clock
        for node, place in self.slots.changes(clock.now).items():
            if (taker := self.takers.get(node)) is not None:
                clock.later(DELAY_S, partial(taker.stands, self.node, place.position == 0))
        for node, pieces in self.showing.show(self.slots.holds).items():
            clock.later(DELAY_S, partial(self.takers[node].hears, self.node, tuple(pieces)))

    def has(self, taker: Peer, pieces: tuple[int, ...]) -> None:
        self.showing.has(taker.node, pieces)
        self.tell()

    def asked(self, taker: Peer, first: int, count: int) -> None:
        if not self.slots.holds(taker.node):
            return self.swarm.clock.later(DELAY_S, partial(taker.refused, self.node, first))
        self.slots.busy(taker.node)
        self._open[taker.node] = self._open.get(taker.node, 0) + count
        for piece in range(first, first + count):
            self.uplink.send(partial(self._serves, taker, first), partial(self._sent, taker, piece))

    def _serves(self, taker: Peer, first: int) -> bool:
        if self.slots.holds(taker.node):
            return True
        self._open[taker.node] = 0
        self.swarm.clock.later(DELAY_S, partial(taker.refused, self.node, first))
        return False

    def _sent(self, taker: Peer, piece: int) -> None:
        now = self.swarm.clock.now
        self.sent_pieces += 1
        self._out.add(piece)
        if len(self._out) < self.swarm.task.pieces:
            self.sent_until_all_out = self.sent_pieces + 1
        self._open[taker.node] = max(0, self._open[taker.node] - 1)
        self.slots.sent(taker.node, self.swarm.task.piece_size, now)
        if not self._open[taker.node]:
            self.slots.idle(taker.node, now)
        self.showing.gave(taker.node, piece, now)
        self.deliver(taker, piece)
        self.tell()


class Peer(Giver):
    """Fetches the file, and gives of it in turns."""

    def __init__(self, swarm: Swarm, node: NodeId, gives: bool) -> None:
        super().__init__(swarm, node)
        self.gives = gives
        self.plan = Plan(swarm.task.pieces, swarm.task.piece_size, RangeSet(), swarm.chance.getrandbits(64))
        self.exchange = Exchange()
        self.near: dict[NodeId, Giver] = {}
        self.finished_at: float | None = None
        self.wasted = 0
        self._gained: list[int] = []
        self._timer = False
        self._arranging = False

    # --- fetching

    def stands(self, giver: NodeId, ready: bool) -> None:
        (self.plan.source_ready if ready else self.plan.source_waits)(giver)
        self.arrange()

    def hears(self, giver: NodeId, pieces: tuple[int, ...]) -> None:
        self.plan.source_has(giver, pieces)
        self.arrange()

    def allowed(self, giver: NodeId, pieces: int) -> None:
        self.plan.source_allows(giver, pieces)
        self.arrange()

    def refused(self, giver: NodeId, first: int) -> None:
        self.plan.ended(giver, first)
        self.arrange()

    def arrange(self) -> None:
        """Once for everything that happens in the same moment."""
        if not self._arranging:
            self._arranging = True
            self.swarm.clock.later(TOGETHER_S, self._arrange)

    def _arrange(self) -> None:
        self._arranging = False
        if self.finished_at is None:
            for ask in self.plan.assign(self.swarm.clock.now):
                giver = self.near[ask.source]
                self.swarm.clock.later(DELAY_S, partial(giver.asked, self, ask.first, ask.count))

    def arrived(self, giver: Giver, piece: int) -> None:
        now = self.swarm.clock.now
        if not self.plan.needs(piece):
            self.wasted += 1
        self.plan.piece_arrived(giver.node, piece, now)
        self.exchange.gave(giver.node, self.swarm.task.piece_size)
        if not self._gained:
            self.swarm.clock.later(PAUSE_S, self._tell_news)
        self._gained.append(piece)
        self.swarm.gained += 1
        if self.plan.done and self.finished_at is None:
            self.finished_at = now
            self.swarm.clock.later(PAUSE_S + 0.01, self._close)
        else:
            self.arrange()

    def _tell_news(self) -> None:
        pieces, self._gained = tuple(self._gained), []
        for giver in self.near.values():
            self.swarm.clock.later(DELAY_S, partial(giver.has, self, pieces))
        if self.gives:
            for giver in self.near.values():
                if isinstance(giver, Peer) and giver.finished_at is None:
                    self.swarm.clock.later(DELAY_S, partial(giver.hears, self.node, pieces))
            self.exchange.gained(FILE, pieces, self.swarm.clock.now)
            self.tell()

    def _close(self) -> None:
        for giver in self.near.values():
            if isinstance(giver, Peer):
                giver.exchange.leave((self.node, FILE), self.swarm.clock.now)
                giver.tell()
            elif isinstance(giver, Seed):
                giver.leaves(self)

    # --- giving

    def opens(self, taker: Peer) -> None:
        if self.gives:
            pieces = self.swarm.task.pieces
            taker.plan.source_joined(self.node, RangeSet())
            taker.plan.source_allows(self.node, 0)
            member = (taker.node, FILE)
            self.exchange.join(member, pieces, self.swarm.task.piece_size, self.plan.bitmap(), 0.0)

    def has(self, taker: Peer, pieces: tuple[int, ...]) -> None:
        self.exchange.has((taker.node, FILE), pieces)

    def asked(self, taker: Peer, first: int, count: int) -> None:
        if not self.exchange.asks((taker.node, FILE), first, count, self.swarm.clock.now):
            return self.swarm.clock.later(DELAY_S, partial(taker.refused, self.node, first))
        for piece in range(first, first + count):
            self.uplink.send(partial(taker.plan.needs, piece), partial(self._sent, taker, piece))
        self.tell()

    def _sent(self, taker: Peer, piece: int) -> None:
        self.exchange.sent((taker.node, FILE), self.swarm.task.piece_size, self.swarm.clock.now)
        self.deliver(taker, piece)
        self.tell()

    def tell(self) -> None:
        clock = self.swarm.clock
        for (node, _), grants in self.exchange.take_news().items():
            for pieces in grants:
                clock.later(DELAY_S, partial(self.swarm.peers[node].allowed, self.node, pieces))
        timer = self.exchange.next_timer()
        if not self._timer and timer < float("inf"):
            self._timer = True
            clock.at(max(timer, clock.now + 0.01), self._pass_time)

    def _pass_time(self) -> None:
        self._timer = False
        self.exchange.pass_time(self.swarm.clock.now)
        self.tell()


class Swarm:
    """Everybody, from the moment at which all want the file."""

    def __init__(self, task: Task, seed: int, free_riders: int = 0) -> None:
        self.task = task
        self.clock = Clock()
        self.chance = random.Random(seed)
        self.gained = 0
        self.growth: list[tuple[float, float]] = []
        nodes = [NodeId(number.to_bytes(32, "big")) for number in range(1, task.people + 2)]
        self.seed = Seed(self, nodes[-1])
        self.peers = {
            node: Peer(self, node, gives=number >= free_riders) for number, node in enumerate(nodes[:-1])
        }
        self.honest = [peer for peer in self.peers.values() if peer.gives]
        self._meet(list(self.peers.values()))

    def _meet(self, peers: list[Peer]) -> None:
        dealer = Dealer(self.chance)
        for number, peer in enumerate(peers):
            named = dealer.deal(
                0, len(peers), lambda: ([], [*range(len(peers))]), OTHERS_MAX, partial(operator.ne, number)
            )
            for other in map(peers.__getitem__, named):
                peer.near[other.node], other.near[peer.node] = other, peer
        order = list(peers)
        self.chance.shuffle(order)
        for peer in order[:SEED_LINKS_MAX]:
            peer.near[self.seed.node] = self.seed
            self.seed.opens(peer)
        for peer in peers:
            for giver in peer.near.values():
                if isinstance(giver, Peer):
                    giver.opens(peer)

    def run(self) -> Outcome:
        self.seed.pass_time()
        self._sample()
        self.clock.run(lambda: all(peer.finished_at is not None for peer in self.honest))
        self.growth.append((self.clock.now, self.gained / self.task.pieces))
        return Outcome(
            "model",
            self.task,
            finished=[peer.finished_at for peer in self.honest if peer.finished_at is not None],
            growth=self.growth,
            wasted_bytes=sum(peer.wasted for peer in self.peers.values()) * self.task.piece_size,
            seed_bytes=self.seed.sent_until_all_out * self.task.piece_size,
        )

    def _sample(self) -> None:
        self.growth.append((self.clock.now, self.gained / self.task.pieces))
        self.clock.later(self.task.copy_s / 200, self._sample)


def run_model(task: Task, seed: int = 1, free_riders: int = 0) -> Outcome:
    """`free_riders` of the people give nothing; then only the others are waited for."""
    return Swarm(task, seed, free_riders).run()
