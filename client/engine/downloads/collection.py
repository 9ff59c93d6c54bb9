"""All downloads of a profile: they run side by side, wait for each other, stop and go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import trio

from client.engine.downloads.download import Download
from client.engine.downloads.partial import PartialFile
from client.engine.downloads.records import Record, delete, insert, load_all, save
from client.engine.downloads.surroundings import Surroundings
from client.engine.offers import PARTIAL_OFFERS_FROM
from client.engine.status import DownloadState, DownloadView
from p2pshare.errors import LocalTrouble
from p2pshare.hashing import FileId
from p2pshare.names import safe_leaf_name
from p2pshare.wire.fields import Offer

ACTIVE_MAX = 24  # downloads at work at the same time; the others wait in the order they were added
RETRY_STUCK_S = 15.0  # a full disk or a missing folder is looked at again so often
PARTIAL_FOLDER = "Downloading"  # the top folder under which others see running downloads
ENDED = (DownloadState.COMPLETE, DownloadState.FAILED, DownloadState.CANCELLED)


class Downloads:
    """Every download, running or ended."""

    def __init__(
        self,
        around: Surroundings,
        nursery: trio.Nursery,
        *,
        on_piece: Callable[[FileId, int], None],
        on_partial_offers: Callable[[tuple[Offer, ...]], None],
    ) -> None:
        """Downloads run in `nursery`. `on_piece` hears of every verified piece, `on_partial_offers` of what
        the index servers should be told about running downloads."""
        self._around = around
        self._nursery = nursery
        self._on_piece = on_piece
        self._on_partial_offers = on_partial_offers
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
        """Forget what is ended; returns how many that were."""
        ended = [number for number, download in self._all.items() if download.state() in ENDED]
        for number in ended:
            await self._around.database.write(delete, number)
            del self._all[number]
        return len(ended)

    def views(self) -> tuple[DownloadView, ...]:
        return tuple(download.view() for download in self._all.values())

    # --- serving others from what is here so far --------------------------------------------------------

    def hold(self, file: FileId) -> PartialFile | None:
        """A running download of this file that has something to give."""
        for download in self._all.values():
            if (
                download.record.file == file
                and download.store is not None
                and download.record.hashes is not None
            ):
                return PartialFile(download)
        return None

    def hold_offer(self, offer: int) -> PartialFile | None:
        """The same, by the number it is offered under."""
        download = self._all.get(offer - PARTIAL_OFFERS_FROM)
        return (
            self.hold(download.record.file)
            if download is not None and download.record.file is not None
            else None
        )

    def _progressed(self, download: Download, piece: int | None) -> None:
        if piece is not None and download.record.file is not None:
            self._on_piece(download.record.file, piece)
        if download.record.id not in self._offered and download.done_bytes:
            self._offered.add(download.record.id)
            self._on_partial_offers(self._partial_offers())

    def _partial_offers(self) -> tuple[Offer, ...]:
        return tuple(
            Offer(
                offer=PARTIAL_OFFERS_FROM + number,
                path=f"{PARTIAL_FOLDER}/{safe_leaf_name(download.record.name)}",
                size=download.record.size,
                file=download.record.file,
                partial=True,
            )
            for number, download in self._all.items()
            if download.record.file is not None and download.store is not None and download.done_bytes
        )

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
                        async with self._places:
                            await download.run()
                        return
                    except LocalTrouble as trouble:
                        await self._note(download, DownloadState.STUCK, str(trouble))
                    await trio.sleep(RETRY_STUCK_S)
                    await self._note(download, DownloadState.LOOKING)
        finally:
            if self._scopes.get(download.record.id) is scope:
                del self._scopes[download.record.id]
            stopped.set()
            if download.record.id in self._offered:
                self._offered.remove(download.record.id)
                self._on_partial_offers(self._partial_offers())

    async def _note(self, download: Download, state: DownloadState, problem: str = "") -> None:
        download.record = replace(download.record, state=state, problem=problem)
        await self._around.database.write(save, download.record)


def _same(one: Record, other: Record) -> bool:
    where = (one.target_folder, one.target_path) == (other.target_folder, other.target_path)
    if one.file is not None and other.file is not None:
        return where and one.file == other.file
    return where and (one.person, one.offer) == (other.person, other.offer)
