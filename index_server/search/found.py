"""A document that was found, as most of those who hold it show it. PURE."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from index_server.search.documents import Copy, Documents, Name, usual
from index_server.search.holders import Holders
from index_server.search.paging import Picked
from p2pshare.hashing import FileId
from p2pshare.limits import HIT_NAMES_MAX

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

    def show(self, picked: Picked, contacts: Collection[int]) -> Found:
        """`contacts` are accounts of the asker's choice."""
        documents, holders, document = self._documents, self._holders, picked.document
        said = documents.said(document)
        assert said is not None  # somebody offers it
        chosen = self._online_copies(document)
        if len(said.names) == 1 == len(documents.names[document]):  # almost all: everybody shows the same
            path, size, tags, _ = said.names[0]
            names: tuple[str, ...] = ()
        else:
            shown = [name for _, name in chosen]
            path, size = usual([name[0] for name in shown]), usual([name[1] for name in shown])
            tags = usual([name[2] for name in shown if name[0] == path])
            names = _other_names([name[0] for name in shown], path)
        copies = tuple([copy for copy, _ in chosen])
        if documents.count(document) <= SOME_COPIES:
            sources = len(copies)
            free = sum([holders.has_free_slot(copy.account) for copy in copies])
        else:
            sources, free = holders.sources[document], holders.free[document]
        return Found(
            file=documents.file(document),
            path=path,
            size=size,
            changed=said.changed,
            tags=tags,
            sources=sources,
            free=free,
            contacts=sum([holders.holds(account, document) for account in contacts]),
            names=names,
            some=copies,
            doubts=picked.doubts,
            cursor=picked.cursor,
        )

    def _online_copies(self, document: int) -> list[tuple[Copy, Name]]:
        """One copy each of at most SOME_COPIES people online, chosen at random, with its name."""
        count = self._documents.count(document)
        start = int(self._choose.random() * count) if count > 1 else 0
        chosen: list[tuple[Copy, Name]] = []
        seen: set[int] = set()
        for copy, name, _ in self._documents.from_copy(document, start):
            account = copy.account
            if account not in seen and self._holders.is_online(account):
                seen.add(account)
                chosen.append((copy, name))
                if len(chosen) == SOME_COPIES:
                    break
        return chosen


def _other_names(paths: list[str], shown: str) -> tuple[str, ...]:
    """File names, without those that differ from the one that is shown by their folders only."""
    counts = Counter(path.rpartition("/")[2] for path in paths)
    del counts[shown.rpartition("/")[2]]
    return tuple(sorted(counts, key=lambda name: (-counts[name], name))[:HIT_NAMES_MAX])
