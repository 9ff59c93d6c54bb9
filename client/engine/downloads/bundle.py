"""Many small files of one folder, fetched together: without a connection, a question or a hash list for each.

The files wait in one place. Everybody who holds some of them is a `Carrier` and takes as many as they deliver
in a moment; what they bring is verified by its file id alone and put on the disk many at a time. A file that
nobody at work can give is handed back: an ordinary download looks for other sources of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import trio

from client.engine.downloads.carrier import Carrier
from client.engine.downloads.records import KnownSource, Record, save_finished
from client.engine.downloads.resting import Resting
from client.engine.downloads.shown import state_of_sources
from client.engine.downloads.surroundings import Surroundings
from client.engine.downloads.whole_files import Arrived, Written, write_files
from client.engine.meter import RateMeter
from client.engine.status import DownloadSourceView, DownloadState
from p2pshare.errors import LocalTrouble
from p2pshare.identity import NodeId
from p2pshare.limits import MIB, SMALL_FILE_BYTES_MAX
from p2pshare.transport.background import background

MEMBERS_MIN = 2  # a lone file is an ordinary download
CARRIERS_MAX = 8
UNSTORED_BYTES_MAX = 16 * MIB  # arrived and not on the disk yet; then the carriers wait
STORE_FILES_MAX = 1_024  # put on the disk at a time: what a crash can cost
LOOK_AGAIN_S = 60.0  # for more people who hold some of the files ...
LOOK_AGAIN_HUNGRY_S = 10.0  # ... while nobody gives any
SAMPLE = 3  # files whose sources are looked up to find such people
FILE_OVERHEAD_BYTES = 512  # what an empty file costs, beside the others


def can_be_bundled(record: Record) -> bool:
    """Whether a download may come in a bundle: small, not begun, nothing special about it."""
    return (
        record.size <= SMALL_FILE_BYTES_MAX
        and not record.part
        and record.replaces is None
        and (record.file is not None or record.person is not None)
    )


class Bundle:
    """`run` it until nothing of it is left."""

    def __init__(
        self,
        around: Surroundings,
        members: Iterable[Resting],
        *,
        taken: Callable[[str], bool],
        on_finished: Callable[[list[Resting]], None],
        on_left: Callable[[Resting], None],
    ) -> None:
        """`taken` tells whether a path is that of a finished download. `on_finished` hears of members that
        are complete, with their new records; `on_left` of each that no carrier can give."""
        self.around = around
        self.members = {member.record.id: member for member in members}
        """Not finished yet."""
        self.meter = RateMeter(trio.current_time())
        self.stored = trio.lowlevel.ParkingLot()  # carriers that wait for room
        self.carriers: dict[NodeId, Carrier] = {}
        self.problem = ""
        self._waiting = dict(self.members)  # asked of nobody just now
        self._lacking: dict[int, set[NodeId]] = {}  # who could not give a file
        self._arrived: list[Arrived] = []
        self._storing: list[Arrived] = []
        self._unstored_bytes = 0
        self._gave: tuple[DownloadSourceView, ...] = ()  # the carriers of the last run, once it is over
        self._taken = taken
        self._on_finished = on_finished
        self._on_left = on_left
        self._news = trio.Event()
        self._settled = trio.Event()
        self._trouble: LocalTrouble | None = None
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Raises `LocalTrouble` if the disk is in the way. It may be run again."""
        self._settled, self._trouble, self.problem = trio.Event(), None, ""
        self._waiting = dict(self.members)
        self._arrived, self._unstored_bytes = [], 0
        self._settle()
        try:
            async with background() as nursery:
                self._nursery = nursery
                try:
                    nursery.start_soon(self._look_for_carriers)
                    nursery.start_soon(self._store_on)
                    await self._settled.wait()
                finally:
                    self._nursery = None
        finally:
            self._gave = self.sources()
            self.carriers.clear()
        if self._trouble is not None:
            self.problem = str(self._trouble)
            raise self._trouble

    def join(self, members: Iterable[Resting]) -> None:
        """More to be fetched with the others."""
        for member in members:
            self.members[member.record.id] = self._waiting[member.record.id] = member
            self._lacking.pop(member.record.id, None)
        self.tell_news()

    def release(self, number: int) -> bool:
        """Take a member out, to be dealt with otherwise. False if it is just being finished, or not here."""
        if any(each.number == number for each in self._storing):
            return False
        gone = self.members.pop(number, None) is not None
        self._waiting.pop(number, None)
        self._settle()
        return gone

    # --- what carriers ask and tell ------------------------------------------------------------------

    def take(self, node: NodeId, files_max: int, bytes_max: int) -> list[Resting]:
        """Members to ask of somebody now; none if there are none for them."""
        taking: list[Resting] = []
        size = 0
        for member in self._waiting.values():
            if not self._may_have(node, member):
                continue
            size += member.record.size + FILE_OVERHEAD_BYTES
            if taking and (size > bytes_max or len(taking) == files_max):
                break
            taking.append(member)
        for member in taking:
            del self._waiting[member.record.id]
        return taking

    def _may_have(self, node: NodeId, member: Resting) -> bool:
        record = member.record
        if node in self._lacking.get(record.id, ()):
            return False
        return record.person == node if record.file is None else True

    def give_back(self, members: Iterable[Resting]) -> None:
        """They were asked for and did not come."""
        back = {each.record.id: each for each in members if each.record.id in self.members}
        if back:
            self._waiting = back | self._waiting
            self.tell_news()

    def lacks(self, node: NodeId, member: Resting) -> None:
        """Somebody cannot give this one."""
        number = member.record.id
        if number not in self.members:
            return
        self._lacking.setdefault(number, set()).add(node)
        if any(other.at_work and self._may_have(other.node, member) for other in self.carriers.values()):
            self.give_back([member])
            return
        self._waiting.pop(number, None)
        del self.members[number]
        self._on_left(member)
        self._settle()

    def arrived(self, file: Arrived) -> None:
        """A verified file."""
        if file.number in self.members:
            self._arrived.append(file)
            self._unstored_bytes += len(file.data)
            self.tell_news()

    async def has_room(self) -> None:
        """Wait while much that arrived is not on the disk yet."""
        while self._unstored_bytes > UNSTORED_BYTES_MAX:
            await self.stored.park()

    def tell_news(self) -> None:
        self._news.set()
        self._news = trio.Event()

    @property
    def news(self) -> trio.Event:
        """Set when there may be something to ask for, or to store."""
        return self._news

    # --- carriers ------------------------------------------------------------------------------------

    def add_carrier(self, known: KnownSource) -> None:
        """Somebody who may hold some of the files."""
        if (carrier := self.carriers.get(known.node)) is not None:
            carrier.servers.add(known.server)
        elif (
            self._nursery is not None
            and len(self.carriers) < CARRIERS_MAX
            and not self.around.distrust.avoids(known.node, None)
        ):
            carrier = self.carriers[known.node] = Carrier(self, known)
            self._nursery.start_soon(carrier.run)

    async def _look_for_carriers(self) -> None:
        for member in list(self.members.values()):
            for known in member.record.sources:
                if known.node not in self.carriers:
                    self.add_carrier(known)
        while True:
            hashed = [each.record.file for each in self._waiting.values() if each.record.file is not None]
            for file in self.around.chance.sample(hashed, min(SAMPLE, len(hashed))):
                for server, source in await self.around.find_sources(file):
                    if not source.partial:
                        self.around.peers.remember_nick(source.node, source.nick)
                        self.add_carrier(KnownSource(server, source.node, source.nick, source.offer))
            giving = any(carrier.state in ("downloading", "queued") for carrier in self.carriers.values())
            await trio.sleep(LOOK_AGAIN_S if giving else LOOK_AGAIN_HUNGRY_S)

    def carrier_gone(self, carrier: Carrier) -> None:
        """It is of no use any more; what only it could give is left to others."""
        if carrier.state != "lied":
            del self.carriers[carrier.node]  # should they offer the files anew, they are found again
        for member in list(self._waiting.values()):
            if member.record.file is None and member.record.person == carrier.node:
                self.lacks(carrier.node, member)

    # --- storing -------------------------------------------------------------------------------------

    async def _store_on(self) -> None:
        while True:
            while not self._arrived:
                await self._news.wait()
            self._storing, self._arrived = self._arrived[:STORE_FILES_MAX], self._arrived[STORE_FILES_MAX:]
            try:
                with trio.CancelScope(shield=True):  # what stands under its name is noted, too
                    await self._store(self._storing)
            except LocalTrouble as trouble:
                self._trouble = trouble
                self._settled.set()
                return
            finally:
                self._unstored_bytes -= sum(len(each.data) for each in self._storing)
                self._storing = []
                self.stored.unpark_all()

    async def _store(self, batch: list[Arrived]) -> None:
        outcome = await self.around.offload.run(write_files, batch, self._taken)
        if outcome.written:
            await self._finish(outcome.written)
        if outcome.refused and len(outcome.refused) == len(batch):
            raise outcome.refused[0][1]  # not this file or that, but the whole folder
        for number, _ in outcome.refused:
            if (member := self.members.pop(number, None)) is not None:
                self._on_left(member)  # it gets stuck by itself and tells why
        if outcome.full is not None:
            raise outcome.full
        self._settle()

    async def _finish(self, written: list[Written]) -> None:
        """They stand under their final names: share them onward and note it."""
        stamps = await self.around.adopt_all(
            [(os.path.join(each.folder, each.name), each.stamp, each.hashes) for each in written]
        )
        now = self.around.unix_now()
        finished: list[Resting] = []
        for each, stamp in zip(written, stamps, strict=True):
            if (member := self.members.pop(each.number, None)) is None:
                continue
            member.record = member.record.changed(
                file=each.hashes.file_id,
                state=DownloadState.COMPLETE,
                problem="",
                target_folder=each.folder,
                target_path=each.name,
                piece_size=each.hashes.piece_size,
                hashes=each.hashes.hashes,
                finished_at=now,
                finished_stamp=stamp,
            )
            finished.append(member)
        await self.around.database.write(save_finished, [member.record for member in finished])
        self._on_finished(finished)

    def _settle(self) -> None:
        if not self.members:
            self._settled.set()

    # --- the view ------------------------------------------------------------------------------------

    def state(self) -> DownloadState:
        """What goes on with what is left."""
        if self._trouble is not None:
            return DownloadState.STUCK
        return state_of_sources(carrier.state for carrier in self.carriers.values())

    def sources(self) -> tuple[DownloadSourceView, ...]:
        return tuple(carrier.view() for carrier in self.carriers.values()) or self._gave

    def explanation(self) -> str:
        """Why nothing arrives."""
        if self.state() in (DownloadState.RUNNING, DownloadState.QUEUED):
            return ""
        return self.problem or next((each.problem for each in self.carriers.values() if each.problem), "")
