"""The list of all downloads: by number, by place, by folder, and as a person sees them."""

from __future__ import annotations

import os
from dataclasses import replace

from client.engine.downloads.download import Download
from client.engine.downloads.folders import ENDED, FolderDownload
from client.engine.downloads.records import Record
from client.engine.downloads.resting import Resting
from client.engine.status import DownloadState, DownloadView
from p2pshare.errors import LocalTrouble

Entry = Download | Resting


class Listed:
    """Single files in `files`, those that belong together in `folders`, too."""

    def __init__(self) -> None:
        self.files: dict[int, Entry] = {}
        self.folders: dict[int, FolderDownload] = {}
        self._by_path: dict[str, tuple[int, ...]] = {}  # nearly always one
        self._alone: set[int] = set()

    def put(self, entry: Entry) -> None:
        """It is new, takes the place of another one of its number, or its record changed."""
        record = entry.record
        self.files[record.id] = entry
        path = _path_of(record)
        there = self._by_path.get(path, ())
        if record.id not in there:
            self._by_path[path] = (*there, record.id)
        if (folder := self.folder_of(entry)) is not None:
            folder.note(entry)
        else:
            self._alone.add(record.id)

    def remove(self, number: int) -> Entry:
        """A single file, or one of a folder that is removed whole."""
        entry = self.files.pop(number)
        self._alone.discard(number)
        path = _path_of(entry.record)
        self._by_path[path] = tuple(each for each in self._by_path.get(path, ()) if each != number)
        if not self._by_path[path]:
            del self._by_path[path]
        return entry

    # --- finding

    def folder_of(self, entry: Entry) -> FolderDownload | None:
        parent = entry.record.parent
        return self.folders.get(parent) if parent is not None else None

    def named(self, number: int) -> list[Entry]:
        """A file, or all files of a folder. Raises LocalTrouble."""
        if number in self.folders:
            return [self.files[each] for each in self.folders[number].files]
        if number not in self.files:
            raise LocalTrouble(f"There is no download number {number}. `p2pshare downloads` lists them.")
        return [self.files[number]]

    def line(self, number: int) -> Entry | FolderDownload:
        return self.folders.get(number) or self.files[number]

    def same_as(self, record: Record) -> Entry | None:
        """A download of the same to the same place that is not over."""
        for number in self._by_path.get(_path_of(record), ()):
            entry = self.files.get(number)
            if entry is not None and entry.state() not in ENDED and _same(entry.record, record):
                return entry
        return None

    def is_finished(self, path: str) -> bool:
        """Whether a download ended up at this path. May be called from any thread."""
        path = path.replace(os.sep, "/").casefold()
        for number in self._by_path.get(path, ()):
            entry = self.files.get(number)
            if entry is not None and entry.record.state is DownloadState.COMPLETE:
                return _path_of(entry.record) == path
        return False

    # --- the view

    def alone(self) -> list[int]:
        """Files that belong to no folder."""
        return sorted(self._alone)

    def views(self) -> tuple[DownloadView, ...]:
        """All, oldest first: a folder as one, and files that belong to none."""
        return tuple(self.line(number).view() for number in sorted([*self.alone(), *self.folders]))

    def views_in(self, folder: int) -> tuple[DownloadView, ...]:
        """The files of a folder. Raises LocalTrouble."""
        if folder not in self.folders:
            raise LocalTrouble(f"Download {folder} is no folder. `p2pshare downloads` lists them.")
        bundle = self.folders[folder].bundle
        views = [self.files[number].view() for number in self.folders[folder].files]
        if bundle is None:
            return tuple(views)
        doing = bundle.state()
        return tuple([replace(view, state=doing) if view.id in bundle.members else view for view in views])


def rests(entry: Entry) -> bool:
    """Whether it is over or paused."""
    return entry.record.state in (*ENDED, DownloadState.PAUSED)


def _path_of(record: Record) -> str:
    # Regardless of case, as some systems name files.
    return f"{record.target_folder}/{record.target_path}".replace(os.sep, "/").casefold()


def _same(one: Record, other: Record) -> bool:
    where = (one.target_folder, one.target_path) == (other.target_folder, other.target_path)
    if one.file is not None and other.file is not None:
        return where and one.file == other.file
    return where and (one.person, one.offer) == (other.person, other.offer)
