"""What every account offers: on disk first, then in the catalogue.

Rule 1: the catalogue only ever hears of what is committed, and hears of all of it.
Rule 2: of one account, one change at a time; the lock of the account keeps disk and memory in the same order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from weakref import WeakValueDictionary

import structlog
import trio

from index_server import store
from index_server.admin.record import erase_account
from index_server.search.catalogue import Catalogue, Gone
from index_server.search.entry import Entry, entry_untrusted
from index_server.snapshot_file import SnapshotFile
from p2pshare import limits
from p2pshare.database import Database
from p2pshare.errors import BadMessage
from p2pshare.wire.index import Publish

log = structlog.stdlib.get_logger("index_server")
STEP = 100  # offers listed or taken out without a pause: some 4 ms, in which nobody else is served
TIDY_EVERY_S = 10.0
SNAPSHOT_EVERY_S = 900.0  # at full size it costs some 10 s of work, between that of others


class Manifests:
    """The one place that changes what is offered."""

    def __init__(
        self, database: Database, catalogue: Catalogue, snapshot: SnapshotFile | None, *, offers_max: int
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._snapshot = snapshot
        self._offers_max = offers_max
        self._unlisted: dict[int, bytes] = {}  # stamps of lists that are on disk only, just after a start
        self._listed: dict[
            int, bytes
        ] = {}  # stamps of those that the catalogue has, whole and unchanged since
        self._is_saved = False  # whether the snapshot on disk says what the catalogue does
        self._begun = trio.Event()
        # Of all who publish, one has its turn at a time: a search that comes meanwhile waits for one step,
        # not for a step of each of them.
        self._turn = trio.Lock()
        self._locks: WeakValueDictionary[int, trio.Lock] = WeakValueDictionary()

    async def publish(self, account: int, message: Publish) -> int:
        """Apply a change; returns how many offers there are now.

        Raises `Refused`, and then nothing is changed; or `BadMessage` if the message contradicts itself.
        """
        numbers = {offer.offer for offer in message.added}
        if len(numbers) < len(message.added):
            raise BadMessage("publish.added: an offer number stands twice.")
        async with self._turn:
            entries = tuple(entry_untrusted(offer) for offer in message.added)
        change = store.ManifestChange(message.base, message.result, message.removed, entries, message.reset)
        async with self._changing(account):
            if not message.reset:
                await self._list_offers(account)
            stamp = self._listed.pop(account, None)
            try:
                changed = await self._database.write(store.change_manifest, account, change, self._offers_max)
            except BaseException:
                if stamp is not None:  # nothing happened
                    self._listed[account] = stamp
                raise
            if message.reset:
                self._unlisted.pop(account, None)
                await self._drop(account)
            await self._apply(account, changed.gone, change.added)
            self._note_listed(account, changed.stamp)
        return changed.offers

    async def erase(self, account: int) -> None:
        """Forget the account itself, with what it offers and everything else about it."""
        async with self._changing(account):
            await self._database.write(erase_account, account)
            self._unlisted.pop(account, None)
            self._listed.pop(account, None)
            self._is_saved = False
            await self._drop(account)

    # --- from disk, and back ------------------------------------------------------------------------

    async def start(self) -> None:
        """Find out whose offers are on disk. To be called before anybody publishes."""
        self._unlisted = await self._database.read(store.accounts_with_offers)
        if self._snapshot is None:
            self._begun.set()

    async def list_all(self) -> None:
        """Fill the catalogue from disk while people come and go: from the snapshot, and what is not in it, or
        not as it is now, account by account. Who wants to publish waits for the snapshot only."""
        if self._snapshot is not None and (kept := await self._snapshot.read()) is not None:
            for _ in self._catalogue.load(kept.last, kept.others):
                await trio.lowlevel.checkpoint()
            stale = False
            for account in self._catalogue.accounts():
                if (stamp := self._unlisted.get(account)) is not None and kept.stamps.get(account) == stamp:
                    self._listed[account] = self._unlisted.pop(account)
                else:
                    await self._drop(account)
                    stale = True
            self._is_saved = not stale and not self._unlisted
        self._begun.set()
        for account in sorted(self._unlisted):
            async with self._lock(account):
                await self._list_offers(account)

    async def tidy_often(self) -> None:
        """Take what nobody offers any more out of the catalogue, until cancelled.

        Not at once: whoever publishes everything anew takes all files out first, and brings them back.
        """
        while True:
            await trio.sleep(TIDY_EVERY_S)
            more = True
            while more:
                async with self._turn:
                    more = self._catalogue.tidy(STEP)

    async def save_often(self) -> None:
        """Write a snapshot whenever some time has passed and something has changed, until cancelled."""
        while True:
            await trio.sleep(SNAPSHOT_EVERY_S)
            await self.save()

    async def save(self) -> None:
        """Write a snapshot, unless the one on disk is as good."""
        if self._snapshot is None or self._is_saved or not self._begun.is_set():
            return
        self._is_saved = True  # until something changes, which may be while it is written
        try:
            with closing(self._catalogue.save()) as pieces:
                await self._snapshot.write(pieces, lambda: self._listed)
        except OSError as error:  # the rows are there; the next start takes longer
            self._is_saved = False
            log.warning("snapshot not written", why=str(error))
        except BaseException:
            self._is_saved = False
            raise

    # --- inside -------------------------------------------------------------------------------------

    async def _list_offers(self, account: int) -> None:
        """Fill the catalogue with what one account offers, if that has not happened yet."""
        stamp = self._unlisted.get(account)
        if stamp is None:
            return
        await self._drop(account)  # what a cancelled request may have listed
        after = -1
        while entries := await self._database.read(store.offers_of, account, after, limits.PUBLISH_BATCH):
            await self._apply(account, (), entries)
            after = entries[-1].offer
        del self._unlisted[account]
        self._note_listed(account, stamp)

    async def _apply(self, account: int, gone: Sequence[Gone], entries: Sequence[Entry]) -> None:
        with trio.CancelScope(shield=True):  # it is on disk: there is no way back
            for start in range(0, len(gone), STEP):
                async with self._turn:
                    self._catalogue.publish(account, gone[start : start + STEP], ())
            for start in range(0, len(entries), STEP):
                async with self._turn:
                    self._catalogue.publish(account, (), entries[start : start + STEP])

    async def _drop(self, account: int) -> None:
        with trio.CancelScope(shield=True):
            more = True
            while more:
                async with self._turn:
                    more = self._catalogue.drop(account, STEP)

    def _note_listed(self, account: int, stamp: bytes) -> None:
        self._listed[account] = stamp
        self._is_saved = False

    @asynccontextmanager
    async def _changing(self, account: int) -> AsyncIterator[None]:
        await self._begun.wait()
        async with self._lock(account):
            yield

    def _lock(self, account: int) -> trio.Lock:
        return self._locks.setdefault(account, trio.Lock())
