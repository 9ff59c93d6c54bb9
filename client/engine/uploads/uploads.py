"""Serving others: who visits, who holds a slot, what was sent to whom.

The decisions are in `slots.py` and `rate.py`, the conversation with each connection in `visit.py`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import trio

from client.engine.held import Held
from client.engine.meter import RateMeter
from client.engine.network.peers import PeerLink
from client.engine.rate import RateLimit
from client.engine.shares.listing import ListingPage
from client.engine.status import UploadView
from client.engine.uploads.slots import Slots
from client.engine.uploads.visit import CROWDED_RETRY_S, Visit
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId, format_node_id
from p2pshare.limits import OPEN_FILES_MAX
from p2pshare.transport.background import background
from p2pshare.transport.channel import Incoming
from p2pshare.wire.peer import QueueMoved

HAVE_PAUSE_S = 0.25  # new pieces of a running download are told together, this often


class Shelf(Protocol):
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
        self, shelf: Shelf, *, slots: int, bytes_per_s: int, unix_now: Callable[[], float] = time.time
    ) -> None:
        """`bytes_per_s` 0: no limit."""
        self.shelf = shelf
        self.limit = RateLimit(bytes_per_s)
        self._slots = Slots(slots)
        self._unix_now = unix_now
        self._guests: dict[NodeId, _Guest] = {}
        self._sent: dict[tuple[NodeId, FileId], Sent] = {}
        self._gained: dict[FileId, list[int]] = {}
        self._news = trio.Event()
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
        return self._slots.knows(node)

    def tell_have(self, file: FileId, piece: int) -> None:
        """A running download verified a piece."""
        self._gained.setdefault(file, []).append(piece)
        self._news.set()

    async def renew(self, file: FileId) -> None:
        """A download was finished or moved: who has the file open goes on with the copy that is there now."""
        for guest in list(self._guests.values()):
            for visit in [visit for visit in guest.visits if file in visit.files]:
                await visit.renew(file)

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
        position, wait_s = self.place(person)
        return UploadView(
            person=format_node_id(person),
            nick=guest.nick,
            files=tuple(held.name for held in _files(guest).values()),
            position=position,
            wait_s=wait_s,
            sent_bytes=guest.sent_bytes,
            rate=guest.meter.rate(trio.current_time()),
            connected_at=guest.connected_at,
        )

    # --- what visits ask and tell --------------------------------------------------------------------

    def make_room_for(self, visit: Visit, file: FileId) -> None:
        """Somebody opens a file: into the queue with them. Raises `Refused`."""
        open_files = _files(self._guests[visit.person])
        if file not in open_files and len(open_files) >= OPEN_FILES_MAX:
            raise Refused(
                Reason.TOO_MUCH, f"At most {OPEN_FILES_MAX} files may be open at a time.", CROWDED_RETRY_S
            )
        self._slots.join(visit.person, trio.current_time())
        self._tell_changes(but=visit.person)  # they are told where they stand by `file_opened`

    def place(self, person: NodeId) -> tuple[int, int]:
        """Position and expected wait of somebody who has a file open."""
        position = self._slots.position(person)
        return position, self._slots.wait_s(position, trio.current_time())

    def dropped(self, person: NodeId) -> None:
        """They closed a file."""
        if not _files(self._guests[person]):
            self._slots.leave(person, trio.current_time())
            self._tell_changes()

    def holds_slot(self, person: NodeId) -> bool:
        return self._slots.holds(person)

    def busy(self, person: NodeId) -> None:
        """They asked for data."""
        self._slots.busy(person, trio.current_time())
        self._tell_changes()

    def rests(self, person: NodeId) -> None:
        """One of their connections answered everything."""
        if not any(visit.waits_for_data for visit in self._guests[person].visits):
            self._slots.idle(person, trio.current_time())
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
        self._tell_changes()

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
                visit = Visit(self, link.channel, nursery)
                guest.visits.append(visit)
                nursery.start_soon(visit.send)
                yield visit
        finally:  # only now does no task of the visit run any more
            if visit is not None:
                await self._leave(link.node, guest, visit)

    async def _leave(self, person: NodeId, guest: _Guest, visit: Visit) -> None:
        guest.visits.remove(visit)
        if visit.files and not _files(guest):
            self._slots.lost(person, trio.current_time())
            self._tell_changes()
        if not guest.visits:
            del self._guests[person]
        with trio.CancelScope(shield=True):
            await visit.aclose()

    # --- telling -------------------------------------------------------------------------------------

    def _tell_changes(self, but: NodeId | None = None) -> None:
        now = trio.current_time()
        for person, position in self._slots.changes().items():
            if person != but and (guest := self._guests.get(person)) is not None:
                moved = QueueMoved(position=position, wait_s=self._slots.wait_s(position, now))
                for visit in guest.visits:
                    visit.channel.post(moved)
        if self._slots.next_timer() < self._timer:
            self._timer_moved.set()

    async def _keep_time(self) -> None:
        while True:
            self._timer_moved = trio.Event()
            self._timer = self._slots.next_timer()
            with trio.move_on_at(self._timer):
                await self._timer_moved.wait()
            self._slots.pass_time(trio.current_time())
            self._tell_changes()

    async def _spread_news(self) -> None:
        while True:
            await self._news.wait()
            await trio.sleep(HAVE_PAUSE_S)
            self._news = trio.Event()
            gained, self._gained = self._gained, {}
            for file, pieces in gained.items():
                for guest in self._guests.values():
                    for visit in guest.visits:
                        visit.tell_have(file, tuple(pieces))


def _files(guest: _Guest) -> dict[FileId, Held]:
    """Everything they have open, on any connection."""
    return {file: held for visit in guest.visits for file, held in visit.files.items()}
