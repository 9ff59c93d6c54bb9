"""A folder that is downloaded: thousands of files that a person sees, pauses and cancels as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import trio

from client.engine.downloads.bundle import Bundle
from client.engine.downloads.download import Download
from client.engine.downloads.records import Record
from client.engine.downloads.resting import Resting
from client.engine.status import DownloadSourceView, DownloadState, DownloadView

ENDED = (DownloadState.COMPLETE, DownloadState.FAILED, DownloadState.CANCELLED)
UNPROBLEMATIC = (
    DownloadState.RUNNING,
    DownloadState.QUEUED,
    DownloadState.COMPLETE,
    DownloadState.PAUSED,
)
BUSIEST_FIRST = (
    DownloadState.RUNNING,
    DownloadState.FINISHING,
    DownloadState.QUEUED,
    DownloadState.CONNECTING,
    DownloadState.STUCK,
    DownloadState.LOOKING,
)


class FolderDownload:
    """Its record, and what became of its files so far. What each is doing now is asked of those at work."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.files: dict[int, DownloadState] = {}
        """By number, as `note` was told last."""
        self.working: dict[int, Download] = {}
        """Those that are downloaded one by one just now, or wait for that."""
        self.bundle: Bundle | None = None
        self.finished_at: float | None = None
        self._counts: Counter[DownloadState] = Counter()
        self._done_bytes = 0
        self._problem = ""

    def note(self, download: Download | Resting) -> None:
        """A file of it is new or has another state than before."""
        record = download.record
        before = self.files.get(record.id)
        if before is not None:
            self._counts[before] -= 1
            self._done_bytes -= record.size if before is DownloadState.COMPLETE else 0
        self.files[record.id] = record.state
        self._counts[record.state] += 1
        if record.state is DownloadState.COMPLETE:
            self._done_bytes += record.size
            self.finished_at = max(self.finished_at or 0.0, record.finished_at or 0.0)
        elif record.state is DownloadState.FAILED:
            self._problem = record.problem

    @property
    def is_over(self) -> bool:
        """Whether nothing of it goes on by itself or can be resumed."""
        return sum(self._counts[state] for state in ENDED) == len(self.files)

    def state(self) -> DownloadState:
        if self.is_over:
            for state in (DownloadState.FAILED, DownloadState.CANCELLED):
                if self._counts[state]:
                    return state
            return DownloadState.COMPLETE
        states = {download.state() for download in self.working.values()}
        if self.bundle is not None and self.bundle.members:
            states.add(self.bundle.state())
        for state in BUSIEST_FIRST:
            if state in states:
                return state
        return DownloadState.PAUSED if self._counts[DownloadState.PAUSED] else DownloadState.LOOKING

    def view(self) -> DownloadView:
        record, now, state = self.record, trio.current_time(), self.state()
        working = list(self.working.values())
        done = self._done_bytes + sum(
            download.done_bytes for download in working if download.record.state not in ENDED
        )
        rate = sum(download.meter.rate(now) for download in working if download.suppliers)
        if self.bundle is not None:
            rate += self.bundle.meter.rate(now)
        left = record.size - done
        return DownloadView(
            id=record.id,
            name=record.name,
            target=str(Path(record.target_folder) / record.target_path),
            file=None,
            size=record.size,
            done_bytes=done,
            state=state,
            problem=self._explanation(state),
            rate=rate,
            eta_s=left / rate if rate > 1 and left else None,
            sources=self._sources(working),
            folder="",
            wasted_bytes=sum(download.wasted_bytes for download in working),
            added_at=record.added_at,
            finished_at=self.finished_at if state is DownloadState.COMPLETE else None,
            files=len(self.files),
            files_done=self._counts[DownloadState.COMPLETE],
            priority=record.priority,
        )

    def _sources(self, working: Sequence[Download]) -> tuple[DownloadSourceView, ...]:
        """Everybody at work for any of its files, once."""
        views = [supplier.view() for download in working for supplier in download.suppliers.values()]
        if self.bundle is not None:
            views += self.bundle.sources()
        return merged(views)

    def _explanation(self, state: DownloadState) -> str:
        if state in UNPROBLEMATIC:
            return ""
        if state is DownloadState.FAILED:
            return self._problem
        if self.bundle is not None and (problem := self.bundle.explanation()):
            return problem
        return next((d.record.problem for d in self.working.values() if d.record.problem), "")


def merged(views: Iterable[DownloadSourceView]) -> tuple[DownloadSourceView, ...]:
    """One line for each person: what they do for the file that they do most for."""
    by_person: dict[str, DownloadSourceView] = {}
    words = ("downloading", "idle", "queued", "connecting", "gone", "lied")
    for view in sorted(views, key=lambda view: words.index(view.state) if view.state in words else 0):
        first = by_person.get(view.person)
        by_person[view.person] = view if first is None else _together(first, view)
    return tuple(by_person.values())


def _together(one: DownloadSourceView, other: DownloadSourceView) -> DownloadSourceView:
    return DownloadSourceView(
        person=one.person,
        nick=one.nick,
        state=one.state,
        position=one.position,
        wait_s=one.wait_s,
        done_bytes=one.done_bytes + other.done_bytes,
        rate=one.rate + other.rate,
        path=one.path or other.path,
    )
