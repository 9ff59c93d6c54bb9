"""One source at work for one download: connect, open the file, wait for a slot, fetch what the plan asks."""

from __future__ import annotations

from typing import Protocol

import trio

from client.engine.downloads.plan import Plan
from client.engine.downloads.records import KnownSource, Record
from client.engine.downloads.source import Ask
from client.engine.downloads.surroundings import Surroundings
from client.engine.meter import RateMeter
from client.engine.network.backoff import Backoff
from client.engine.network.peers import PeerLink, QueuePlace
from client.engine.network.servers import ask_in_time
from client.engine.status import DownloadSourceView
from p2pshare.errors import CloseCode, Disconnected, PeerFault, Reason, Refused
from p2pshare.hashing import piece_count, piece_span
from p2pshare.identity import format_node_id
from p2pshare.ranges import RangeSet
from p2pshare.transport.background import background
from p2pshare.transport.channel import Answers
from p2pshare.wire.peer import Data, DropFile, Fetch, FileOpened, OpenFile

FOR_GOOD = frozenset({Reason.NO_SUCH_FILE, Reason.FILE_CHANGED, Reason.NOT_SHARED_WITH_YOU, Reason.BANNED})
RESTING_S = 2.0  # without data for so long, a source with a slot counts as idle


class Buyer(Protocol):
    """The download, as its sources see it."""

    @property
    def around(self) -> Surroundings: ...

    @property
    def record(self) -> Record: ...

    @property
    def plan(self) -> Plan | None: ...

    @property
    def meter(self) -> RateMeter: ...

    async def learn(self, link: PeerLink, opened: FileOpened) -> None:
        """Hold what a source says of the file against what is known. Raises what ends work with it."""

    async def piece_came(self, supplier: Supplier, piece: int, parts: list[memoryview]) -> None:
        """A whole piece arrived. Raises `PeerFault` if it is not what it should be."""

    def arrange(self) -> None:
        """Ask for whatever should be asked for now."""

    def supplier_gone(self, supplier: Supplier) -> None:
        """A source gave up for good."""


