"""Which file is hashed next, and hashing it: first what somebody waits for, then the smallest.

One file is hashed at a time, because disks like that best. Whoever asks for a file does not wait for a large
one that is under way: after each step the smallest of the files that are waited for goes first.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import trio

from client.engine.offload import Offload
from client.engine.shares import hash_cache, inventory
from client.engine.shares.offers import FILES, ON_DISK, OnDisk, find_on_disk, on_disk_of
from client.engine.shares.reading import STEP_BYTES, Reading, Unreadable, Unsettled, hash_whole
from client.engine.watch import Watch
from p2pshare.database import Database
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import FileId, PieceHashes
from p2pshare.limits import MIB

SMALL_BYTES = 1 * MIB  # up to here, files are hashed several at once
SMALL_TOGETHER = 64
REST_UNSETTLED_S = 5  # a file that is being written is left alone for so long
REST_UNREADABLE_S = 600
GIVE_WAY_S = 0.05  # between two steps while others need the machine: some 100 MB/s remain


class HashingQueue:
    """`run` works through it. Everything here happens on the loop's thread."""

    def __init__(
        self,
        database: Database,
        offload: Offload,
        *,
        busy: Callable[[], bool],
        unix_now: Callable[[], float],
        on_hashed: Callable[[Sequence[int]], None],
        on_unsettled: Callable[[OnDisk], None],
    ) -> None:
        """While `busy()`, files that nobody waits for are hashed slowly. `on_hashed` is told the offers, and
        `on_unsettled` the files whose folder should be looked into again."""
        self.current = Watch("")  # name of the file that is being hashed
        self.unreadable: dict[int, OnDisk] = {}  # by offer
        self._database = database
        self._offload = offload
        self._busy = busy
        self._unix_now = unix_now
        self._on_hashed = on_hashed
        self._on_unsettled = on_unsettled
        self._wanted: dict[int, _Wanted] = {}
        self._under_way: set[int] = set()
        self._rest_until: dict[int, float] = {}
        self._work = trio.Event()

    def files_changed(self, offers: Sequence[int]) -> None:
        """These files are new, different or gone."""
        for offer in offers:
            self.unreadable.pop(offer, None)
            self._rest_until.pop(offer, None)
        self._work.set()

    async def hash_now(self, offer: int) -> FileId:
        """The id of an offered file; hashes it before others if need be.

        Raises Refused: NO_SUCH_FILE, FILE_CHANGED while it is being written, FAILED when it cannot be read.
        """
        target = await self._database.read(find_on_disk, offer)
        if target is None:
            raise Refused(Reason.NO_SUCH_FILE)
        if target.file is not None:
            return target.file
        wanted = self._wanted.setdefault(offer, _Wanted(target))
        self._work.set()
        await wanted.done.wait()
        if isinstance(wanted.answer, bytes):
            return wanted.answer
        assert wanted.answer is not None
        reason, text, retry_after_s = wanted.answer
        raise Refused(reason, text, retry_after_s)

    async def run(self) -> None:
        """Hash for ever."""
        while True:
            self._work = trio.Event()
            if (first := self._first_wanted()) is not None:
                await self._hash(first)
                continue
            targets = await self._database.read(_to_hash, self._resting(), SMALL_TOGETHER)
            if not targets:
                self.current.set("")
                await self._wait_for_work()
            elif targets[0].stamp.size > SMALL_BYTES:
                await self._hash(targets[0])
            else:
                await self._hash_small(targets)

    # --- hashing

    async def _hash(self, target: OnDisk) -> None:
        self._under_way.add(target.offer)
        reading = Reading(target)
        try:
            while reading.result is None:
                self.current.set(target.name)
                await self._offload.run(reading.step)
                await self._let_pass(reading)
            await self._record([(target, reading.result)])
        except (Unsettled, Unreadable) as error:
            self._put_aside(target, error)
        finally:
            reading.close()
            self._under_way.discard(target.offer)

    async def _let_pass(self, reading: Reading) -> None:
        """Between two steps of a file: hash what is more urgent."""
        while (first := self._first_wanted()) is not None:
            if reading.target.offer in self._wanted and reading.left <= first.stamp.size:
                return
            await self._hash(first)
        if reading.target.offer not in self._wanted:
            await self._give_way()

    async def _hash_small(self, targets: list[OnDisk]) -> None:
        together: list[OnDisk] = []
        size = 0
        for target in targets:
            size += target.stamp.size
            if target.stamp.size > SMALL_BYTES or (together and size > STEP_BYTES):
                break
            together.append(target)
        self.current.set(together[0].name)
        results = await self._offload.run(hash_whole, together)
        pairs = list(zip(together, results, strict=True))
        await self._record([(target, result) for target, result in pairs if isinstance(result, PieceHashes)])
        for target, result in pairs:
            if not isinstance(result, PieceHashes):
                self._put_aside(target, result)
        await self._give_way()

    async def _record(self, done: list[tuple[OnDisk, PieceHashes]]) -> None:
        if not done:
            return
        noted, recorded = await self._database.write(_record, done, self._unix_now())
        for target, hashes in done:
            self.unreadable.pop(target.offer, None)
            if target.offer in recorded:
                self._answer(target.offer, hashes.file_id)
            else:
                self._put_aside(target, Unsettled())
        self._on_hashed(noted)

    def _put_aside(self, target: OnDisk, why: Unsettled | Unreadable) -> None:
        now = trio.current_time()
        if isinstance(why, Unreadable):
            self.unreadable[target.offer] = target
            self._rest_until[target.offer] = now + REST_UNREADABLE_S
            no = (Reason.FAILED, f"{target.name} cannot be read by its owner's program.", 0)
        else:
            self._rest_until[target.offer] = now + REST_UNSETTLED_S
            no = (Reason.FILE_CHANGED, f"{target.name} is being changed by its owner.", REST_UNSETTLED_S)
            self._on_unsettled(target)
        self._answer(target.offer, no)

    # --- whose turn it is

    def _answer(self, offer: int, answer: FileId | _No) -> None:
        wanted = self._wanted.pop(offer, None)
        if wanted is not None:
            wanted.answer = answer
            wanted.done.set()

    def _first_wanted(self) -> OnDisk | None:
        """The smallest file that somebody waits for and that is not begun."""
        waiting = [w.target for offer, w in self._wanted.items() if offer not in self._under_way]
        return min(waiting, key=lambda target: target.stamp.size, default=None)

    def _resting(self) -> list[int]:
        now = trio.current_time()
        self._rest_until = {offer: until for offer, until in self._rest_until.items() if until > now}
        return list(self._rest_until)

    async def _wait_for_work(self) -> None:
        with trio.move_on_at(min(self._rest_until.values(), default=math.inf)):
            await self._work.wait()

    async def _give_way(self) -> None:
        """Between two steps that nobody waits for."""
        if self._busy():
            await trio.sleep(GIVE_WAY_S)


