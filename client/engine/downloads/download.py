"""One download: a plan, the verified pieces, and a task for every source at work.

The plan and the state here change only in plain methods; trio switches tasks only at `await`, so no lock is
needed but where something must happen once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import trio

from client.engine.downloads.arriving import Piece
from client.engine.downloads.checkpoints import Checkpoints
from client.engine.downloads.opening import ask_hashes, check_opened_untrusted
from client.engine.downloads.others import Others
from client.engine.downloads.plan import Plan
from client.engine.downloads.records import KnownSource, Record, save, save_progress
from client.engine.downloads.repairing import salvage
from client.engine.downloads.shown import state_of_sources, view_of
from client.engine.downloads.store import PieceStore
from client.engine.downloads.supplier import Supplier
from client.engine.downloads.surroundings import Surroundings
from client.engine.meter import RateMeter
from client.engine.network.peers import PeerLink
from client.engine.status import DownloadSourceView, DownloadState, DownloadView
from p2pshare.errors import CloseCode, Disconnected, LocalTrouble, PeerFault
from p2pshare.hashing import PieceHashes, piece_count
from p2pshare.identity import NodeId
from p2pshare.ranges import RangeSet
from p2pshare.transport.background import background
from p2pshare.wire.peer import FileOpened

LOOK_AGAIN_S = 60.0  # for sources, while there are some
LOOK_AGAIN_AT_FIRST_S = 0.5  # while there are few, twice as long every time ...
LOOK_AGAIN_HUNGRY_S = 10.0  # ... up to this
FEW_SOURCES = 4
SUPPLIERS_MAX = 40  # connections of one download
PROGRESS_PAUSE_S = 0.5  # the longest nap of the timer: rates and states shown are as old as that at most


class Download:
    """A download while it runs; `record` is what stands in the library."""

    def __init__(
        self, record: Record, around: Surroundings, on_progress: Callable[[Download, int | None], None]
    ) -> None:
        """`on_progress` hears of every verified piece, and with None of the pieces of an earlier run."""
        self.record = record
        self.around = around
        self._on_progress = on_progress
        self.plan: Plan | None = None
        self.store: PieceStore | None = None
        self.suppliers: dict[NodeId, Supplier] = {}
        self.finishing = False
        self.meter = RateMeter(trio.current_time())
        self.done_bytes = record.done_bytes()
        """Verified and written."""
        self.wasted_bytes = record.wasted_bytes
        self._gave: tuple[DownloadSourceView, ...] = ()  # the sources of the last run, once it is over
        self._nursery: trio.Nursery | None = None
        self._settled = trio.Event()
        self._checkpoints = Checkpoints()
        self._trouble: LocalTrouble | None = None
        self._learning = trio.Lock()
        self._hungry = trio.Event()
        self._preferred: Sequence[int] = ()
        self.others = Others(around.peers.me, lambda: self.suppliers, self.add_source)
        self._said_last = ""  # why the source that left last is of no use

    # --- its life -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until the file stands under its final name. Raises `LocalTrouble` if this machine is in the way."""
        self._settled, self._trouble, self.finishing = trio.Event(), None, False
        self._checkpoints = Checkpoints()
        try:
            if self.record.hashes is not None:
                await self._open_store()
                if self.record.state is DownloadState.COMPLETE:
                    return
            async with background() as nursery:
                self._nursery = nursery
                try:
                    nursery.start_soon(self._look_for_sources)
                    nursery.start_soon(self._keep_time)
                    await self._settled.wait()
                finally:
                    self._nursery = None  # before it closes: no source joins any more
            if self._trouble is not None:
                raise self._trouble
            await self._finish()
        finally:
            self.finishing = False
            self._gave = tuple(supplier.view() for supplier in self.suppliers.values())
            self.suppliers.clear()
            with trio.CancelScope(shield=True):
                await self._close_store()

    async def discard(self) -> None:
        """Delete what arrived. Not while it runs."""
        if self.record.hashes is not None and self.store is None:
            await self._open_store()
        if self.store is not None:
            await self.store.discard()
            self.store = None

    async def _finish(self) -> None:
        assert self.store is not None
        self.finishing = True
        path = await self.store.finish()
        self.store = None
        await self._complete(path)

    async def _complete(self, path: Path) -> None:
        """The finished file stands at `path`."""
        self.finishing = True
        self.done_bytes = self.record.size
        stamp = await self.around.adopt(path, self.piece_hashes())
        record = replace(
            self.record,
            state=DownloadState.COMPLETE,
            problem="",
            target_folder=str(path.parent),
            target_path=path.name,
            part="",
            part_identity=None,
            done=b"",
            finished_at=self.around.unix_now(),
            finished_stamp=stamp,
            wasted_bytes=self.wasted_bytes,
        )
        await self.around.database.write(save, record)
        self.record = record  # not before: what is not written down is done again

    def _fail(self, trouble: LocalTrouble) -> None:
        self._trouble = trouble
        self._settled.set()
        self._checkpoints.end()

    # --- what is there ------------------------------------------------------------------------------

    async def learn(self, link: PeerLink, opened: FileOpened) -> None:
        """Hold what a source says of the file against what we know; the first one tells us the piece hashes.

        Raises `PeerFault` if it lies, `Refused` if it has another file than was searched for, `Disconnected`
        if the file cannot be begun on this disk.
        """
        check_opened_untrusted(opened, self.record.file, self.record.size)
        async with self._learning:
            if self.store is not None:
                return
            hashes = await ask_hashes(link.channel, opened)
            self.record = replace(self.record, file=opened.file, piece_size=opened.piece_size, hashes=hashes)
            try:
                await self.around.database.write(save, self.record)
                await self._open_store()
            except LocalTrouble as trouble:
                self._fail(trouble)
                raise Disconnected("The download stopped.") from trouble  # for this source, it is over
        self._hungry.set()  # now that the file is known by its id, others may be found who hold it

    def piece_hashes(self) -> PieceHashes:
        assert self.record.piece_size is not None and self.record.hashes is not None
        return PieceHashes(self.record.size, self.record.piece_size, self.record.hashes)

    async def _open_store(self) -> None:
        hashes = self.piece_hashes()
        store = await PieceStore.open(self.record, hashes, self.around.offload)
        if isinstance(store, Path):
            await self._complete(store)
            return
        count = piece_count(hashes.size, hashes.piece_size)
        if store.anew:
            done = RangeSet()
            self.record = replace(
                self.record, part=store.part_name, part_identity=store.part_identity, done=b""
            )
            await self.around.database.write(save, self.record)
        else:
            done = self.record.done_pieces()
        if self.record.replaces is not None and not done:
            self.record = await salvage(self.record, hashes, store, self.around.offload)
            await self.around.database.write(save, self.record)
            done = self.record.done_pieces()
        self.done_bytes = self.record.done_bytes()
        self.plan = Plan(count, hashes.piece_size, done, self.around.chance.getrandbits(64))
        self.plan.prefer(self._preferred)
        self.store = store
        self._on_progress(self, None)
        if self.plan.done:
            self._settled.set()

    async def _close_store(self) -> None:
        if self.store is not None and self.plan is not None:
            store, self.store = self.store, None
            try:
                await self._checkpoint(store, self.plan)
            except LocalTrouble:
                pass  # then the last checkpoint counts
            await store.aclose()

    # --- sources ------------------------------------------------------------------------------------

    def add_source(self, known: KnownSource) -> bool:
        """Somebody who seems to hold the file. Whether they are one of the sources now."""
        supplier = self.suppliers.get(known.node)
        if supplier is not None:
            supplier.servers.add(known.server)
            return True
        if (
            self._nursery is None
            or len(self.suppliers) >= SUPPLIERS_MAX
            or (self.plan and self.plan.lied(known.node))
            or self.around.distrust.avoids(known.node, self.record.file)
        ):
            return False
        supplier = self.suppliers[known.node] = Supplier(self, known)
        self._nursery.start_soon(supplier.run)
        return True

    async def _look_for_sources(self) -> None:
        for known in self.record.sources:
            self.add_source(known)
        pause_s = LOOK_AGAIN_AT_FIRST_S  # a file just published is soon known to its server
        while True:
            self._hungry = trio.Event()
            if self.record.file is not None:
                for server, source in await self.around.find_sources(self.record.file):
                    self.around.peers.remember_nick(source.node, source.nick)
                    self.add_source(KnownSource(server, source.node, source.nick, source.offer))
            enough = len(self.suppliers) >= FEW_SOURCES
            pause_s = LOOK_AGAIN_S if enough else min(2 * pause_s, LOOK_AGAIN_HUNGRY_S)
            with trio.move_on_after(pause_s):
                await self._hungry.wait()

    def supplier_gone(self, supplier: Supplier) -> None:
        """A source gave up for good."""
        self.suppliers.pop(supplier.node, None)
        self._said_last = f"{supplier.known.nick}: {supplier.problem}" if supplier.problem else ""

    # --- pieces -------------------------------------------------------------------------------------

    def arrange(self) -> None:
        """Ask for whatever should be asked for now. Called after whatever happened."""
        if self.plan is None or self._nursery is None or self._settled.is_set():
            return
        for ask in self.plan.assign(trio.current_time()):
            self.suppliers[ask.source].ask_for(ask)

    def prefer(self, pieces: Sequence[int]) -> None:
        """Fetch these before all others, in this order, instead of those preferred before."""
        self._preferred = pieces
        if self.plan is not None:
            self.plan.prefer(pieces)
            self.arrange()

    def flows_freely(self, piece_size: int) -> bool:
        """Whether nothing has to be waited for when a piece of this size arrives."""
        store = self.store
        return (
            store is not None
            and store.is_quick(piece_size)
            and not self._checkpoints.behind(store)
            and self.around.unthrottled()
        )

    def piece_came_now(self, supplier: Supplier, piece: Piece) -> None:
        """A whole piece arrived. Raises `PeerFault` if it is not what it should be."""
        if (store := self._wanting(supplier, piece)) is None:
            return
        try:
            store.keep_now(piece)
        except LocalTrouble as trouble:
            self._fail(trouble)
        else:
            self._kept(supplier, piece, store)

    async def piece_came(self, supplier: Supplier, piece: Piece) -> None:
        """The same, for a disk that must be waited for."""
        if (store := self._wanting(supplier, piece)) is None:
            return
        try:
            await store.keep(piece)
        except LocalTrouble as trouble:
            self._fail(trouble)
        else:
            self._kept(supplier, piece, store)
            await self._checkpoints.keep_pace(store)

    def _wanting(self, supplier: Supplier, piece: Piece) -> PieceStore | None:
        """Where to keep it; None if it is not needed. Raises `PeerFault`."""
        plan = self.plan
        if plan is None or self.store is None or self._settled.is_set():
            return None
        if not plan.needs(piece.index):
            plan.piece_arrived(supplier.node, piece.index, trio.current_time())
            self.wasted_bytes += piece.size
            return None
        if not piece.good:
            self.wasted_bytes += piece.size
            plan.piece_bad(supplier.node, piece.index)
            assert self.record.file is not None
            self.around.distrust.caught(supplier.node, supplier.known.nick, self.record.file)
            raise PeerFault(CloseCode.BAD_DATA, "A piece does not match its hash.")
        return self.store

    def _kept(self, supplier: Supplier, piece: Piece, store: PieceStore) -> None:
        self._checkpoints.written(store)
        plan = self.plan
        assert plan is not None
        if not plan.needs(piece.index):  # somebody else was faster by a moment
            self.wasted_bytes += piece.size
        else:
            supplier.done_bytes += piece.size
            self.done_bytes += piece.size
            self.around.took(supplier.node, supplier.known.nick, piece.size)
        for cancel in plan.piece_arrived(supplier.node, piece.index, trio.current_time()):
            self.suppliers[cancel.source].cancel(cancel.first)
        self._on_progress(self, piece.index)
        if plan.done:
            self._settled.set()
        else:
            self.arrange()

    async def _keep_time(self) -> None:
        while True:
            now = trio.current_time()
            timer = self.plan.next_timer(now) if self.plan is not None else math.inf
            await self._checkpoints.nap(min(PROGRESS_PAUSE_S, max(timer - now, 0.02)))
            self.arrange()
            store, plan = self.store, self.plan
            if store is not None and plan is not None and self._checkpoints.due(store):
                self._checkpoints.begun()
                try:
                    await self._checkpoint(store, plan)
                except LocalTrouble as trouble:
                    self._fail(trouble)
                self._checkpoints.made()

    async def _checkpoint(self, store: PieceStore, plan: Plan) -> None:
        """Data to the disk first, then the word that it is there."""
        done = plan.bitmap()
        await store.sync()
        self.record = replace(
            self.record,
            done=done,
            wasted_bytes=self.wasted_bytes,
            sources=tuple(supplier.known for supplier in self.suppliers.values()) or self.record.sources,
        )
        await self.around.database.write(save_progress, self.record)

    # --- the view -----------------------------------------------------------------------------------

    def state(self) -> DownloadState:
        """What it is doing now."""
        if self.finishing and self.record.state is not DownloadState.COMPLETE:
            return DownloadState.FINISHING
        if self._nursery is None:
            return self.record.state
        return state_of_sources(supplier.state for supplier in self.suppliers.values())

    def view(self) -> DownloadView:
        return view_of(
            self.record,
            self.state(),
            done_bytes=self.done_bytes,
            wasted_bytes=self.wasted_bytes,
            rate=self.meter.rate(trio.current_time()) if self._nursery is not None else 0.0,
            problem=self._problem(),
            sources=tuple(supplier.view() for supplier in self.suppliers.values()) or self._gave,
        )

    def _problem(self) -> str:
        """Why nothing arrives, if one source can say so for all."""
        if any(supplier.state in ("downloading", "queued") for supplier in self.suppliers.values()):
            return ""
        return next(
            (supplier.problem for supplier in self.suppliers.values() if supplier.problem), self._said_last
        )
