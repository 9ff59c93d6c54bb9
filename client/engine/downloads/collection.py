"""All downloads of a profile: they run side by side, wait for each other, stop and go on."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

import trio

from client.engine.beneath import Stamp
from client.engine.downloads.download import Download
from client.engine.downloads.partial import PartialFile
from client.engine.downloads.records import Record, delete, insert, load_all, save
from client.engine.downloads.surroundings import Surroundings
from client.engine.held import Held, open_shared_file
from client.engine.shares.offers import DOWNLOAD_OFFERS_FROM
from client.engine.status import DownloadState, DownloadView
from p2pshare.errors import LocalTrouble, Reason, Refused
from p2pshare.hashing import FileId
from p2pshare.names import safe_leaf_name
from p2pshare.transport.background import background
from p2pshare.wire.fields import Offer

ACTIVE_MAX = 32  # downloads at work at the same time; the others wait in the order they were added
VAIN_TURN_S = 60.0  # one that found no source for so long makes room, if others wait
RETRY_STUCK_S = 15.0  # a full disk or a missing folder is looked at again so often
OUR_MISTAKE = "p2pshare made a mistake of its own; its log says which. Resume the download to try again."
OFFERED_FOLDER = "Downloads"  # the top folder under which others see what lies in no share
ENDED = (DownloadState.COMPLETE, DownloadState.FAILED, DownloadState.CANCELLED)

log = logging.getLogger(__name__)


class Downloads:
    """Every download, running or ended."""

    def __init__(
        self,
        around: Surroundings,
        nursery: trio.Nursery,
        *,
        on_piece: Callable[[FileId, int], None],
        on_offers: Callable[[tuple[Offer, ...]], None],
        on_finished: Callable[[FileId], Awaitable[None]],
    ) -> None:
        """Downloads run in `nursery`. `on_piece` hears of every verified piece, `on_offers` of what
        the index servers should be told about running downloads."""
        self._around = around
        self._nursery = nursery
        self._on_piece = on_piece
        self._on_offers = on_offers
        self._on_finished = on_finished
        self._offered: set[int] = set()  # running downloads that the servers were told of
        self._all: dict[int, Download] = {}
        self._scopes: dict[int, trio.CancelScope] = {}
        self._stopped: dict[int, trio.Event] = {}
        self._places = trio.Semaphore(ACTIVE_MAX)

    async def load(self) -> None:
        """Take up again whatever was not finished or paused when the engine ended."""
        for record in await self._around.database.read(load_all):
            self._all[record.id] = Download(record, self._around, self._progressed)
            if record.state not in (*ENDED, DownloadState.PAUSED):
                self._start(self._all[record.id])
        self._tell_offers()

    # --- calls --------------------------------------------------------------------------------------

    async def add(self, record: Record) -> DownloadView:
        """Start a download; one of the same file to the same place that is there already goes on instead."""
        for download in self._all.values():
            if download.state() not in ENDED and _same(download.record, record):
                for known in record.sources:
                    download.add_source(known)
                if download.record.state is DownloadState.PAUSED:
                    await self.resume(download.record.id)
                return download.view()
        number = await self._around.database.write(insert, record)
        download = self._all[number] = Download(replace(record, id=number), self._around, self._progressed)
        self._start(download)
        return download.view()

    async def pause(self, number: int) -> None:
        download = self._find(number)
        if download.state() in ENDED:
            raise LocalTrouble(f"{download.record.name} is {download.state()}; there is nothing to pause.")
        await self._stop(number)
        await self._note(download, DownloadState.PAUSED)

    async def resume(self, number: int) -> None:
        download = self._find(number)
        if download.record.state in (DownloadState.COMPLETE, DownloadState.CANCELLED):
            raise LocalTrouble(
                f"{download.record.name} is {download.record.state}; there is nothing to resume."
            )
        await self._stop(number)  # one that is stuck looks again at once
        await self._note(download, DownloadState.LOOKING)
        self._start(download)

    async def cancel(self, number: int) -> None:
        download = self._find(number)
        if download.state() is DownloadState.COMPLETE:
            raise LocalTrouble(
                f"{download.record.name} is complete already. Delete the file if you do not want it."
            )
        await self._stop(number)
        await download.discard()
        await self._note(download, DownloadState.CANCELLED)

    async def clear(self) -> int:
        """Forget what is ended; returns how many that were.

        Finished files that lie in no share are not offered any more.
        """
        ended = [number for number, download in self._all.items() if download.state() in ENDED]
        for number in ended:
            await self._around.database.write(delete, number)
            del self._all[number]
        self._tell_offers()
        return len(ended)

    def rate(self, now: float) -> float:
        """Bytes a second that arrive."""
        return sum(
            download.meter.rate(now) for number, download in self._all.items() if number in self._scopes
        )

    def views(self) -> tuple[DownloadView, ...]:
        return tuple(download.view() for download in self._all.values())

    # --- serving others -----------------------------------------------------------------------------

    async def hold(self, file: FileId) -> Held | None:
        """What there is of this file: the pieces of a running download, or a finished one in no share.

        Raises `Refused` if the finished file is not what it was.
        """
        for download in self._all.values():
            if download.record.file != file or download.record.hashes is None:
                continue
            if download.store is not None:
                return PartialFile(download)
            if download.record.finished_stamp is not None:
                return await self._open_finished(download, download.record.finished_stamp)
        return None

    async def _open_finished(self, download: Download, stamp: Stamp) -> Held:
        record = download.record
        try:
            parts = record.target_path.split("/")
            return await open_shared_file(
                record.target_folder, parts, stamp, download.piece_hashes(), self._around.offload
            )
        except Refused as error:
            if error.reason in (Reason.NO_SUCH_FILE, Reason.FILE_CHANGED):
                download.record = replace(record, finished_stamp=None)
                await self._around.database.write(save, download.record)
                self._tell_offers()
            raise

    async def hold_offer(self, offer: int) -> Held | None:
        """The same, by the number it is offered under."""
        download = self._all.get(offer - DOWNLOAD_OFFERS_FROM)
        if download is None or download.record.file is None:
            return None
        return await self.hold(download.record.file)

    def _progressed(self, download: Download, piece: int | None) -> None:
        if piece is not None and download.record.file is not None:
            self._on_piece(download.record.file, piece)
        if download.record.id not in self._offered and download.done_bytes:
            self._tell_offers()

    def _tell_offers(self) -> None:
        offers = tuple(
            Offer(
                offer=DOWNLOAD_OFFERS_FROM + number,
                path=f"{OFFERED_FOLDER}/{safe_leaf_name(download.record.name)}",
                size=download.record.size,
                file=download.record.file,
                partial=download.store is not None,
            )
            for number, download in self._all.items()
            if (download.store is not None and download.done_bytes)
            or download.record.finished_stamp is not None
        )
        self._offered = {offer.offer - DOWNLOAD_OFFERS_FROM for offer in offers}
        self._on_offers(offers)

    # --- running ------------------------------------------------------------------------------------

    def _find(self, number: int) -> Download:
        if number not in self._all:
            raise LocalTrouble(f"There is no download number {number}. `p2pshare downloads` lists them.")
        return self._all[number]

    def _start(self, download: Download) -> None:
        number = download.record.id
        self._scopes[number], self._stopped[number] = trio.CancelScope(), trio.Event()
        self._nursery.start_soon(self._drive, download, self._scopes[number], self._stopped[number])

    async def _stop(self, number: int) -> None:
        if number in self._scopes:
            self._scopes.pop(number).cancel()
            await self._stopped[number].wait()

    async def _drive(self, download: Download, scope: trio.CancelScope, stopped: trio.Event) -> None:
        """Run a download until it is complete, over all troubles that pass."""
        try:
            with scope:
                while True:
                    try:
                        if await self._take_turn(download):
                            return
                    except LocalTrouble as trouble:
                        await self._note(download, DownloadState.STUCK, str(trouble))
                        await trio.sleep(RETRY_STUCK_S)
                        await self._note(download, DownloadState.LOOKING)
                    except Exception:  # a mistake of our own ends this download, not everything
                        log.exception("a download failed by our own mistake")
                        await self._note(download, DownloadState.FAILED, OUR_MISTAKE)
                        return
        finally:
            if self._scopes.get(download.record.id) is scope:
                del self._scopes[download.record.id]
            stopped.set()
            self._tell_offers()

    async def _take_turn(self, download: Download) -> bool:
        """Run it once there is a place. Whether it is complete: one that finds nobody makes room."""
        with trio.CancelScope() as turn:
            async with self._places, background() as nursery:
                nursery.start_soon(self._end_vain_turn, download, turn)
                await download.run()
        if turn.cancelled_caught:
            return False
        assert download.record.file is not None
        await self._on_finished(download.record.file)
        return True

    async def _end_vain_turn(self, download: Download, turn: trio.CancelScope) -> None:
        vain_since: float | None = None
        while True:
            await trio.sleep(VAIN_TURN_S / 10)
            now = trio.current_time()
            if download.state() not in (DownloadState.LOOKING, DownloadState.CONNECTING):
                vain_since = None
            elif vain_since is None:
                vain_since = now
            elif now - vain_since >= VAIN_TURN_S and self._places.statistics().tasks_waiting:
                turn.cancel()

    async def _note(self, download: Download, state: DownloadState, problem: str = "") -> None:
        download.record = replace(download.record, state=state, problem=problem)
        await self._around.database.write(save, download.record)


def _same(one: Record, other: Record) -> bool:
    where = (one.target_folder, one.target_path) == (other.target_folder, other.target_path)
    if one.file is not None and other.file is not None:
        return where and one.file == other.file
    return where and (one.person, one.offer) == (other.person, other.offer)