_No = tuple[Reason, str, int]  # as in Refused


@dataclass
class _Wanted:
    """A file that somebody waits for."""

    target: OnDisk
    done: trio.Event = field(default_factory=trio.Event)
    answer: FileId | _No | None = None  # there once `done` is set


def _to_hash(db: sqlite3.Connection, resting: list[int], limit: int) -> list[OnDisk]:
    """Files without an id, the smallest first."""
    rows = db.execute(
        f"SELECT {ON_DISK} FROM {FILES} WHERE f.file_id IS NULL AND NOT s.away"
        " AND f.id NOT IN (SELECT value FROM json_each(?)) ORDER BY f.size LIMIT ?",
        (json.dumps(resting), limit),
    )
    return [on_disk_of(row) for row in rows]


def _record(
    db: sqlite3.Connection, done: list[tuple[OnDisk, PieceHashes]], unix_now: float
) -> tuple[list[int], list[int]]:
    """Keep the hashes. Returns the offers that are hashed by it, and those that are hashed now: whose file is
    still the same one. Somebody may have waited for one that was hashed a moment before."""
    for target, hashes in done:
        hash_cache.remember(db, target.path, target.stamp, hashes, unix_now)
    noted = inventory.set_file_ids(db, ((t.offer, t.stamp, hashes.file_id) for t, hashes in done))
    there = [(find_on_disk(db, target.offer), target, hashes) for target, hashes in done]
    return noted, [
        found.offer
        for found, target, hashes in there
        if found is not None and (found.stamp, found.file) == (target.stamp, hashes.file_id)
    ]
