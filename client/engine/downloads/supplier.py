"""One source at work for one download: connect, open the file, wait for a slot, fetch what the plan asks."""

from __future__ import annotations

from functools import partial
from typing import Protocol

import trio

from client.engine.downloads.arriving import Arriving, Piece
from client.engine.downloads.hearing import Hearing
from client.engine.downloads.others import Others, haves
from client.engine.downloads.paths import FAR_S, PATHS_MAX, PAUSE_S, TRIAL_S, WORTH, Paths, may_gain
from client.engine.downloads.plan import Plan
from client.engine.downloads.records import KnownSource, Record
from client.engine.downloads.source import Ask
from client.engine.downloads.surroundings import Surroundings
from client.engine.meter import RateMeter
from client.engine.network.asking import ask_in_time
from client.engine.network.backoff import Backoff
from client.engine.network.peers import PeerLink, QueuePlace
from client.engine.status import DownloadSourceView
from p2pshare.errors import CloseCode, Disconnected, PeerFault, Reason, Refused
from p2pshare.hashing import PieceHashes, piece_count
from p2pshare.identity import format_node_id
from p2pshare.ranges import RangeSet
from p2pshare.transport.answers import Incoming
from p2pshare.transport.background import background
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

    @property
    def others(self) -> Others: ...

    async def learn(self, link: PeerLink, opened: FileOpened) -> None:
        """Hold what a source says of the file against what is known. Raises what ends work with it."""

    def piece_hashes(self) -> PieceHashes: ...

    def flows_freely(self, piece_size: int) -> bool:
        """Whether nothing has to be waited for when a piece of this size arrives."""

    def piece_came_now(self, supplier: Supplier, piece: Piece) -> None:
        """A whole piece arrived. Raises `PeerFault` if it is not what it should be."""

    async def piece_came(self, supplier: Supplier, piece: Piece) -> None:
        """The same, for a disk that must be waited for."""

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
        self._heard_bytes = 0
        self._paths: Paths | None = None
        self._hearing: Hearing | None = None

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
                if error.reason in FOR_GOOD or self._download.others.recommended.failed(self.node):
                    break
            except (Disconnected, PeerFault) as error:
                self.problem = str(error)
                if self._download.plan is not None and self._download.plan.lied(self.node):
                    self._doing = "lied"  # stays listed, so that the person sees who it was
                    return
                if self._download.others.recommended.failed(self.node):
                    break
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
        question = OpenFile(
            request=channel.next_request(),
            file=download.record.file,
            offer=self.known.offer,
            queue_ticket=link.queue_ticket,
        )
        asked_at = trio.current_time()
        hearing = self._hearing = Hearing(link, self.node, download.arrange)
        if (file := download.record.file) is not None:
            hearing.listen(file)
        opened: FileOpened = await ask_in_time(channel, question)
        answered_s = trio.current_time() - asked_at
        try:
            await download.learn(link, opened)
            plan = download.plan
            assert plan is not None
            plan.source_joined(self.node, self._held(opened))
            if opened.whole:
                plan.source_hides(self.node)
            if not opened.turns:
                link.stands(opened.position, opened.wait_s, opened.queue_ticket)
            hearing.listen(opened.file)
            for have in haves(opened.file, plan.done_pieces()):
                channel.post(have)
            download.others.recommended.joined(self.node)
            self.problem = ""
            self._working, self._useless = trio.CancelScope(), None
            self._paths = Paths(link)
            async with background() as nursery:
                self._nursery = nursery
                try:
                    hearing.join(plan, in_turns=opened.turns)
                    if not opened.turns:
                        nursery.start_soon(self._follow_queue, link)
                    nursery.start_soon(download.others.keep_asking, self.node, channel, opened.file)
                    if answered_s >= FAR_S:
                        nursery.start_soon(self._widen, answered_s)
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
            hearing.leave()
            channel.post(DropFile(file=opened.file))

    def _held(self, opened: FileOpened) -> RangeSet | None:
        if opened.pieces is None:
            return None
        return RangeSet.from_bitmap_untrusted(opened.pieces, piece_count(opened.size, opened.piece_size))

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

    # --- further connections ------------------------------------------------------------------------

    async def _widen(self, answered_s: float) -> None:
        """Try further connections to a source that is far away."""
        assert self._paths is not None
        while True:
            before = await self._arriving_bytes_per_s()
            if len(self._paths) == PATHS_MAX or not may_gain(answered_s, before):
                continue
            trial = trio.CancelScope()
            assert self._nursery is not None
            if await self._nursery.start(self._hold_path, self._paths, trial):
                await trio.sleep(TRIAL_S)  # a connection begins slowly
                if await self._arriving_bytes_per_s() >= before * WORTH:
                    continue
                trial.cancel()
            await trio.sleep(PAUSE_S)

    async def _arriving_bytes_per_s(self) -> float:
        before = self._heard_bytes
        await trio.sleep(TRIAL_S)
        return (self._heard_bytes - before) / TRIAL_S

    async def _hold_path(
        self, paths: Paths, scope: trio.CancelScope, *, task_status: trio.TaskStatus[bool]
    ) -> None:
        """A further connection, until it ends or is cancelled. Tells whether there is one."""
        record, started = self._download.record, False
        try:
            with scope:
                async with self._download.around.peers.another(self.node, tuple(self.servers)) as link:
                    question = OpenFile(
                        request=link.channel.next_request(), file=record.file, queue_ticket=link.queue_ticket
                    )
                    await ask_in_time(link.channel, question)
                    paths.add(link)
                    started = True
                    task_status.started(True)
                    self._download.arrange()
                    try:
                        await link.channel.over.wait()
                    finally:
                        paths.remove(link)
        except (Disconnected, PeerFault, Refused):
            pass  # the main one is there
        if not started:
            task_status.started(False)

    # --- fetching -----------------------------------------------------------------------------------

    def ask_for(self, ask: Ask) -> None:
        """Fetch these pieces."""
        if self._nursery is not None and self._paths is not None:
            self._nursery.start_soon(self._fetch, self._paths, self._paths.choose(), ask)

    def cancel(self, first: int) -> None:
        """The request that began with this piece is needless now."""
        if (scope := self._fetching.get(first)) is not None:
            scope.cancel()

    async def _fetch(self, paths: Paths, link: PeerLink, ask: Ask) -> None:
        download, channel = self._download, link.channel
        assert download.record.file is not None and download.plan is not None
        question = Fetch(
            request=channel.next_request(),
            file=download.record.file,
            first=ask.first,
            count=ask.count,
            preview=ask.preview,
        )
        paths.asked(link, ask.count)
        with trio.CancelScope() as scope:
            self._fetching[ask.first] = scope
            try:
                arriving = Arriving(ask, download.piece_hashes())
                async with channel.request(question, partial(self._take_at_once, arriving)) as answers:
                    async for answer in answers:
                        await self._receive(arriving, answer)
                        del answer  # the memory behind it is used again once nobody holds it
                if arriving.piece < ask.end:
                    raise PeerFault(CloseCode.WRONG_ORDER, "The last data came before everything was there.")
            except Refused as error:
                download.plan.ended(self.node, ask.first, lacks=error.reason is Reason.NOT_HELD)
                in_turns = self._hearing is not None and self._hearing.in_turns
                if error.reason is Reason.NO_SLOT and not in_turns and link.place.value.position == 0:
                    link.place.set(QueuePlace(1, 0))  # until they tell us our place
                elif error.reason in FOR_GOOD:  # the connection stays: other files may come over it
                    self._useless = error
                    self._working.cancel()
                self.problem = error.text
            except PeerFault as fault:
                await channel.aclose(fault.code, fault.text)
                await self._lost(paths, link, ask, fault.text)
            except Disconnected as ending:
                await self._lost(paths, link, ask, str(ending))
        paths.asked(link, -ask.count)
        if self._fetching.get(ask.first) is scope:  # the same piece may have been asked for again meanwhile
            del self._fetching[ask.first]
        download.arrange()

    async def _lost(self, paths: Paths, link: PeerLink, ask: Ask, why: str) -> None:
        """A connection ended before a request did. If it was the main one, `_work` finds out by itself."""
        plan = self._download.plan
        if link is paths.main or plan is None:
            return
        paths.remove(link)
        plan.ended(self.node, ask.first)
        if plan.lied(self.node):  # nothing they send is wanted any more, on any connection
            await paths.main.channel.aclose(CloseCode.BAD_DATA, why)

    def _take_at_once(self, arriving: Arriving, answer: Incoming) -> bool:
        """Deal with data without a change of task, unless something has to be waited for."""
        download = self._download
        if not download.flows_freely(arriving.piece_size):
            return False
        if (whole := self._add(arriving, answer)) is not None:
            download.piece_came_now(self, whole)
        return True

    async def _receive(self, arriving: Arriving, answer: Incoming) -> None:
        """The same, slowly. Raises `PeerFault`."""
        # Before it counts as here, for then more is asked for. It is not they who are silent meanwhile.
        await self._download.around.throttle(self.node, len(answer.payload or b""), self._still_there)
        if (whole := self._add(arriving, answer)) is not None:
            await self._download.piece_came(self, whole)

    def _add(self, arriving: Arriving, answer: Incoming) -> Piece | None:
        data, payload = answer.message, answer.payload
        assert isinstance(data, Data) and payload is not None
        whole = arriving.add_untrusted(data, payload)
        self._hear(data.size)
        return whole

    def _still_there(self) -> None:
        if self._download.plan is not None:
            self._download.plan.heard(self.node, trio.current_time())

    def _hear(self, count: int) -> None:
        now = trio.current_time()
        assert self._download.plan is not None
        self._download.plan.heard(self.node, now)
        self._download.meter.add(count, now)
        self._meter.add(count, now)
        self._heard_at = now
        self._heard_bytes += count

    # --- the view -----------------------------------------------------------------------------------

    @property
    def works(self) -> bool:
        """Whether they have opened the file to us."""
        return self._hearing is not None and self._hearing.joined

    @property
    def state(self) -> str:
        """One word for people."""
        resting = trio.current_time() - self._heard_at > RESTING_S
        if self._hearing is not None and self._hearing.joined and self._hearing.in_turns:
            return "queued" if resting and not self._fetching else "downloading"
        return "idle" if self._doing == "downloading" and resting and not self._fetching else self._doing

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
            path=self._path(),
        )

    def _path(self) -> str:
        if self._link is None:
            return ""
        count = len(self._paths) if self._paths is not None else 1
        return self._link.path if count == 1 else f"{self._link.path}, {count} connections"
