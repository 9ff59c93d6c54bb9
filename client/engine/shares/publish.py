"""What an index server has to be told so that its copy of our manifest becomes the manifest.

What each server has acknowledged is kept as rows: offer and hash. At login both sides compare digests. If
those are equal, only what changed since is told; if not, everything is told anew. While the program runs,
offers that are touched are noted by number: one changed file costs one row, however large the manifest.

Rule 1: rows say what a server has acknowledged, never what we hope it has.
Rule 2: `file.offer_hash` is the hash of the offer as the row stands; every change of the row makes it NULL.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import trio

from client.engine.shares.offers import DOWNLOAD_OFFERS_FROM, offers_among
from client.engine.watch import Watch
from p2pshare.database import Database
from p2pshare.errors import Misuse
from p2pshare.identity import NodeId
from p2pshare.limits import PUBLISH_BATCH
from p2pshare.wire.fields import Offer
from p2pshare.wire.index import Publish
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest, offer_hash
from p2pshare.wire.schema import dump, pack

OFFERS_BYTES_MAX = Publish.FRAME_MAX - 256 - 6 * PUBLISH_BATCH  # what the rest of a publish message leaves
_REQUEST = 1  # stands in for the number that the sender of the message gives it


# --- the decision ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fact:
    """One offer that the server may not know as it is."""

    number: int
    offer: Offer | None  # None: not offered any more
    hash: bytes | None  # of the offer
    told: bytes | None  # the hash that the server has acknowledged


@dataclass(frozen=True)
class Batch:
    """One publish message, and what is needed once it is acknowledged."""

    message: Publish
    hashes: tuple[tuple[int, bytes], ...]  # number and hash of each added offer
    left: tuple[int, ...]  # offers that did not fit

    @property
    def numbers(self) -> tuple[int, ...]:
        return (*self.message.removed, *(number for number, _ in self.hashes))


def plan_batch(base: bytes, facts: Sequence[Fact], *, reset: bool = False) -> Batch | None:
    """The message that tells as many of the facts (at most PUBLISH_BATCH) as fit; None if all are known."""
    removed: list[Fact] = []
    added: list[Fact] = []
    left: list[int] = []
    room = OFFERS_BYTES_MAX
    for fact in facts:
        if fact.hash == fact.told:
            continue
        if fact.offer is None:
            removed.append(fact)
        elif (size := len(pack(dump(fact.offer)))) > room:
            left.append(fact.number)
        else:
            room -= size
            added.append(fact)
    if not removed and not added and not reset:
        return None
    result = change_digest(
        base,
        removed=[fact.told for fact in (*removed, *added) if fact.told is not None],
        added=[fact.hash for fact in added if fact.hash is not None],
    )
    message = Publish(
        request=_REQUEST,
        base=base,
        result=result,
        removed=tuple(fact.number for fact in removed),
        added=tuple(fact.offer for fact in added if fact.offer is not None),
        reset=reset,
    )
    hashes = tuple((fact.number, fact.hash) for fact in added if fact.hash is not None)
    return Batch(message, hashes, tuple(left))


# --- all servers of this client ----------------------------------------------------------------------


@dataclass
class _Copy:
    """One server's copy of our manifest."""

    digest: bytes = b""  # of what it has acknowledged
    touched: set[int] = field(default_factory=set)  # offers that it may not know as they are
    outstanding: Batch | None = None  # told, but not acknowledged yet
    reset: bool = False  # the next message begins from nothing
    loaded: bool = False


