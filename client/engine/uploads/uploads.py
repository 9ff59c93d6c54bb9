"""Serving others: who visits, who holds a slot, what was sent to whom.

The decisions are in `slots.py` and `rate.py`, the conversation with each connection in `visit.py`.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import trio

from client.engine.bandwidth import Bandwidth
from client.engine.groups import Group
from client.engine.held import Held
from client.engine.meter import RateMeter
from client.engine.network.peers import PeerLink
from client.engine.shares.listing import ListingPage
from client.engine.status import UploadView
from client.engine.uploads import bundles
from client.engine.uploads.closed import ClosedShelf
from client.engine.uploads.news import News
from client.engine.uploads.patrons import Patrons
from client.engine.uploads.previews import Previews, is_preview
from client.engine.uploads.slots import Place, Slots
from client.engine.uploads.swarm import Swarm, View
from client.engine.uploads.visit import CROWDED_RETRY_S, Visit
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import FileId, piece_span
from p2pshare.identity import NodeId, format_node_id
from p2pshare.transport.answers import Incoming
from p2pshare.transport.background import background
from p2pshare.wire.fields import Holder
from p2pshare.wire.peer import Fetch, QueueMoved, ReceiptSigned, SignReceipt
from p2pshare.wire.schema import Message


class Shelf(bundles.Shelf, Protocol):
    """Where the files come from: shares and running downloads."""

    async def hold(self, file: FileId) -> Held | None:
        """None if it is not here. Raises `Refused`."""

    async def hold_offer(self, offer: int) -> Held | None:
        """By its number in our manifest; None if it is not here. Raises `Refused`.

        Hashes it first if need be, and goes on with that when nobody waits for it any longer.
        """

    async def listing(self, folder: str, cursor: bytes) -> ListingPage | None:
        """None if there is no such folder. Raises `BadMessage` for a cursor that is none of ours."""


@dataclass(frozen=True)
class Sent:
    """Bytes of one file that went to one person."""

    person: NodeId
    nick: str
    file: FileId
    bytes: int


@dataclass(eq=False)
class _Guest:
    """A person with at least one connection."""

    nick: str
    connected_at: float  # Unix time
    meter: RateMeter
    sent_bytes: int = 0
    visits: list[Visit] = field(default_factory=list)


class Uploads:
    """`run` beside everything; `attend` for each connection."""

    def __init__(
        self,
        shelf: Shelf,
        patrons: Patrons,
        bandwidth: Bandwidth,
        *,
        weight: Callable[[NodeId], float] = lambda person: 1.0,
        unix_now: Callable[[], float] = time.time,
    ) -> None:
        """`weight` says how much somebody's waiting counts, from 1 to 4."""
        self.shelf = shelf
        self.patrons = patrons
        self.bandwidth = bandwidth
        self.countersign: Callable[[NodeId, SignReceipt], Awaitable[ReceiptSigned]]
        """Signs receipts of what people took; set before anybody comes."""
        self._slots = Slots(patrons.slots(), weight)
        self._previews = Previews()
        self.swarm = Swarm(
            self._tell, holds_slot=self._slots.holds, may_take=lambda person: not patrons.rests_s(person)
        )
        self.on_taker: Callable[[NodeId, FileId], None] = lambda person, file: None
        """Told of everybody who opens a file that we fetch ourselves."""
        self.others: Callable[[NodeId, FileId], tuple[Holder, ...]] = lambda person, file: ()
        """Whom to name to somebody who asks for others of a file."""
        self._unix_now = unix_now
        self._guests: dict[NodeId, _Guest] = {}
        self._sent: dict[tuple[NodeId, FileId], Sent] = {}
        self._news = News()
        self._timer = 0.0
        self._timer_moved = trio.Event()

    # --- calls ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        """End turns in time and spread the news of pieces, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_time)
            nursery.start_soon(self._spread_news)

    async def attend(self, link: PeerLink, requests: AsyncIterator[Incoming]) -> None:
        """Answer what somebody asks until they go. Raises `PeerFault` if they break the protocol."""
        async with self._visiting(link) as visit:
            async for incoming in requests:
                visit.hear(incoming.message)

    def serves(self, node: NodeId) -> bool:
        """Whether they hold a slot or wait for one."""
        return self._slots.knows(node) or (node in self._guests and bool(_files(self._guests[node])))

    def takers(self, file: FileId) -> list[NodeId]:
        """Who has a file open here."""
        return [person for person, guest in self._guests.items() if file in _files(guest)]

    def tell_have(self, file: FileId, piece: int) -> None:
        """A running download verified a piece."""
        self._news.add(file, piece)

    async def renew(self, file: FileId) -> None:
        """A download was finished or moved: who has the file open goes on with the copy that is there now."""
        for guest in list(self._guests.values()):
            for visit in [visit for visit in guest.visits if file in visit.files]:
                await visit.renew(file)

    def set_slots(self, counts: Mapping[Group, int]) -> None:
        """Other numbers of slots, and perhaps other quotas, from now on."""
        now = trio.current_time()
        self._slots.set_counts(counts, now)
        for person in self._guests:
            self._mind_quota(person, now)
        self._tell_changes()

    async def regroup(self, person: NodeId) -> None:
        """They were put into another group."""
        group = self.patrons.group(person)
        self._slots.regroup(person, group, trio.current_time())
        self._mind_quota(person, trio.current_time())
        self._tell_changes()
        if group is Group.BLOCKED and (guest := self._guests.get(person)) is not None:
            for visit in list(guest.visits):
                await visit.aclose()

    def take_sent(self) -> tuple[Sent, ...]:
        """What was sent since the last call, for the statistics."""
        sent = tuple(self._sent.values())
        self._sent.clear()
        return sent

    def rate(self, now: float) -> float:
        """Bytes a second that go out."""
        return sum(guest.meter.rate(now) for guest in self._guests.values())

    def views(self) -> tuple[UploadView, ...]:
        """Who has files open here: holders of slots first, then the queue in order."""
        views = [self._view(person, guest) for person, guest in self._guests.items() if _files(guest)]
        return tuple(sorted(views, key=lambda view: view.position))

    def _view(self, person: NodeId, guest: _Guest) -> UploadView:
        place = self.place(person)
        return UploadView(
            person=format_node_id(person),
            nick=guest.nick,
            files=tuple(held.name for held in _files(guest).values()),
            position=place.position,
            wait_s=place.wait_s,
            group=self.patrons.group(person),
            sent_bytes=guest.sent_bytes,
            rate=guest.meter.rate(trio.current_time()),
            connected_at=guest.connected_at,
        )

    # --- what visits ask and tell --------------------------------------------------------------------

    def shelf_for(self, person: NodeId) -> Shelf:
        """What is there for somebody."""
        return ClosedShelf() if self.patrons.group(person) is Group.BLOCKED else self.shelf

    def make_room_for(self, visit: Visit, held: Held, ticket: bytes) -> None:
        """Somebody opens a file: into the queue with them, unless it is given in turns. `ticket` may show
        since when they wait.

        Raises `Refused`.
        """
        person, file, now = visit.person, held.file, trio.current_time()
        open_files, most = _files(self._guests[person]), self.patrons.rules(person).open_files
        if file not in open_files and len(open_files) >= most:
            raise Refused(Reason.TOO_MUCH, f"At most {most} files may be open at a time.", CROWDED_RETRY_S)
        if held.pieces is not None or self.swarm.in_turns(person, file):
            return
        waited_s = 0.0
        if not self._slots.knows(person):
            waited_s = self.patrons.waited_s_untrusted(person, ticket)
        self._slots.join(person, self.patrons.group(person), now, since=now - waited_s)
        self._mind_quota(person, now)
        self._tell_changes(but=person)  # they are told where they stand by `file_opened`

    def opens(self, person: NodeId, held: Held) -> View:
        """They have it open now. To be told to them before anything else is."""
        view = self.swarm.opens(person, held, trio.current_time())
        if view.turns:
            self.on_taker(person, held.file)
        return view

    def tell_swarm(self) -> None:
        """Say what there is to say to those who exchange files."""
        self.swarm.tell(trio.current_time())
        self._mind_timer()

    def place(self, person: NodeId) -> Place:
        """Where somebody stands who has a file open."""
        if not self._slots.knows(person):
            has_turn = any(self.swarm.has_turn(person, file) for file in _files(self._guests[person]))
            return Place(0 if has_turn else 1, 0)
        return self._slots.place(person, trio.current_time())

    def newcomer_wait_s(self) -> int:
        """How long somebody new would wait for a slot; 0 if one is free."""
        return self._slots.newcomer_wait_s(trio.current_time())

    def queue_ticket(self, person: NodeId, *, again: bool = False) -> bytes:
        """For somebody who waits, if they need another than they were given, or are to be told `again`."""
        since = self._slots.since(person)
        if since is None:
            return b""
        return self.patrons.ticket(person, trio.current_time() - since, again=again)

    def begin_preview(self, person: NodeId, fetch: Fetch, held: Held) -> None:
        """Somebody without a slot wants to look at something. Raises `Refused`."""
        if not is_preview(fetch.first, fetch.count, held.size, held.piece_size):
            raise Refused(
                Reason.NO_SLOT, "Without a slot only the beginning and the end of a file can be had."
            )
        if any(visit.previews for visit in self._guests[person].visits):
            raise Refused(Reason.TOO_MUCH, "One preview at a time.", CROWDED_RETRY_S)
        if (rests_s := self.patrons.rests_s(person)) > 0:
            raise Refused(Reason.TOO_MUCH, "Your share for now is used up.", math.ceil(rests_s))
        first, _ = piece_span(fetch.first, held.size, held.piece_size)
        last, length = piece_span(fetch.first + fetch.count - 1, held.size, held.piece_size)
        self._previews.begin(person, last + length - first, trio.current_time())

    def takes_turn(self, person: NodeId, fetch: Fetch) -> bool:
        """They ask for pieces of a file that is given in turns. Whether they may have them."""
        may = self.swarm.asks(person, fetch.file, fetch.first, fetch.count, trio.current_time())
        self._mind_timer()
        return may

    def dropped(self, person: NodeId, file: FileId) -> None:
        """They closed a file on one of their connections."""
        now, left = trio.current_time(), _files(self._guests[person])
        if file not in left:
            self.swarm.closes(person, file, now)
        if all(self.swarm.in_turns(person, other) for other in left):
            self._slots.leave(person, now)
        self._tell_changes()

    def holds_slot(self, person: NodeId) -> bool:
        return self._slots.holds(person)

    def busy(self, person: NodeId) -> None:
        """They asked for data."""
        self._slots.busy(person)
        self._tell_changes()

    def rests(self, person: NodeId) -> None:
        """One of their connections answered everything."""
        if not any(visit.waits_for_data for visit in self._guests[person].visits):
            self._slots.idle(person, trio.current_time())
            self.swarm.answered(person, trio.current_time())
            self._tell_changes()

    def was_sent(self, person: NodeId, file: FileId, size: int) -> None:
        """They were sent `size` bytes."""
        now = trio.current_time()
        guest = self._guests[person]
        guest.sent_bytes += size
        guest.meter.add(size, now)
        before = self._sent.get((person, file))
        self._sent[person, file] = Sent(person, guest.nick, file, size + (before.bytes if before else 0))
        self._slots.sent(person, size, now)
        self.swarm.sent(person, file, size, now)
        self.patrons.sent(person, size)
        self._mind_quota(person, now)
        self._tell_changes()

    def _mind_quota(self, person: NodeId, now: float) -> None:
        rests_s = self.patrons.rests_s(person)
        self._slots.rest(person, now + rests_s if rests_s else -math.inf, now)

    # --- who is here ---------------------------------------------------------------------------------

    @asynccontextmanager
    async def _visiting(self, link: PeerLink) -> AsyncIterator[Visit]:
        guest = self._guests.get(link.node)
        if guest is None:
            guest = _Guest(link.nick, self._unix_now(), RateMeter(trio.current_time()))
            self._guests[link.node] = guest
        guest.nick = link.nick or guest.nick
        visit: Visit | None = None
        try:
            async with background() as nursery:
                visit = Visit(self, link.channel, nursery, link.haves)
                guest.visits.append(visit)
                nursery.start_soon(visit.send)
                yield visit
        finally:  # only now does no task of the visit run any more
            if visit is not None:
                await self._leave(link.node, guest, visit)

    async def _leave(self, person: NodeId, guest: _Guest, visit: Visit) -> None:
        guest.visits.remove(visit)
        for file in visit.files.keys() - _files(guest).keys():
            self.swarm.closes(person, file, trio.current_time())
        if visit.files and not _files(guest):
            self._slots.lost(person, trio.current_time())
            self._tell_changes()
        if not guest.visits:
            del self._guests[person]
            self.patrons.gone(person)
            self.swarm.forget(person)
            self.bandwidth.forget(person)
        with trio.CancelScope(shield=True):
            await visit.aclose()

    # --- telling -------------------------------------------------------------------------------------

    def _tell_changes(self, but: NodeId | None = None) -> None:
        now = trio.current_time()
        for person in self._slots.take_served():
            self.patrons.served(person)
        for person, place in self._slots.changes(now).items():
            if person != but and (guest := self._guests.get(person)) is not None:
                ticket = self.queue_ticket(person)
                moved = QueueMoved(position=place.position, wait_s=place.wait_s, queue_ticket=ticket)
                for visit in guest.visits:
                    visit.channel.post(moved)
                self.swarm.slots_moved()
        self.swarm.tell(now)
        self._mind_timer()

    def _mind_timer(self) -> None:
        if min(self._slots.next_timer(), self.swarm.next_timer()) < self._timer:
            self._timer_moved.set()

    def _tell(self, person: NodeId, file: FileId, message: Message) -> None:
        """To who has a file open, on one connection."""
        if (guest := self._guests.get(person)) is not None:
            if (visit := next((each for each in guest.visits if file in each.files), None)) is not None:
                visit.channel.post(message)

    async def _keep_time(self) -> None:
        while True:
            self._timer_moved = trio.Event()
            self._timer = min(self._slots.next_timer(), self.swarm.next_timer())
            with trio.move_on_at(self._timer):
                await self._timer_moved.wait()
            self._slots.pass_time(trio.current_time())
            self.swarm.pass_time(trio.current_time())
            self._tell_changes()

    async def _spread_news(self) -> None:
        while True:
            for file, pieces in (await self._news.collect()).items():
                for guest in self._guests.values():
                    for visit in guest.visits:
                        visit.tell_have(file, tuple(pieces))
                self.swarm.gained(file, pieces, trio.current_time())
            self._mind_timer()


def _files(guest: _Guest) -> dict[FileId, Held]:
    """Everything they have open, on any connection."""
    return {file: held for visit in guest.visits for file, held in visit.files.items()}
