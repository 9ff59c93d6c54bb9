"""One file that is played: waits for its verified bytes, and has the pieces fetched that are needed first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import trio

from client.engine.downloads.collection import Downloads
from client.engine.downloads.download import Download
from client.engine.downloads.partial import PartialFile
from client.engine.meter import RateMeter
from client.engine.offload import Offload
from client.engine.playback.answers import Shown
from client.engine.playback.byte_ranges import Span
from client.engine.playback.checked import CheckedFile
from client.engine.playback.window import Reading, wanted_first
from client.engine.shelf import Shelf
from client.engine.status import DownloadState
from p2pshare.errors import LocalTrouble, Refused
from p2pshare.hashing import FileId, piece_size_for

LOOK_AGAIN_S = 0.5  # whether a file can be opened, if nobody tells
NO_MORE = {
    DownloadState.PAUSED: "{} is paused. Go on with it to play it: p2pshare downloads resume {}",
    DownloadState.CANCELLED: "The download of {} was cancelled.",
    DownloadState.FAILED: "The download of {} failed. Try it again with: p2pshare downloads resume {}",
}


class Source(Protocol):
    """Where verified bytes are read from."""

    @property
    def piece_size(self) -> int: ...

    def has(self, piece: int) -> bool: ...

    async def read_into(self, offset: int, into: memoryview) -> None: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True)
class Stores:
    """Where files come from."""

    shelf: Shelf
    downloads: Downloads
    offload: Offload


class Showing:
    """A file of a share, or a download, running or complete."""

    def __init__(
        self, stores: Stores, token: str, name: str, size: int, file: FileId | None, download: Download | None
    ) -> None:
        """`file` may be unknown while it is a download's."""
        self.token = token
        self.name = name
        self.size = size
        self.download = download
        self._stores = stores
        self._file = file
        self._readers: list[Reader] = []
        self._wanted: tuple[int, ...] = ()
        self.want()

    @property
    def file(self) -> FileId | None:
        return self._file or (self.download.record.file if self.download is not None else None)

    @property
    def is_read(self) -> bool:
        return bool(self._readers)

    async def shown(self) -> Shown:
        """Waits until the file is known by its id. Raises `LocalTrouble` if nothing of it can be played."""
        self._check()
        while self.file is None:
            await self.something_new()
        return Shown(self.name, self.size, self.file)

    @asynccontextmanager
    async def reader(self, span: Span) -> AsyncIterator[Reader]:
        """Reads these bytes; while it does, they are what is fetched first."""
        reader = Reader(self, span)
        self._readers.append(reader)
        self.want()
        try:
            yield reader
        finally:
            self._readers.remove(reader)
            await reader.let_go()

    def want(self) -> None:
        """Tell the download what is needed first. What was needed last stays so when nobody reads: a player
        that seeks hangs up before it asks anew."""
        if self.download is None or self.download.record.state is DownloadState.COMPLETE:
            return
        now = trio.current_time()
        readings = [Reading(each.position, each.end, each.meter.rate(now)) for each in self._readers]
        at_the_start = [Reading(0, self.size, 0.0)]
        wanted = wanted_first(readings or at_the_start, self.size, piece_size_for(self.size))
        if (readings or not self._wanted) and wanted != self._wanted:
            self._wanted = wanted
            self.download.prefer(wanted)

    async def open(self) -> Source | None:
        """None if nothing is there yet. Raises `LocalTrouble`."""
        if self.download is not None and self.download.record.state is not DownloadState.COMPLETE:
            return PartialFile(self.download) if self.download.store is not None else None
        try:
            assert self.file is not None
            held = await self._stores.shelf.hold(self.file)
        except Refused as error:
            raise LocalTrouble(error.text) from error
        if held is None and self.download is not None:
            return await CheckedFile.open(self.download.record, self._stores.offload)
        if held is None:
            raise LocalTrouble(f"{self.name} is not shared here any more.")
        return held

    async def something_new(self) -> None:
        """Waits for a piece, or for whatever else may have changed. Raises `LocalTrouble` if nothing will."""
        self._check()
        with trio.move_on_after(LOOK_AGAIN_S):
            await self._stores.downloads.news.park()

    def _check(self) -> None:
        if self.download is not None:
            record = self.download.record
            if (sentence := NO_MORE.get(record.state)) is not None:
                raise LocalTrouble(sentence.format(self.name, record.id))


class Reader:
    """Reads on from one place. Gives no byte that is not verified, and waits as long as there is hope."""

    def __init__(self, showing: Showing, span: Span) -> None:
        self.position = span.first
        self.end = span.end
        self.meter = RateMeter(trio.current_time())
        self._showing = showing
        self._source: Source | None = None

    async def read(self, most: int) -> bytes:
        """What comes next: at least one byte, at most `most`; nothing at the end. Raises `LocalTrouble`."""
        most = min(most, self.end - self.position)
        while most:
            if self._source is None:
                self._source = await self._showing.open()
            if self._source is not None and (length := self._there(self._source, most)):
                if data := await self._read(self._source, length):
                    self._went_on(len(data))
                    return data
            await self._showing.something_new()
        return b""

    async def let_go(self) -> None:
        """Of the file. It is opened again when it is read again."""
        if self._source is not None:
            source, self._source = self._source, None
            with trio.CancelScope(shield=True):
                await source.aclose()

    def _there(self, source: Source, most: int) -> int:
        """How many bytes from here on are verified, counted up to `most`."""
        piece, size = self.position // source.piece_size, source.piece_size
        while piece * size < self.position + most and source.has(piece):
            piece += 1
        return max(0, min(most, piece * size - self.position))

    async def _read(self, source: Source, length: int) -> bytes:
        """Nothing if a download is just being finished, interrupted or taken up again."""
        try:
            data = bytearray(length)
            await source.read_into(self.position, memoryview(data))
            return bytes(data)
        except (Refused, LocalTrouble) as error:
            await self.let_go()
            if isinstance(source, PartialFile):
                return b""
            raise LocalTrouble(str(error)) from error

    def _went_on(self, count: int) -> None:
        piece_size = piece_size_for(self._showing.size)
        before = self.position // piece_size
        self.position += count
        self.meter.add(count, trio.current_time())
        if self.position // piece_size != before:
            self._showing.want()
