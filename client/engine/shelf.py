"""Everything that others can fetch from here: shared files, and what was downloaded, whole or in part."""

from __future__ import annotations

from collections.abc import Sequence

from client.engine.downloads.onward import Onward
from client.engine.held import Held
from client.engine.offload import Offload
from client.engine.shares.listing import ListingPage
from client.engine.shares.offers import DOWNLOAD_OFFERS_FROM
from client.engine.shares.shares import Shares
from client.engine.shares.small import find_small
from client.engine.small_files import SmallFile, read_small_files
from p2pshare.database import Database
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import FileId


class Shelf:
    """What the uploads serve from."""

    def __init__(self, shares: Shares, downloads: Onward, database: Database, offload: Offload) -> None:
        self._shares = shares
        self._downloads = downloads
        self._database = database
        self._offload = offload

    async def hold(self, file: FileId) -> Held | None:
        """A whole copy if there is one, otherwise what has arrived of it so far. Raises `Refused`."""
        try:
            whole = await self._shares.hold(file)
        except Refused:
            if (downloaded := await self._downloads.hold(file)) is not None:
                return downloaded
            raise
        return whole or await self._downloads.hold(file)

    async def hold_offer(self, offer: int) -> Held | None:
        """By our own number for it. Raises `Refused`."""
        if offer >= DOWNLOAD_OFFERS_FROM:
            return await self._downloads.hold_offer(offer)
        return await self._shares.hold_offer(offer)

    async def find_small(self, files: Sequence[FileId], offers: Sequence[int]) -> list[SmallFile | Reason]:
        """Many small files at once, those offered by number behind the others: where each lies, or why it
        is not to be had."""
        found = await self._database.read(find_small, files, offers)
        for place, file in enumerate(files):
            if isinstance(found[place], Reason) and (there := self._downloads.small_file(file)) is not None:
                found[place] = there
        return found

    async def read_small(self, files: Sequence[SmallFile]) -> list[bytes | Reason]:
        """The content of each, or why it is not to be had."""
        return await self._offload.run(read_small_files, files)

    async def listing(self, folder: str, cursor: bytes) -> ListingPage | None:
        """One page of a shared folder. Raises `Refused` or `BadMessage`."""
        return await self._shares.listing(folder, cursor)