class Supplier:
    """A source of one download."""

    def __init__(self, download: Buyer, known: KnownSource) -> None:
        self.known = known
        self.node = known.node
        self.servers = {known.server}
        self.done_bytes = 0
        """Verified bytes that came from it."""
        self.problem = ""
        self._download = download
        self._doing = "connecting"
        self._link: PeerLink | None = None
        self._nursery: trio.Nursery | None = None
        self._working = trio.CancelScope()
        self._useless: Refused | None = None  # what they said when they could not go on giving
        self._fetching: dict[int, trio.CancelScope] = {}  # by first piece
        self._meter = RateMeter(trio.current_time())
        self._heard_at = 0.0
        self._counted = 0

    # --- its life -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work with the source until it is of no use for this download."""
        around = self._download.around
        backoff = Backoff()
        while True:
            began, told_s = trio.current_time(), 0.0
            self._doing = "connecting"
            try:
                async with around.peers.link(self.node, tuple(self.servers)) as self._link:
                    await self._work(self._link)
            except Refused as error:
                self.problem, told_s = error.text, float(error.retry_after_s)
                if error.reason in FOR_GOOD:
                    break
            except (Disconnected, PeerFault) as error:
                self.problem = str(error)
                if self._download.plan is not None and self._download.plan.lied(self.node):
                    self._doing = "lied"  # stays listed, so that the person sees who it was
                    return
            finally:
                self._link = None
                self._download.arrange()  # what was asked of it goes to others
            self._doing = "gone"
            held_s = trio.current_time() - began
            await trio.sleep(backoff.delay_s(held_s, around.chance.random(), told_s))
        self._download.supplier_gone(self)

    async def _work(self, link: PeerLink) -> None:
        """Ends with `Disconnected`, with what the source did wrong, or with why it is of no use."""
        download, channel = self._download, link.channel
        question = OpenFile(request=channel.next_request(), file=download.record.file, offer=self.known.offer)
        opened: FileOpened = await ask_in_time(channel, question)
        try:
            await download.learn(link, opened)
            plan = download.plan
            assert plan is not None
            plan.source_joined(self.node, self._held(opened))
            link.place.set(QueuePlace(opened.position, opened.wait_s))
            link.haves[opened.file] = self._has_more
            self.problem = ""
            self._working, self._useless = trio.CancelScope(), None
            async with background() as nursery:
                self._nursery = nursery
                try:
                    nursery.start_soon(self._follow_queue, link)
                    with self._working:
                        await channel.over.wait()
                finally:
                    self._nursery = None  # before it closes: nothing more is asked of this source
                    plan.source_left(self.node)
            raise self._useless or channel.ending or Disconnected
        except PeerFault as fault:
            await channel.aclose(fault.code, fault.text)
            raise
        finally:
            link.haves.pop(opened.file, None)
            channel.post(DropFile(file=opened.file))

    def _held(self, opened: FileOpened) -> RangeSet | None:
        if opened.pieces is None:
            return None
        return RangeSet.from_bitmap_untrusted(opened.pieces, piece_count(opened.size, opened.piece_size))

    def _has_more(self, pieces: tuple[int, ...]) -> None:
        if self._download.plan is not None:
            self._download.plan.source_has(self.node, pieces)
            self._download.arrange()

    async def _follow_queue(self, link: PeerLink) -> None:
        plan = self._download.plan
        assert plan is not None
        while True:
            seen = link.place.value
            if seen.position == 0:
                self._doing = "downloading"
                plan.source_ready(self.node)
            else:
                self._doing = "queued"
                plan.source_waits(self.node)
            self._download.arrange()
            await link.place.other_than(seen)

    # --- fetching -----------------------------------------------------------------------------------

    def ask_for(self, ask: Ask) -> None:
        """Fetch these pieces."""
        if self._nursery is not None and self._link is not None:
            self._nursery.start_soon(self._fetch, self._link, ask)

    def cancel(self, first: int) -> None:
        """The request that began with this piece is needless now."""
        if (scope := self._fetching.get(first)) is not None:
            scope.cancel()

    async def _fetch(self, link: PeerLink, ask: Ask) -> None:
        download, channel = self._download, link.channel
        assert download.record.file is not None and download.plan is not None
        question = Fetch(
            request=channel.next_request(), file=download.record.file, first=ask.first, count=ask.count
        )
        with trio.CancelScope() as scope:
            self._fetching[ask.first] = scope
            try:
                async with channel.request(question) as answers:
                    await self._receive(ask, answers)
            except Refused as error:
                download.plan.ended(self.node, ask.first, lacks=error.reason is Reason.NOT_HELD)
                if error.reason is Reason.NO_SLOT and link.place.value.position == 0:
                    link.place.set(QueuePlace(1, 0))  # until they tell us our place
                elif error.reason in FOR_GOOD:  # the connection stays: other files may come over it
                    self._useless = error
                    self._working.cancel()
                self.problem = error.text
            except PeerFault as fault:
                await channel.aclose(fault.code, fault.text)
            except Disconnected:
                pass  # `_work` finds out by itself
        if self._fetching.get(ask.first) is scope:  # the same piece may have been asked for again meanwhile
            del self._fetching[ask.first]
        download.arrange()

    async def _receive(self, ask: Ask, answers: Answers) -> None:
        """Put the parts of pieces together, in the order they were asked for. Raises `PeerFault`."""
        download = self._download
        size, piece_size = download.record.size, download.record.piece_size
        assert piece_size is not None and download.plan is not None
        piece, parts, filled = ask.first, list[memoryview](), 0
        async for answer in answers:
            data, payload = answer.message, answer.payload
            assert isinstance(data, Data) and payload is not None
            length = piece_span(piece, size, piece_size)[1] if piece < ask.end else 0
            if (data.piece, data.offset) != (piece, filled) or filled + data.size > length:
                raise PeerFault(
                    CloseCode.WRONG_ORDER, "Data arrived that was not asked for, or not in order."
                )
            self._hear(data.size)
            parts.append(payload)
            filled += data.size
            if filled == length:
                await download.piece_came(self, piece, parts)
                piece, parts, filled = piece + 1, [], 0
            del payload, answer  # the memory behind it is used again once nobody holds it
            await download.around.throttle(data.size)
        if piece < ask.end:
            raise PeerFault(CloseCode.WRONG_ORDER, "The last data came before everything was there.")

    def _hear(self, count: int) -> None:
        now = trio.current_time()
        assert self._download.plan is not None
        self._download.plan.heard(self.node, now)
        self._download.meter.add(count, now)
        self._meter.add(count, now)
        self._heard_at = now

    # --- the view -----------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """One word for people."""
        resting = trio.current_time() - self._heard_at > RESTING_S
        return "idle" if self._doing == "downloading" and resting and not self._fetching else self._doing

    def take_uncounted(self) -> int:
        """Bytes that arrived since the last call, for the statistics."""
        count, self._counted = self.done_bytes - self._counted, self.done_bytes
        return count

    def view(self) -> DownloadSourceView:
        place = self._link.place.value if self._link is not None else QueuePlace(0, 0)
        return DownloadSourceView(
            person=format_node_id(self.node),
            nick=self.known.nick,
            state=self.state,
            position=place.position,
            wait_s=place.wait_s,
            done_bytes=self.done_bytes,
            rate=self._meter.rate(trio.current_time()),
            path=self._link.path if self._link is not None else "",
        )
