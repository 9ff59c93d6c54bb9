"""A download that does nothing by itself: it is over, it is paused, or a bundle fetches it with others."""

from __future__ import annotations

from client.engine.downloads.records import Record
from client.engine.downloads.shown import view_of
from client.engine.status import DownloadState, DownloadView


class Resting:
    """Its record is all there is; thousands of them cost little."""

    __slots__ = ("record",)
    store = None  # nothing of it can be served while it is not complete

    def __init__(self, record: Record) -> None:
        self.record = record

    @property
    def done_bytes(self) -> int:
        """Verified and written."""
        return self.record.done_bytes()

    def state(self) -> DownloadState:
        return self.record.state

    def view(self) -> DownloadView:
        record = self.record
        return view_of(record, record.state, done_bytes=self.done_bytes, wasted_bytes=record.wasted_bytes)
