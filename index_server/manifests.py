"""What every account offers: on disk first, then in the catalogue.

Rule 1: the catalogue only ever hears of what is committed, and hears of all of it.
Rule 2: of one account, one change at a time; the lock of the account keeps disk and memory in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakValueDictionary

import trio

from index_server import store
from index_server.catalogue import Catalogue, Gone
from index_server.entry import Entry, entry_untrusted
from p2pshare import limits
from p2pshare.database import Database
from p2pshare.errors import BadMessage
from p2pshare.wire.index import Publish

STEP = 100  # offers listed without a pause: some 8 ms, in which nobody else is served


class Manifests:
    """The one place that changes what is offered."""

    def __init__(self, database: Database, catalogue: Catalogue, *, offers_max: int) -> None:
        self._database = database
        self._catalogue = catalogue
        self._offers_max = offers_max
        self._unlisted: set[int] = set()  # accounts whose offers are on disk only, just after a start
        self._locks: WeakValueDictionary[int, trio.Lock] = WeakValueDictionary()

    async def publish(self, account: int, message: Publish) -> int:
        """Apply a change; returns how many offers there are now.

        Raises `Refused`, and then nothing is changed; or `BadMessage` if the message contradicts itself.
        """
        numbers = {offer.offer for offer in message.added}
        if len(numbers) < len(message.added):
            raise BadMessage("publish.added: an offer number stands twice.")
        change = store.ManifestChange(
            message.base,
            message.result,
            message.removed,
            tuple(entry_untrusted(offer) for offer in message.added),
            message.reset,
        )
        async with self._lock(account):
            if not message.reset:
                await self._list_offers(account)
            changed = await self._database.write(store.change_manifest, account, change, self._offers_max)
            if message.reset:
                self._unlisted.discard(account)
                self._catalogue.drop(account)
            await self._apply(account, changed.gone, change.added)
        return changed.offers

    async def start(self) -> None:
        """Find out whose offers are on disk. To be called before anybody publishes."""
        self._unlisted.update(await self._database.read(store.accounts_with_offers))

    async def list_all(self) -> None:
        """Fill the catalogue from disk, account by account, while people come and go."""
        for account in sorted(self._unlisted):
            async with self._lock(account):
                await self._list_offers(account)

    async def _list_offers(self, account: int) -> None:
        """Fill the catalogue with what one account offers, if that has not happened yet."""
        if account not in self._unlisted:
            return
        self._catalogue.drop(account)  # what a cancelled request may have listed
        after = -1
        while entries := await self._database.read(store.offers_of, account, after, limits.PUBLISH_BATCH):
            await self._apply(account, (), entries)
            after = entries[-1].offer
        self._unlisted.remove(account)

    async def _apply(self, account: int, gone: Sequence[Gone], entries: Sequence[Entry]) -> None:
        with trio.CancelScope(shield=True):  # it is on disk: there is no way back
            self._catalogue.publish(account, gone, entries[:STEP])
            for start in range(STEP, len(entries), STEP):
                await trio.lowlevel.checkpoint()
                self._catalogue.publish(account, (), entries[start : start + STEP])

    def _lock(self, account: int) -> trio.Lock:
        return self._locks.setdefault(account, trio.Lock())
