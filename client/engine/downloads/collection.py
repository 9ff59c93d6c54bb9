"""All downloads of a profile: they run side by side, wait for each other, stop and go on."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress

import trio

from client.engine.downloads.bundle import MEMBERS_MIN, Bundle, can_be_bundled
from client.engine.downloads.download import Download
from client.engine.downloads.folders import ENDED, FolderDownload
from client.engine.downloads.listed import Entry, Listed, rests
from client.engine.downloads.onward import Onward
from client.engine.downloads.precedence import keep_precedence
from client.engine.downloads.records import (
    Record,
    delete_all,
    insert,
    insert_folder,
    load_all,
    save,
    save_all,
)
from client.engine.downloads.repairing import Superseded
from client.engine.downloads.resting import Resting
from client.engine.downloads.surroundings import Surroundings
from client.engine.downloads.turns import Turns
from client.engine.status import DownloadState, DownloadView, Priority
from p2pshare.errors import LocalTrouble
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.wire.fields import Offer

RETRY_STUCK_S = 15.0  # a full disk or a missing folder is looked at again so often
OUR_MISTAKE = "p2pshare made a mistake of its own; its log says which. Resume the download to try again."

log = logging.getLogger(__name__)


class Downloads:
    """Every download, running or ended."""

    def __init__(
        self,
        around: Surroundings,
        nursery: trio.Nursery,
        *,
        on_piece: Callable[[FileId, int], None],
        on_offers: Callable[[tuple[Offer, ...]], None],
        on_finished: Callable[[FileId], Awaitable[None]],
    ) -> None:
        """Downloads run in `nursery`. `on_piece` hears of every verified piece, `on_offers` of what
        the index servers should be told about running downloads."""
        self._around = around
        self._nursery = nursery
        self._on_piece = on_piece
        self._on_finished = on_finished
        self._listed = Listed()
        self.onward = Onward(self._listed.files, around, nursery, on_offers)
        self._scopes: dict[int, trio.CancelScope] = {}  # of downloads, and of the bundles of folders
        self._stopped: dict[int, trio.Event] = {}
        self._turns = Turns()
        self.news = trio.lowlevel.ParkingLot()
        """Wakes whoever waits here for a piece of a download, or for its state to change."""

    async def load(self) -> None:
        """Take up again whatever was not finished or paused when the engine ended."""
        for record in await self._around.database.read(load_all):
            if record.files:
                self._listed.folders[record.id] = FolderDownload(record)
            else:
                self._put(Resting(record))
        self._start([each for each in self._listed.files.values() if not rests(each)])
        self._nursery.start_soon(keep_precedence, self._at_work)
        self.onward.tell_offers()

    # --- calls --------------------------------------------------------------------------------------

    async def add(self, record: Record) -> DownloadView:
        """Start a download; one of the same file to the same place that is there already goes on instead."""
        if (known := self._listed.same_as(record)) is not None:
            await self._go_on(known, record)
            return known.view()
        number = await self._around.database.write(insert, record)
        download = Download(record.changed(id=number), self._around, self._progressed)
        self._put(download)
        self._start([download])
        return download.view()

    async def add_folder(self, folder: Record, records: Sequence[Record]) -> tuple[DownloadView, ...]:
        """Start the download of a folder with these files, but for those that are on their way already."""
        new: list[Record] = []
        lines: set[int] = set()
        for record in records:
            if (known := self._listed.same_as(record)) is None:
                new.append(record)
                continue
            await self._go_on(known, record)
            home = self._listed.folder_of(known)
            lines.add(known.record.id if home is None else home.record.id)
        if new:
            folder = folder.changed(size=sum(record.size for record in new), files=len(new))
            number = await self._around.database.write(insert_folder, folder, new)
            self._listed.folders[number] = FolderDownload(folder.changed(id=number))
            files = [Resting(each.changed(id=number + at, parent=number)) for at, each in enumerate(new, 1)]
            for each in files:
                self._put(each)
            self._start(files)
            lines.add(number)
        return tuple(self._listed.line(number).view() for number in sorted(lines))

    async def pause(self, number: int) -> None:
        """A download, or all files of a folder."""
        going = [each for each in self._listed.named(number) if each.state() not in ENDED]
        if not going:
            line = self._listed.line(number)
            raise LocalTrouble(f"{line.record.name} is {line.state()}; there is nothing to pause.")
        await self._stop(going)
        # Some may have been finished at the last moment.
        await self._set([each for each in going if each.record.state not in ENDED], DownloadState.PAUSED)

    async def resume(self, number: int) -> None:
        """A download, or all files of a folder."""
        over = (DownloadState.COMPLETE, DownloadState.CANCELLED)
        stopped = [each for each in self._listed.named(number) if each.record.state not in over]
        if not stopped:
            line = self._listed.line(number)
            raise LocalTrouble(f"{line.record.name} is {line.state()}; there is nothing to resume.")
        await self._stop(stopped)  # one that is stuck looks again at once
        stopped = [each for each in stopped if each.record.state not in over]
        await self._set(stopped, DownloadState.LOOKING)
        self._start(stopped)

    async def cancel(self, number: int) -> None:
        """A download, or all files of a folder that are not complete."""
        going = [each for each in self._listed.named(number) if each.state() is not DownloadState.COMPLETE]
        if not going:
            line = self._listed.line(number)
            what = "it" if line.record.files else "the file"
            name = line.record.name
            raise LocalTrouble(f"{name} is complete already. Delete {what} if you do not want it.")
        await self._stop(going)
        going = [each for each in going if each.record.state is not DownloadState.COMPLETE]
        for each in going:
            if each.record.hashes is not None:
                await self._download(each).discard()
        await self._set(going, DownloadState.CANCELLED)

    async def prioritise(self, number: int, priority: Priority) -> None:
        """A download, or a folder with all its files."""
        some = self._listed.named(number)
        for each in some:
            each.record = each.record.changed(priority=priority)
        records = [each.record for each in some]
        if (folder := self._listed.folders.get(number)) is not None:
            folder.record = folder.record.changed(priority=priority)
            records.append(folder.record)
        self._turns.sort_anew(each for each in some if isinstance(each, Download))
        await self._around.database.write(save_all, records)

    async def clear(self) -> int:
        """Forget what is ended, a folder once all of it is; returns how many of both that were.

        Finished files that lie in no share are not offered any more.
        """
        folders = {number: each for number, each in self._listed.folders.items() if each.is_over}
        files = [number for number in self._listed.alone() if self._listed.files[number].state() in ENDED]
        inside = [number for folder in folders.values() for number in folder.files]
        await self._around.database.write(delete_all, [*folders, *files, *inside])
        for number in (*files, *inside):
            self.onward.forget(self._listed.remove(number))
        for number in folders:
            del self._listed.folders[number]
        self.onward.tell_offers()
        return len(folders) + len(files)

    async def trust(self, people: Collection[NodeId]) -> None:
        """Whoever was dropped for a lie by a download that runs is asked again."""
        lied: list[Entry] = []
        for number, entry in self._listed.files.items():
            if isinstance(entry, Download) and entry.plan is not None and number in self._scopes:
                if any(entry.plan.lied(node) for node in people):
                    lied.append(entry)
        for folder in self._listed.folders.values():
            if folder.bundle is not None and any(node in folder.bundle.carriers for node in people):
                lied += list(folder.bundle.members.values())
        await self._stop(lied)
        self._start([each for each in lied if not rests(each)])

    def download(self, number: int) -> Download | None:
        """A file as a download of its own, even if it was to come among others."""
        entry = self._listed.files.get(number)
        if entry is None or isinstance(entry, Download):
            return entry
        folder = self._listed.folder_of(entry)
        if folder is None or folder.bundle is None or number not in folder.bundle.members:
            return self._download(entry)
        if not folder.bundle.release(number):
            return None  # it is complete in a moment
        self._start_alone(entry)
        return self._download(entry)

    def _at_work(self) -> list[Download]:
        entries = (self._listed.files.get(number) for number in self._scopes)
        return [each for each in entries if isinstance(each, Download)]

    def rate(self, now: float) -> float:
        """Bytes a second that arrive."""
        bundles = (folder.bundle for folder in self._listed.folders.values() if folder.bundle is not None)
        meters = [each.meter for each in self._at_work()] + [bundle.meter for bundle in bundles]
        return sum(meter.rate(now) for meter in meters)

    def views(self) -> tuple[DownloadView, ...]:
        """All, oldest first: a folder as one, and files that belong to none."""
        return self._listed.views()

    def views_in(self, folder: int) -> tuple[DownloadView, ...]:
        """The files of a folder."""
        return self._listed.views_in(folder)

    # --- the list -----------------------------------------------------------------------------------

    def _put(self, entry: Entry) -> None:
        self._listed.put(entry)
        self.onward.note(entry)

    def _download(self, entry: Entry) -> Download:
        """The same as a download of its own."""
        if isinstance(entry, Download):
            return entry
        download = Download(entry.record, self._around, self._progressed)
        self._put(download)
        return download

    async def _go_on(self, known: Entry, record: Record) -> None:
        """It was ordered again."""
        if isinstance(known, Download):
            for source in record.sources:
                known.add_source(source)
        if known.record.state is DownloadState.PAUSED:
            await self.resume(known.record.id)

    async def _set(self, some: Sequence[Entry], state: DownloadState, problem: str = "") -> None:
        """Note a new state, here and in the library."""
        for each in some:
            each.record = each.record.changed(state=state, problem=problem)
            self._put(each)
        self.news.unpark_all()
        await self._around.database.write(save_all, [each.record for each in some])

    # --- running ------------------------------------------------------------------------------------

    def _progressed(self, download: Download, piece: int | None) -> None:
        if piece is not None and download.record.file is not None:
            self._on_piece(download.record.file, piece)
        self.news.unpark_all()
        self.onward.progressed(download)

    def _start(self, some: Iterable[Entry]) -> None:
        """Small files of a folder in its bundle, the others one by one."""
        bundled: defaultdict[int, list[Resting]] = defaultdict(list)
        for each in some:
            folder = self._listed.folder_of(each)
            if isinstance(each, Resting) and folder is not None and can_be_bundled(each.record):
                bundled[folder.record.id].append(each)
            else:
                self._start_alone(each)
        for number, members in bundled.items():
            if len(members) >= MEMBERS_MIN or number in self._scopes:
                self._start_bundle(self._listed.folders[number], members)
            else:
                self._start_alone(members[0])

    def _start_alone(self, entry: Entry) -> None:
        download = self._download(entry)
        number = download.record.id
        if (folder := self._listed.folder_of(download)) is not None:
            folder.working[number] = download
        self._scopes[number], self._stopped[number] = trio.CancelScope(), trio.Event()
        self._nursery.start_soon(self._drive, download, self._scopes[number], self._stopped[number])

    def _start_bundle(self, folder: FolderDownload, members: list[Resting]) -> None:
        number = folder.record.id
        if folder.bundle is not None and number in self._scopes:
            folder.bundle.join(members)
            return
        folder.bundle = Bundle(
            self._around,
            members,
            taken=self._listed.is_finished,
            on_finished=self._finished_together,
            on_left=self._start_alone,
        )
        self._scopes[number], self._stopped[number] = trio.CancelScope(), trio.Event()
        self._nursery.start_soon(self._drive_bundle, folder, self._scopes[number], self._stopped[number])

    def _finished_together(self, members: list[Resting]) -> None:
        for member in members:
            self._put(member)
        if any(member.record.finished_stamp is not None for member in members):
            self.onward.tell_offers()
        self.news.unpark_all()

    async def _stop(self, some: Collection[Entry]) -> None:
        """None of them is at work when this returns. The bundles that they were in go on without them."""
        folders: dict[int, FolderDownload] = {}
        stopping: list[int] = []
        for each in some:
            folder = self._listed.folder_of(each)
            number = each.record.id
            if folder is not None and folder.bundle is not None and number in folder.bundle.members:
                folders[folder.record.id] = folder
            elif number in self._scopes:
                stopping.append(number)
        stopping += [number for number in folders if number in self._scopes]
        for number in stopping:
            self._scopes.pop(number).cancel()
        for number in stopping:
            await self._stopped[number].wait()
        numbers = {each.record.id for each in some}
        for folder in folders.values():
            if folder.bundle is not None:
                left = [each for number, each in folder.bundle.members.items() if number not in numbers]
                folder.bundle = None
                self._start(left)

    async def _drive_bundle(
        self, folder: FolderDownload, scope: trio.CancelScope, stopped: trio.Event
    ) -> None:
        """Run its bundle until nothing of it is left, over all troubles that pass."""
        bundle = folder.bundle
        assert bundle is not None
        try:
            with scope:
                while bundle.members:
                    try:
                        await bundle.run()
                    except LocalTrouble:
                        await trio.sleep(RETRY_STUCK_S)
                    except Exception:  # a mistake of our own ends this download, not everything
                        log.exception("a bundle failed by our own mistake")
                        left, bundle.members = list(bundle.members.values()), {}
                        await self._set(left, DownloadState.FAILED, OUR_MISTAKE)
        finally:
            self._ended(folder.record.id, scope, stopped)

    async def _drive(self, download: Download, scope: trio.CancelScope, stopped: trio.Event) -> None:
        """Run a download until it is complete, over all troubles that pass."""
        try:
            with scope:
                while True:
                    try:
                        if await self._take_turn(download):
                            return
                    except Superseded as trouble:
                        with suppress(LocalTrouble):
                            await download.discard()
                        await self._note(download, DownloadState.FAILED, str(trouble))
                        return
                    except LocalTrouble as trouble:
                        await self._note(download, DownloadState.STUCK, str(trouble))
                        await trio.sleep(RETRY_STUCK_S)
                        await self._note(download, DownloadState.LOOKING)
                    except Exception:  # a mistake of our own ends this download, not everything
                        log.exception("a download failed by our own mistake")
                        await self._note(download, DownloadState.FAILED, OUR_MISTAKE)
                        return
        finally:
            self._put(download)  # with the state and the name that it has by now
            if (folder := self._listed.folder_of(download)) is not None:
                folder.working.pop(download.record.id, None)
            self._ended(download.record.id, scope, stopped)

    def _ended(self, number: int, scope: trio.CancelScope, stopped: trio.Event) -> None:
        if self._scopes.get(number) is scope:
            del self._scopes[number]
        stopped.set()
        self.onward.tell_offers()
        self.news.unpark_all()

    async def _take_turn(self, download: Download) -> bool:
        """Run it once there is a place. Whether it is complete."""
        if not await self._turns.run(download):
            return False
        assert download.record.file is not None
        await self._on_finished(download.record.file)
        return True

    async def _note(self, download: Download, state: DownloadState, problem: str = "") -> None:
        download.record = download.record.changed(state=state, problem=problem)
        self._put(download)
        self.news.unpark_all()
        with suppress(LocalTrouble):  # a full disk: then it is known to this run alone
            await self._around.database.write(save, download.record)
