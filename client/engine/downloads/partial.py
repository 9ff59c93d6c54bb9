"""A running download as something that others can be served from: its verified pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from client.engine.downloads.plan import Plan
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import FileId

if TYPE_CHECKING:
    from client.engine.downloads.download import Download


class PartialFile:
    """See `Held`. It ends with its download; by then the finished file is shared."""

    def __init__(self, download: Download) -> None:
        """The download knows its piece hashes and has a plan."""
        record = download.record
        assert record.file is not None and record.piece_size is not None and record.hashes is not None
        self.name: str = record.name
        self.file: FileId = record.file
        self.size: int = record.size
        self.piece_size: int = record.piece_size
        self.hashes: bytes = record.hashes
        self._download = download

    @property
    def _plan(self) -> Plan:
        plan = self._download.plan  # another one once the download was interrupted and went on
        assert plan is not None
        return plan

    @property
    def pieces(self) -> bytes | None:
        return self._plan.bitmap()

    def has(self, piece: int) -> bool:
        return not self._plan.needs(piece)

    async def read_into(self, offset: int, into: memoryview) -> None:
        store = self._download.store
        if store is None:
            raise Refused(Reason.BUSY, f"{self.name} is just being finished here.", 1)
        into[:] = await store.read(offset, len(into))

    async def aclose(self) -> None:
        """The part file belongs to the download."""
