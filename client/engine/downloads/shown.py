"""How a download looks to a person."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from client.engine.downloads.records import Record
from client.engine.status import DownloadSourceView, DownloadState, DownloadView
from p2pshare.hashing import format_file_id


def state_of_sources(states: Iterable[str]) -> DownloadState:
    """What goes on, from the words of the sources: the best of them counts."""
    there = set(states)
    for word, state in (
        ("downloading", DownloadState.RUNNING),
        ("queued", DownloadState.QUEUED),
        ("connecting", DownloadState.CONNECTING),
    ):
        if word in there:
            return state
    return DownloadState.LOOKING


def view_of(
    record: Record,
    state: DownloadState,
    *,
    done_bytes: int,
    wasted_bytes: int,
    rate: float = 0.0,
    problem: str = "",
    sources: tuple[DownloadSourceView, ...] = (),
) -> DownloadView:
    """`rate` in bytes a second; `problem` is shown if the record names none."""
    left = record.size - done_bytes
    return DownloadView(
        id=record.id,
        name=record.name,
        target=str(Path(record.target_folder) / record.target_path),
        file=format_file_id(record.file) if record.file is not None else None,
        size=record.size,
        done_bytes=done_bytes,
        state=state,
        problem=record.problem or problem,
        rate=rate,
        eta_s=left / rate if rate > 1 and left else None,
        sources=sources,
        folder=record.folder,
        wasted_bytes=wasted_bytes,
        added_at=record.added_at,
        finished_at=record.finished_at,
        priority=record.priority,
    )
