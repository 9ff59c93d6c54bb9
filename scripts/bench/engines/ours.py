"""The catalogue of our index server, called as the server calls it: from the query as typed."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from index_server.search.catalogue import Catalogue, Gone
from index_server.search.entry import Entry, entry_untrusted
from index_server.search.query import parse_search_untrusted
from p2pshare.hashing import FileId
from p2pshare.wire.fields import Offer
from p2pshare.wire.index import Search
from scripts.bench.corpus import File, Query
from scripts.bench.engines.engine import LIMIT

PEOPLE = 10_000  # who hold the files
NEWCOMER = PEOPLE  # somebody else, who comes and goes
AT_ONCE = 500  # offers in one change, as the protocol allows


class Ours:
    version = "p2pshare"

    def __init__(self, folder: Path) -> None:
        self._catalogue = Catalogue(random.Random(2))
        for account in range(PEOPLE + 1):
            self._catalogue.set_online(account, True)

    def build(self, files: Iterable[File]) -> None:
        """Everybody's whole share at once would not fit into memory beside the catalogue."""
        waiting: defaultdict[int, list[Entry]] = defaultdict(list)
        for file in files:
            for account in _holders(file):
                waiting[account].append(_entry(file))
                if len(waiting[account]) == AT_ONCE:
                    self._catalogue.publish(account, [], waiting.pop(account))
        for account, entries in waiting.items():
            self._catalogue.publish(account, [], entries)

    def search(self, query: Query) -> Sequence[object]:
        parsed = parse_search_untrusted(Search(request=1, query=query.typed))
        return self._catalogue.search(parsed, limit=LIMIT).found

    def add(self, files: Sequence[File]) -> None:
        for start in range(0, len(files), AT_ONCE):
            entries = [_entry(file) for file in files[start : start + AT_ONCE]]
            self._catalogue.publish(NEWCOMER, [], entries)

    def remove(self, files: Sequence[File]) -> None:
        for start in range(0, len(files), AT_ONCE):
            gone = [Gone(file.number, _file_id(file)) for file in files[start : start + AT_ONCE]]
            self._catalogue.publish(NEWCOMER, gone, [])

    def close(self) -> None:
        pass


def _holders(file: File) -> Sequence[int]:
    """As many people as hold it."""
    first = file.number * 7_919
    return [(first + each) % PEOPLE for each in range(file.sources)]


def _file_id(file: File) -> FileId:
    return FileId(sha256(b"%d" % file.number).digest())


def _entry(file: File) -> Entry:
    folders, _, name = file.text.rpartition(" ")
    return entry_untrusted(
        Offer(offer=file.number, path=f"{folders}.{name}", size=1_000 + file.number, file=_file_id(file))
    )


ENGINE = Ours