class Publisher:
    """Keeps the copies of all servers up to date. One task for each asks for batches."""

    def __init__(self, database: Database) -> None:
        self.changed = Watch(0)  # grows when there may be something to tell
        self._database = database
        self._partial: dict[int, Offer] = {}
        self._copies: dict[NodeId, _Copy] = {}

    def touch(self, numbers: Iterable[int]) -> None:
        """These offers are new, different or gone."""
        numbers = list(numbers)
        if numbers:
            for copy in self._copies.values():
                copy.touched.update(numbers)
            self.changed.set(self.changed.value + 1)

    def set_download_offers(self, offers: Iterable[Offer]) -> None:
        """Replace the offers of what was downloaded and lies in no share, whole or in part. Their numbers are
        DOWNLOAD_OFFERS_FROM or more."""
        before, self._partial = self._partial, {offer.offer: offer for offer in offers}
        if min(self._partial, default=DOWNLOAD_OFFERS_FROM) < DOWNLOAD_OFFERS_FROM:
            raise Misuse("The number of a partial offer could be that of a shared file.")
        numbers = before.keys() | self._partial.keys()
        self.touch(number for number in numbers if before.get(number) != self._partial.get(number))

    async def next_batch(self, server: NodeId, digest: bytes) -> Publish | None:
        """The next change for a server that holds a manifest of this digest; None if it is up to date."""
        copy = await self._copy(server)
        if copy.outstanding is not None:
            if digest == copy.outstanding.message.result:  # it was stored, only the answer got lost
                await self.acknowledge(server, copy.outstanding.message)
            else:
                copy.touched.update(copy.outstanding.numbers)
                copy.outstanding = None
        if digest != copy.digest:
            await self._start_over(server, copy)
        while copy.touched or copy.reset:
            numbers = [copy.touched.pop() for _ in range(min(len(copy.touched), PUBLISH_BATCH))]
            told = False
            try:
                facts = await self._database.write(_facts, server, numbers, self._partial)
                told = True
            finally:
                if not told:
                    copy.touched.update(numbers)
            batch = plan_batch(copy.digest, facts, reset=copy.reset)
            if batch is not None:
                copy.touched.update(batch.left)
                copy.outstanding = batch
                return batch.message
        return None

    async def acknowledge(self, server: NodeId, message: Publish) -> None:
        """The server has stored the batch that it was told last."""
        copy = self._copies[server]
        batch = copy.outstanding
        if batch is None or batch.message.result != message.result:
            raise Misuse("Only the batch that was asked for last can be acknowledged.")
        await self._database.write(_acknowledge, server, batch)
        copy.outstanding, copy.digest, copy.reset = None, message.result, False

    async def pending(self, server: NodeId) -> int:
        """How many offers the server may not know as they are."""
        copy = await self._copy(server)
        return len(copy.touched) + (len(copy.outstanding.numbers) if copy.outstanding else 0)

    async def told(self, server: NodeId) -> int:
        """How many offers the server has acknowledged."""
        return await self._database.read(_count_told, server)

    async def _copy(self, server: NodeId) -> _Copy:
        # Known before it is loaded: what is touched meanwhile is noted, too.
        copy = self._copies.setdefault(server, _Copy())
        if not copy.loaded:
            copy.digest, different = await self._database.read(_look_up, server)
            copy.touched |= different | self._partial.keys()
            copy.loaded = True
        await trio.lowlevel.checkpoint()
        return copy

    async def _start_over(self, server: NodeId, copy: _Copy) -> None:
        copy.touched |= await self._database.write(_forget, server)
        copy.touched |= self._partial.keys()
        copy.digest, copy.reset = EMPTY_MANIFEST, True


# --- units -------------------------------------------------------------------------------------------


def _count_told(db: sqlite3.Connection, server: NodeId) -> int:
    count: int = db.execute("SELECT count(*) FROM published WHERE server = ?", (server,)).fetchone()[0]
    return count


def _look_up(db: sqlite3.Connection, server: NodeId) -> tuple[bytes, set[int]]:
    """(digest of what the server has acknowledged, numbers of the offers that may differ from it)"""
    hashes = db.execute("SELECT hash FROM published WHERE server = ?", (server,))
    digest = change_digest(EMPTY_MANIFEST, added=(hash for (hash,) in hashes))
    different = db.execute(
        "SELECT f.id FROM file f LEFT JOIN published p ON p.server = ?1 AND p.offer = f.id"
        " WHERE f.offer_hash IS NOT p.hash OR f.offer_hash IS NULL"
        " UNION ALL SELECT f.id FROM file f JOIN folder d ON d.id = f.folder JOIN share s ON s.id = d.share"
        " WHERE s.away"
        " UNION ALL SELECT p.offer FROM published p WHERE p.server = ?1"
        " AND NOT EXISTS (SELECT 1 FROM file f WHERE f.id = p.offer)",
        (server,),
    )
    return digest, {number for (number,) in different}


def _forget(db: sqlite3.Connection, server: NodeId) -> set[int]:
    """The server has none of it. Returns the numbers of all offers."""
    db.execute("DELETE FROM published WHERE server = ?", (server,))
    return {number for (number,) in db.execute("SELECT id FROM file")}


def _facts(
    db: sqlite3.Connection, server: NodeId, numbers: list[int], partial: Mapping[int, Offer]
) -> list[Fact]:
    rows = db.execute(
        "SELECT offer, hash FROM published WHERE server = ? AND offer IN (SELECT value FROM json_each(?))",
        (server, json.dumps(numbers)),
    )
    told: dict[int, bytes] = dict(rows.fetchall())
    offers = {offer.offer: offer for offer in offers_among(db, numbers)}
    hashes = {number: offer_hash(offer) for number, offer in offers.items()}
    db.executemany(
        "UPDATE file SET offer_hash = ? WHERE id = ? AND offer_hash IS NULL",
        [(hash, number) for number, hash in hashes.items()],
    )
    for number in numbers:
        if number in partial:
            offers[number], hashes[number] = partial[number], offer_hash(partial[number])
    return [Fact(number, offers.get(number), hashes.get(number), told.get(number)) for number in numbers]


def _acknowledge(db: sqlite3.Connection, server: NodeId, batch: Batch) -> None:
    db.executemany(
        "DELETE FROM published WHERE server = ? AND offer = ?",
        [(server, number) for number in batch.message.removed],
    )
    db.executemany(
        "INSERT OR REPLACE INTO published(server, offer, hash) VALUES (?, ?, ?)",
        [(server, number, hash) for number, hash in batch.hashes],
    )
