"""What somebody sees who is blocked: the same as of a person who shares nothing."""

from __future__ import annotations

from collections.abc import Sequence

from client.engine.held import Held
from client.engine.shares.listing import ListingPage, position_untrusted
from client.engine.small_files import SmallFile
from p2pshare.errors import Reason
from p2pshare.hashing import FileId


class ClosedShelf:
    """See `uploads.Shelf`."""

    async def hold(self, file: FileId) -> Held | None:
        return None

    async def hold_offer(self, offer: int) -> Held | None:
        return None

    async def listing(self, folder: str, cursor: bytes) -> ListingPage | None:
        if folder:
            return None
        position_untrusted(cursor)
        return ListingPage(folders=(), offers=(), files=0, bytes=0, cursor=b"")

    async def find_small(self, files: Sequence[FileId], offers: Sequence[int]) -> list[SmallFile | Reason]:
        return [Reason.NO_SUCH_FILE] * (len(files) + len(offers))

    async def read_small(self, files: Sequence[SmallFile]) -> list[bytes | Reason]:
        return [Reason.NO_SUCH_FILE] * len(files)
