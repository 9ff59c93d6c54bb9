"""Who holds which documents, and what follows for each document: how many hold it, how many of these have a
free slot, how fast they are. PURE.

What a person holds is one bitmap, their *shelf*. Everything here is counted in bit slices, so that somebody
with ten thousand files comes online, or has a free slot, in a few operations.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pyroaring import BitMap

from index_server.search.bitslices import BitSlices
from p2pshare.wire.fields import SpeedClass

_NONE = BitMap()
FROM_THE_FASTEST = tuple(sorted(SpeedClass, reverse=True))


class Holders:
    """Accounts and documents are small numbers here."""

    def __init__(self) -> None:
        self.shelves: dict[int, BitMap] = {}
        """Whoever changes one in place tells it by `changed`."""
        self.sources = BitSlices()
        """By document: how many people online hold it."""
        self.free = BitSlices()
        """By document: how many of these say that they have a free slot."""
        self._fast = {speed: BitSlices() for speed in SpeedClass if speed}
        """By document: how many of these are of a speed class."""
        self.online: set[int] = set()
        """Not to be changed by others."""
        self.with_free_slot: set[int] = set()
        """Those of them who say that they have one. Not to be changed by others."""
        self._speeds: dict[int, SpeedClass] = {}

    def is_online(self, account: int) -> bool:
        return account in self.online

    def holds(self, account: int, document: int) -> bool:
        """Whether somebody online holds it."""
        return account in self.online and document in self.shelves.get(account, _NONE)

    def held_by(self, accounts: Collection[int]) -> BitMap:
        """What any of these people holds who is online."""
        return BitMap().union(*(self.shelves.get(account, _NONE) for account in self.online & set(accounts)))

    def speed_of(self, account: int) -> SpeedClass:
        return self._speeds.get(account, SpeedClass.UNKNOWN)

    def by_speed(self, among: BitMap) -> list[BitMap]:
        """`among`, parted by their fastest source, the fastest first."""
        parts = []
        for speed in FROM_THE_FASTEST:
            part = among & self._fast[speed].positive if speed else among
            parts.append(part)
            among = among - part
        return parts

    # --- what happens -------------------------------------------------------------------------------

    def changed(self, account: int, gone: BitMap, come: BitMap) -> None:
        """These left the shelf of an account, and those are on it now."""
        if account in self.online:
            for counts in self._counts(account):
                counts.decrement(gone)
                counts.increment(come)

    def set_online(self, account: int, online: bool) -> None:
        """Somebody came or left. Who comes has not said yet whether a slot is free."""
        shelf = self.shelves.get(account, _NONE)
        if online and account in self.online:
            self.set_free(account, False)
        elif online:
            self.online.add(account)
            for counts in self._counts(account):
                counts.increment(shelf)
        elif account in self.online:
            for counts in self._counts(account):
                counts.decrement(shelf)
            self.online.remove(account)
            self.with_free_slot.discard(account)

    def set_free(self, account: int, free: bool) -> None:
        """Somebody online says whether a slot is free."""
        if account not in self.online or free == (account in self.with_free_slot):
            return
        shelf = self.shelves.get(account, _NONE)
        if free:
            self.with_free_slot.add(account)
            self.free.increment(shelf)
        else:
            self.with_free_slot.remove(account)
            self.free.decrement(shelf)

    def set_speed(self, account: int, speed: SpeedClass) -> None:
        """Somebody, online or not, was found to be so fast."""
        before = self._speeds.pop(account, SpeedClass.UNKNOWN)
        if speed:
            self._speeds[account] = speed
        if account in self.online and before is not speed:
            shelf = self.shelves.get(account, _NONE)
            if before:
                self._fast[before].decrement(shelf)
            if speed:
                self._fast[speed].increment(shelf)

    def _counts(self, account: int) -> Iterator[BitSlices]:
        yield self.sources
        if account in self.with_free_slot:
            yield self.free
        if speed := self._speeds.get(account):
            yield self._fast[speed]
