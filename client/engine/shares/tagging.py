"""Reading the tags of new files in the background, one after the other."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

import trio

from client.engine.offload import Offload
from client.engine.shares.inventory import set_tags
from client.engine.shares.offers import FILES, ON_DISK, OnDisk, on_disk_of
from client.engine.shares.tag_worker import TagReader
from p2pshare.database import Database
from p2pshare.errors import LocalTrouble
from p2pshare.transport.background import background
from p2pshare.wire.fields import Tags

BATCH = 16  # rows written together
NO_READER_S = 3_600  # until it is tried again, after the program that reads tags did not start


class Tagging:
    """`run` works through the files whose tags are not known."""

    def __init__(
        self,
        database: Database,
        offload: Offload,
        reader: TagReader,
        on_tagged: Callable[[Sequence[int]], None],
    ) -> None:
        self._database = database
        self._offload = offload
        self._reader = reader
        self._on_tagged = on_tagged
        self._work = trio.Event()

    def look_again(self) -> None:
        """There may be new files."""
        self._work.set()

    async def run(self) -> None:
        """Read tags for ever. Where that is impossible, files are offered without."""
        try:
            async with background() as nursery:
                nursery.start_soon(self._interrupt_when_cancelled)
                while True:
                    self._work = trio.Event()
                    files = await self._database.read(_to_tag, BATCH)
                    if files:
                        await self._read(files)
                    else:
                        await self._work.wait()
        finally:
            with trio.CancelScope(shield=True):
                await self._offload.run(self._reader.close)

    async def _read(self, files: list[OnDisk]) -> None:
        try:
            tags = [(await self._offload.run(self._reader.read, [(f.root, f.parts)]))[0] for f in files]
        except LocalTrouble:
            await trio.sleep(NO_READER_S)
            return
        await trio.lowlevel.checkpoint_if_cancelled()  # what was interrupted is not to be kept
        self._on_tagged(await self._database.write(_keep, list(zip(files, tags, strict=True))))

    async def _interrupt_when_cancelled(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self._reader.interrupt()


def _to_tag(db: sqlite3.Connection, limit: int) -> list[OnDisk]:
    rows = db.execute(
        f"SELECT {ON_DISK} FROM {FILES} WHERE f.tags IS NULL AND NOT s.away ORDER BY f.id LIMIT ?", (limit,)
    )
    return [on_disk_of(row) for row in rows]


def _keep(db: sqlite3.Connection, found: list[tuple[OnDisk, Tags]]) -> list[int]:
    """Write the tags of those files that are still the same. Returns their offers."""
    return [file.offer for file, tags in found if set_tags(db, file.offer, file.stamp, tags)]
