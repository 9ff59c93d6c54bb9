"""What others can be served of downloads: the pieces of running ones, and finished ones in no share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

import trio

from client.engine.beneath import Stamp
from client.engine.downloads.download import Download
from client.engine.downloads.partial import PartialFile
from client.engine.downloads.records import save
from client.engine.downloads.resting import Resting
from client.engine.downloads.surroundings import Surroundings
from client.engine.held import Held, open_shared_file
from client.engine.shares.offers import DOWNLOAD_OFFERS_FROM
from client.engine.small_files import SmallFile
from p2pshare.errors import LocalTrouble, Reason, Refused
from p2pshare.hashing import FileId, PieceHashes
from p2pshare.limits import SMALL_FILE_BYTES_MAX
from p2pshare.names import safe_leaf_name
from p2pshare.wire.fields import Offer

OFFERED_FOLDER = "Downloads"  # the top folder under which others see what lies in no share
TELL_PAUSE_S = 0.1  # changes within so long are told together
TELL_SHARE = 1 / 20  # of the time, at most, goes into telling: thousands of files may finish one by one


class Onward:
    """Finds downloads by file id, and says what of them is offered."""

    def __init__(
        self,
        downloads: Mapping[int, Download | Resting],
        around: Surroundings,
        nursery: trio.Nursery,
        on_offers: Callable[[tuple[Offer, ...]], None],
    ) -> None:
        """`downloads` by number, as they are at any time; `note` what changes of them."""
        self._downloads = downloads
        self._around = around
        self._nursery = nursery
        self._on_offers = on_offers
        self._by_file: dict[FileId, tuple[int, ...]] = {}  # nearly always one
        self._offered: set[int] = set()
        self._telling = False
        self._took_s = 0.0

    def note(self, download: Download | Resting) -> None:
        """It is new here, or its file id is known by now."""
        file, number = download.record.file, download.record.id
        if file is not None and number not in (there := self._by_file.get(file, ())):
            self._by_file[file] = (*there, number)

    def forget(self, download: Download | Resting) -> None:
        file, number = download.record.file, download.record.id
        if file is None or file not in self._by_file:
            return
        if left := tuple(each for each in self._by_file[file] if each != number):
            self._by_file[file] = left
        else:
            del self._by_file[file]

    # --- serving

    async def hold(self, file: FileId) -> Held | None:
        """What there is of this file: the pieces of a running download, or a finished one in no share.

        Raises `Refused` if the finished file is not what it was.
        """
        for number in self._by_file.get(file, ()):
            download = self._downloads[number]
            if download.record.hashes is None:
                if isinstance(download, Download):  # we shall have it, too
                    raise Refused(Reason.BUSY, f"{download.record.name} is just being begun here.", 1)
                continue
            if isinstance(download, Download) and download.store is not None:
                return PartialFile(download)
            if download.record.finished_stamp is not None:
                return await self._open_finished(download, download.record.finished_stamp)
        return None

    async def hold_offer(self, offer: int) -> Held | None:
        """The same, by the number it is offered under."""
        download = self._downloads.get(offer - DOWNLOAD_OFFERS_FROM)
        if download is None or download.record.file is None:
            return None
        return await self.hold(download.record.file)

    def small_file(self, file: FileId) -> SmallFile | None:
        """Where a small finished one lies that is in no share."""
        for number in self._by_file.get(file, ()):
            record = self._downloads[number].record
            if record.finished_stamp is not None and record.size <= SMALL_FILE_BYTES_MAX:
                folder, _, name = record.target_path.rpartition("/")
                return SmallFile(record.target_folder, folder, name, record.finished_stamp, file)
        return None

    async def _open_finished(self, download: Download | Resting, stamp: Stamp) -> Held:
        record = download.record
        assert record.piece_size is not None and record.hashes is not None
        hashes = PieceHashes(record.size, record.piece_size, record.hashes)
        try:
            return await open_shared_file(
                record.target_folder, record.target_path.split("/"), stamp, hashes, self._around.offload
            )
        except Refused as error:
            if error.reason in (Reason.NO_SUCH_FILE, Reason.FILE_CHANGED):
                download.record = replace(record, finished_stamp=None)
                with suppress(LocalTrouble):  # a full disk: then it is noticed again
                    await self._around.database.write(save, download.record)
                self.tell_offers()
            raise

    def running(self, file: FileId) -> list[Download]:
        """Downloads of this file that run."""
        downloads = (self._downloads[number] for number in self._by_file.get(file, ()))
        return [download for download in downloads if isinstance(download, Download)]

    # --- offering

    def progressed(self, download: Download) -> None:
        """It knows more of its file than before."""
        self.note(download)
        if download.record.id not in self._offered and download.done_bytes:
            self.tell_offers()

    def tell_offers(self) -> None:
        """Tell what is offered now, soon."""
        if not self._telling:
            self._telling = True
            self._nursery.start_soon(self._tell_soon)

    async def _tell_soon(self) -> None:
        await trio.sleep(max(TELL_PAUSE_S, self._took_s / TELL_SHARE))
        self._telling = False
        began = trio.current_time()
        offers = tuple(
            Offer(
                offer=DOWNLOAD_OFFERS_FROM + number,
                path=f"{OFFERED_FOLDER}/{safe_leaf_name(download.record.name)}",
                size=download.record.size,
                file=download.record.file,
                partial=download.store is not None,
            )
            for number, download in self._downloads.items()
            if (download.store is not None and download.done_bytes and download.record.replaces is None)
            or download.record.finished_stamp is not None
        )
        self._offered = {offer.offer - DOWNLOAD_OFFERS_FROM for offer in offers}
        self._on_offers(offers)
        self._took_s = trio.current_time() - began
