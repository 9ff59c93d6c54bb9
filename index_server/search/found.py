"""A document that was found, as most of those who hold it show it. PURE."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from pyroaring import BitMap

from index_server.search.copies import Copy
from index_server.search.documents import Documents, usual
from index_server.search.holders import Holders
from index_server.search.paging import Picked
from p2pshare.hashing import FileId
from p2pshare.limits import HIT_NAMES_MAX

_NOTHING = BitMap()
SOME_COPIES = 16  # told with a found document, so that the caller can choose by what is not known here


class Found(NamedTuple):
    """What is told of a document."""

    file: FileId | None
    path: str
    size: int
    changed: int
    tags: bytes
    """As in `Entry`."""
    sources: int
    """How many people online hold it."""
    free: int
    """How many of these say that they have a free slot."""
    contacts: int
    """How many of these are CONTACTS of the asker."""
    names: tuple[str, ...]
    """Other file names among those of `some`, the most usual first."""
    some: tuple[Copy, ...]
    """The copies of at most SOME_COPIES of them, chosen at random."""
    doubts: int
    """Why it is ranked down: the `Doubt`s, added up."""
    cursor: bytes
    """Continues behind it; empty if nothing is there."""


class Presenter:
    """Puts together what is told of documents that somebody online holds."""

    def __init__(self, documents: Documents, holders: Holders, choose: random.Random) -> None:
        self._documents = documents
        self._holders = holders
        self._choose = choose

    def show(self, page: Sequence[Picked], contacts: Collection[int]) -> tuple[Found, ...]:
        """`contacts` are accounts of the asker's choice."""
        if not page:
            return ()
        holders = self._holders
        documents = BitMap([picked.document for picked in page])
        sources, free = holders.sources.of(documents), holders.free.of(documents)
        theirs = Counter(
            document
            for account in contacts
            if account in holders.online
            for document in holders.shelves.get(account, _NOTHING) & documents
        )
        return tuple(
            [
                self._found(picked, sources[picked.document], free[picked.document], theirs[picked.document])
                for picked in page
            ]
        )

    def _found(self, picked: Picked, sources: int, free: int, contacts: int) -> Found:
        documents, document = self._documents, picked.document
        copies = self._online_copies(document)
        kept = documents.names[document]
        if len(kept) == 1:  # almost all: everybody shows the same
            path, size, tags, _ = kept[0]
            names: tuple[str, ...] = ()
        else:
            shown = [documents.name_of(document, copy) for copy in copies]
            path, size = usual([name[0] for name in shown]), usual([name[1] for name in shown])
            tags = usual([name[2] for name in shown if name[0] == path])
            names = _other_names([name[0] for name in shown], path)
        return Found(
            file=documents.file(document),
            path=path,
            size=size,
            changed=documents.changed(document),
            tags=tags,
            sources=sources,
            free=free,
            contacts=contacts,
            names=names,
            some=copies,
            doubts=picked.doubts,
            cursor=picked.cursor,
        )

    def _online_copies(self, document: int) -> tuple[Copy, ...]:
        """One copy each of at most SOME_COPIES people online, chosen at random."""
        count = self._documents.count(document)
        start = int(self._choose.random() * count) if count > 1 else 0
        online = self._holders.online
        copies: dict[int, Copy] = {}
        for copy in self._documents.from_copy(document, start):
            if copy[0] in online:
                copies[copy[0]] = copy
                if len(copies) == SOME_COPIES:
                    break
        return tuple(copies.values())


def _other_names(paths: list[str], shown: str) -> tuple[str, ...]:
    """File names, without those that differ from the one that is shown by their folders only."""
    counts = Counter(path.rpartition("/")[2] for path in paths)
    del counts[shown.rpartition("/")[2]]
    return tuple(sorted(counts, key=lambda name: (-counts[name], name))[:HIT_NAMES_MAX])
