"""One download: a plan, the verified pieces, and a task for every source at work.

The plan and the state here change only in plain methods; trio switches tasks only at `await`, so no lock is
needed but where something must happen once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import trio

from client.engine.downloads.opening import ask_hashes, check_opened_untrusted
from client.engine.downloads.plan import Plan
from client.engine.downloads.records import KnownSource, Record, save
from client.engine.downloads.store import PieceStore
from client.engine.downloads.supplier import Supplier
from client.engine.downloads.surroundings import Surroundings
from client.engine.meter import RateMeter
from client.engine.network.peers import PeerLink
from client.engine.people import count_exchange
from client.engine.status import DownloadSourceView, DownloadState, DownloadView
from p2pshare.errors import CloseCode, Disconnected, LocalTrouble, PeerFault
from p2pshare.hashing import (
    PieceHashes,
    format_file_id,
    piece_count,
)
from p2pshare.identity import NodeId
from p2pshare.limits import MIB
from p2pshare.ranges import RangeSet
from p2pshare.transport.background import background
from p2pshare.wire.peer import FileOpened

CHECKPOINT_S = 5.0  # what a crash can cost at most, in time
CHECKPOINT_BYTES = 64 * MIB  # and in data
LOOK_AGAIN_S = 60.0  # for sources, while there are some
LOOK_AGAIN_HUNGRY_S = 10.0  # while there are none
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
        self._trouble: LocalTrouble | None = None
        self._learning = trio.Lock()
        self._hungry = trio.Event()
        self._said_last = ""  # why the source that left last is of no use

    # --- its life -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until the file stands under its final name. Raises `LocalTrouble` if this machine is in the way."""
        self._settled, self._trouble, self.finishing = trio.Event(), None, False
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
        self.record = replace(
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
        await self.around.database.write(save, self.record)

    def _fail(self, trouble: LocalTrouble) -> None:
        self._trouble = trouble
        self._settled.set()

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
            await self.around.database.write(save, self.record)
            try:
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
        self.done_bytes = self.record.done_bytes()
        self.plan = Plan(count, hashes.piece_size, done, self.around.chance.getrandbits(64))
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

    def add_source(self, known: KnownSource) -> None:
        """Somebody who seems to hold the file."""
        supplier = self.suppliers.get(known.node)
        if supplier is not None:
            supplier.servers.add(known.server)
            return
        if (
            self._nursery is None
            or len(self.suppliers) >= SUPPLIERS_MAX
            or (self.plan and self.plan.lied(known.node))
        ):
            return
        supplier = self.suppliers[known.node] = Supplier(self, known)
        self._nursery.start_soon(supplier.run)

    async def _look_for_sources(self) -> None:
        for known in self.record.sources:
            self.add_source(known)
        while True:
            self._hungry = trio.Event()
            if self.record.file is not None:
                for server, source in await self.around.find_sources(self.record.file):
                    self.around.peers.remember_nick(source.node, source.nick)
                    self.add_source(KnownSource(server, source.node, source.nick, source.offer))
            with trio.move_on_after(LOOK_AGAIN_S if self.suppliers else LOOK_AGAIN_HUNGRY_S):
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

    async def piece_came(self, supplier: Supplier, piece: int, parts: list[memoryview]) -> None:
        """A whole piece arrived. Raises `PeerFault` if it is not what it should be."""
        plan, store = self.plan, self.store
        size = sum(map(len, parts))
        if plan is None or store is None or self._settled.is_set():
            return
        if not plan.needs(piece):
            plan.piece_arrived(supplier.node, piece, trio.current_time())
            self.wasted_bytes += size
            return
        try:
            good = await store.keep(piece, parts)
        except LocalTrouble as trouble:
            self._fail(trouble)
            return
        if not good:
            self.wasted_bytes += size
            plan.piece_bad(supplier.node, piece)
            raise PeerFault(CloseCode.BAD_DATA, "A piece does not match its hash.")
        if not plan.needs(piece):  # somebody else was faster by a moment
            self.wasted_bytes += size
        else:
            supplier.done_bytes += size
            self.done_bytes += size
        for cancel in plan.piece_arrived(supplier.node, piece, trio.current_time()):
            self.suppliers[cancel.source].cancel(cancel.first)
        self._on_progress(self, piece)
        if plan.done:
            self._settled.set()
        else:
            self.arrange()

    async def _keep_time(self) -> None:
        saved_at = trio.current_time()
        while True:
            now = trio.current_time()
            timer = self.plan.next_timer(now) if self.plan is not None else math.inf
            await trio.sleep(min(PROGRESS_PAUSE_S, max(timer - now, 0.02)))
            self.arrange()
            store, plan, now = self.store, self.plan, trio.current_time()
            if store is None or plan is None:
                continue
            if store.unsaved_bytes and (
                store.unsaved_bytes >= CHECKPOINT_BYTES or now - saved_at >= CHECKPOINT_S
            ):
                saved_at = now
                try:
                    await self._checkpoint(store, plan)
                except LocalTrouble as trouble:
                    self._fail(trouble)

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
        await self.around.database.write(save, self.record)
        for supplier in list(self.suppliers.values()):
            if count := supplier.take_uncounted():
                now = self.around.unix_now()
                await self.around.database.write(
                    count_exchange, supplier.node, supplier.known.nick, received=count, unix_now=now
                )

    # --- the view -----------------------------------------------------------------------------------

    def state(self) -> DownloadState:
        """What it is doing now."""
        if self.finishing and self.record.state is not DownloadState.COMPLETE:
            return DownloadState.FINISHING
        if self._nursery is None:
            return self.record.state
        states = {supplier.state for supplier in self.suppliers.values()}
        for word, state in (
            ("downloading", DownloadState.RUNNING),
            ("queued", DownloadState.QUEUED),
            ("connecting", DownloadState.CONNECTING),
        ):
            if word in states:
                return state
        return DownloadState.LOOKING

    def view(self) -> DownloadView:
        now = trio.current_time()
        rate = self.meter.rate(now) if self._nursery is not None else 0.0
        left = self.record.size - self.done_bytes
        return DownloadView(
            id=self.record.id,
            name=self.record.name,
            target=str(Path(self.record.target_folder) / self.record.target_path),
            file=format_file_id(self.record.file) if self.record.file is not None else None,
            size=self.record.size,
            done_bytes=self.done_bytes,
            state=self.state(),
            problem=self.record.problem or self._problem(),
            rate=rate,
            eta_s=left / rate if rate > 1 and left else None,
            sources=tuple(supplier.view() for supplier in self.suppliers.values()) or self._gave,
            folder=self.record.folder,
            wasted_bytes=self.wasted_bytes,
            added_at=self.record.added_at,
            finished_at=self.record.finished_at,
        )

    def _problem(self) -> str:
        """Why nothing arrives, if one source can say so for all."""
        if any(supplier.state in ("downloading", "queued") for supplier in self.suppliers.values()):
            return ""
        return next(
            (supplier.problem for supplier in self.suppliers.values() if supplier.problem), self._said_last
        )
