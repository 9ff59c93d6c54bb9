"""Everything that is played just now, each under an address of its own that nobody can guess."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import trio

from client.engine.downloads.download import Download
from client.engine.downloads.records import Record
from client.engine.playback.door import HOST, Door
from client.engine.playback.media import address_part, media_type
from client.engine.playback.showing import Showing, Stores
from client.engine.shares.shares import Shares
from client.engine.status import DownloadState, PlayView, Priority
from p2pshare.errors import LocalTrouble
from p2pshare.hashing import FileId, format_file_id
from p2pshare.transport.network import Network

TOKEN_BYTES = 20  # nobody guesses one of 2^160
FINISHING_S = 5.0  # a small file that has arrived is put on the disk with others
SHOWINGS_MAX = 256  # addresses that are valid; the one that was given out first goes first


@dataclass(frozen=True)
class Outside:
    """What the theatre takes from the machine."""

    network: Network
    nursery: trio.Nursery
    random_bytes: Callable[[int], bytes]


class Theatre:
    """Opens its door when the first file is played. All errors are `LocalTrouble` or `Refused`."""

    def __init__(self, stores: Stores, shares: Shares, outside: Outside) -> None:
        self._stores = stores
        self._shares = shares
        self._random_bytes = outside.random_bytes
        self._showings: dict[str, Showing] = {}
        self._door = Door(outside.network, outside.nursery, self._showings.get)

    async def play_path(self, path: str) -> PlayView:
        """A file on this machine that is shared."""
        offer = await self._shares.find_path(path)
        if offer is None:
            raise LocalTrouble(
                f"{path} is not shared. Open it with your player as it is, or share its folder."
            )
        file = offer.file or await self._shares.hash_now(offer.offer)
        return await self._show(offer.path.rpartition("/")[2], offer.size, file, None)

    async def play_record(self, records: list[Record]) -> PlayView:
        """What somebody ordered: from here if it is here already, else it is downloaded."""
        if len(records) != 1:
            raise LocalTrouble(
                f"That is a folder of {len(records)} files. Name one of them; `p2pshare browse` lists them."
            )
        (record,) = records
        if record.file is not None:
            if record.file in await self._shares.held_among([record.file]):
                return await self._show(record.name, record.size, record.file, None)
            if (done := self._complete(record.file)) is not None:
                return await self.play_download(done)
        return await self.play_download((await self._stores.downloads.add(record)).id)

    async def play_download(self, number: int) -> PlayView:
        downloads = self._stores.downloads
        download = await self._find(number)
        if download.record.state is DownloadState.CANCELLED:
            raise LocalTrouble(
                f"The download of {download.record.name} was cancelled. Get it again to play it."
            )
        if download.record.state in (DownloadState.PAUSED, DownloadState.FAILED):
            await downloads.resume(number)
        if download.record.state is not DownloadState.COMPLETE:
            await downloads.prioritise(number, Priority.HIGH)
        record = download.record
        return await self._show(record.name, record.size, record.file, download)

    async def _find(self, number: int) -> Download:
        views = {view.id: view for view in self._stores.downloads.views()}
        if number in views and views[number].files:
            raise LocalTrouble(
                f"Download {number} is a folder. Name the file to play by its path or its link."
            )
        with trio.move_on_after(FINISHING_S):
            while True:
                if (download := self._stores.downloads.download(number)) is not None:
                    return download
                if number not in views:
                    break
                await self._stores.downloads.news.park()  # it is a small file, and complete in a moment
        raise LocalTrouble(f"There is no download number {number}. `p2pshare downloads` lists them.")

    def _complete(self, file: FileId) -> int | None:
        """The number of a download of it that is complete."""
        views = self._stores.downloads.views()
        complete = (view for view in views if view.file == format_file_id(file) and view.finished_at)
        return next((view.id for view in complete), None)

    async def _show(self, name: str, size: int, file: FileId | None, download: Download | None) -> PlayView:
        await self._door.open()
        showing = next((each for each in self._showings.values() if _is(each, file, download)), None)
        if showing is None:
            token = self._random_bytes(TOKEN_BYTES).hex()
            showing = self._showings[token] = Showing(self._stores, token, name, size, file, download)
            self._forget_the_oldest()
        return PlayView(
            url=f"http://{HOST}:{self._door.port}/{showing.token}/{address_part(showing.name)}",
            name=showing.name,
            size=showing.size,
            type=media_type(showing.name),
            download=download.view() if download is not None else None,
        )

    def _forget_the_oldest(self) -> None:
        unread = [token for token, showing in self._showings.items() if not showing.is_read]
        for token in unread[: max(0, len(self._showings) - SHOWINGS_MAX)]:
            del self._showings[token]


def _is(showing: Showing, file: FileId | None, download: Download | None) -> bool:
    if download is not None:
        return showing.download is download
    return showing.download is None and showing.file == file
