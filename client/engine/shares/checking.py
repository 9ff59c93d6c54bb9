"""Whether the disk still holds what was hashed: slowly all the time, and at once where a person asks.

Rot is a piece that does not match its hash although nothing was changed, by all that the system tells of the
file. A file that somebody edited is none: it is hashed again and becomes another file. What has rotted stays
shared with the pieces that are good; `repair.py` fetches the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import trio

from client.engine.offload import Offload
from client.engine.shares import checks
from client.engine.shares.check_reading import CheckReading
from client.engine.shares.checks import Place
from client.engine.shares.hash_cache import SETTLED_S, Hashed
from client.engine.shares.hashing_queue import GIVE_WAY_S
from client.engine.shares.offers import OnDisk
from client.engine.shares.reading import Unreadable, Unsettled
from client.engine.status import CheckView, RottenView
from p2pshare.database import Database
from p2pshare.hashing import FileId, format_file_id

LOOK_EVERY_S = 600.0  # whether anything is due
REST_PER_WORK = 3.0  # a check that nobody waits for takes a quarter of the disk's time at most ...
REST_MIN_S = 0.05
BUSY_PAUSE_S = 5.0  # ... and none while files are moved
FINDINGS_MAX = 1_000  # named in a view


@dataclass(eq=False)
class _Round:
    """A check that a person asked for."""

    offers: deque[tuple[int, int]] = field(default_factory=deque)  # (offer, size) still to do
    files: int = 0
    bytes: int = 0
    files_done: int = 0
    bytes_done: int = 0
    changed: int = 0
    rotten: list[RottenView] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


class Checking:
    """`run` does the work."""

    def __init__(
        self,
        database: Database,
        offload: Offload,
        *,
        every_s: float,
        busy: Callable[[], bool],
        unix_now: Callable[[], float],
        on_touched: Callable[[Sequence[int]], None],
        on_unsettled: Callable[[OnDisk], None],
    ) -> None:
        """Every file is checked each `every_s` seconds. `on_touched` is told the offers that are different
        now, and `on_unsettled` the files whose folder should be looked into again."""
        self.on_rotten: Callable[[FileId], Awaitable[None]] = _nothing
        """Told of a file that has rotted, or rotted further."""
        self._database = database
        self._offload = offload
        self._every_s = every_s
        self._busy = busy
        self._unix_now = unix_now
        self._on_touched = on_touched
        self._on_unsettled = on_unsettled
        self._round = _Round()
        self._name = ""
        self._asked = trio.Event()

    async def check(self, place: Place) -> CheckView:
        """Check everything there now. What is asked for meanwhile is added."""
        found = await self._database.read(checks.beneath, place)
        if not self._round.offers and not self._name:
            self._round = _Round()
        self._round.offers.extend(found)
        self._round.files += len(found)
        self._round.bytes += sum(size for _, size in found)
        self._asked.set()
        return self.view()

    def view(self) -> CheckView:
        """How the check that was asked for last stands."""
        at = self._round
        return CheckView(
            running=at.files_done < at.files,
            name=self._name,
            files=at.files,
            files_done=at.files_done,
            bytes=at.bytes,
            bytes_done=at.bytes_done,
            changed=at.changed,
            rotten=tuple(at.rotten),
            unreadable=tuple(at.unreadable),
        )

    async def run(self) -> None:
        """Check for ever."""
        await self._database.write(checks.come_back, self._unix_now())
        while True:
            self._asked = trio.Event()
            while self._round.offers:
                await self._next_of_round()
            due = await self._database.read(checks.due, self._unix_now() - self._every_s)
            for offer in due:
                if self._round.offers:
                    break
                await self._check_quietly(offer)
            if not due:
                with trio.move_on_after(LOOK_EVERY_S):
                    await self._asked.wait()

    async def _next_of_round(self) -> None:
        at = self._round
        offer, size = at.offers[0]
        found = await self._database.read(checks.find_hashed, offer)
        if found is not None:
            self._name = found[0].name
            try:
                bad = await self._check(*found, quietly=False)
                if bad and len(at.rotten) < FINDINGS_MAX:
                    at.rotten.append(_rotten_view(*found, bad))
            except Unsettled:
                at.changed += 1
            except Unreadable:
                if len(at.unreadable) < FINDINGS_MAX:
                    at.unreadable.append(found[0].path)
        at.offers.popleft()
        at.files_done += 1
        at.bytes_done += size
        self._name = ""

    async def _check_quietly(self, offer: int) -> None:
        found = await self._database.read(checks.find_hashed, offer)
        if found is None:
            return
        try:
            await self._check(*found, quietly=True)
        except (Unsettled, Unreadable):
            await self._database.write(checks.put_off, found[0], self._unix_now())

    async def _check(self, target: OnDisk, known: Hashed, *, quietly: bool) -> int:
        """How many pieces are bad. Raises Unsettled or Unreadable."""
        reading = CheckReading(target, known.hashes)
        try:
            while reading.pieces_left:
                if quietly:
                    await self._wait_until_idle()
                began = trio.current_time()
                await self._offload.run(reading.step)
                await self._rest(trio.current_time() - began, quietly)
            if reading.bad:
                await self._offload.run(reading.confirm)
        except Unsettled:
            self._on_unsettled(target)
            raise
        finally:
            reading.close()
        if reading.bad and not known.settled:
            self._on_touched(await self._database.write(checks.hash_again, target))
            raise Unsettled
        now = self._unix_now()
        settled = known.settled or now - target.stamp.changed_at > SETTLED_S
        if await self._database.write(checks.note, target, reading.good, settled, now):
            self._on_touched([target.offer])
        if reading.good is not None and reading.good != known.good:
            await self.on_rotten(known.hashes.file_id)
        return len(reading.bad)

    async def _wait_until_idle(self) -> None:
        while self._busy() and not self._round.offers:  # noqa: ASYNC110  # rates fall without a word
            await trio.sleep(BUSY_PAUSE_S)

    async def _rest(self, worked_s: float, quietly: bool) -> None:
        if quietly and not self._round.offers:
            await trio.sleep(max(REST_MIN_S, worked_s * REST_PER_WORK))
        elif self._busy():
            await trio.sleep(GIVE_WAY_S)


def _rotten_view(target: OnDisk, known: Hashed, bad: int) -> RottenView:
    return RottenView(
        path=target.path, file=format_file_id(known.hashes.file_id), size=target.stamp.size, bad_pieces=bad
    )


async def _nothing(file: FileId) -> None:
    """Nobody wants to know."""
