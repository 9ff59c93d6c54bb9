"""Everything that others can fetch from here: shared files, and what was downloaded, whole or in part."""

from __future__ import annotations

from client.engine.downloads.collection import Downloads
from client.engine.held import Held
from client.engine.shares.listing import ListingPage
from client.engine.shares.offers import DOWNLOAD_OFFERS_FROM
from client.engine.shares.shares import Shares
from p2pshare.errors import Refused
from p2pshare.hashing import FileId


class Shelf:
    """What the uploads serve from."""

    def __init__(self, shares: Shares, downloads: Downloads) -> None:
        self._shares = shares
        self._downloads = downloads

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

    async def listing(self, folder: str, cursor: bytes) -> ListingPage | None:
        """One page of a shared folder. Raises `Refused` or `BadMessage`."""
        return await self._shares.listing(folder, cursor)
