"""What is asked of every search engine, so that all do the same job.

Rule: nothing but Python's own library and scripts.bench.corpus is imported here, for the engines run in
different environments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from scripts.bench.corpus import File, Query

LIMIT = 50  # results of one search: a page


class Engine(Protocol):
    """An index of files by the words of their names, the files that most people hold first."""

    def build(self, files: Iterable[File]) -> None:
        """Take up all files, and be ready to search. Called once."""

    def search(self, query: Query) -> Sequence[object]:
        """The best LIMIT of the files that have all the words, the most widely held first: what a person is
        shown of each, so number, sources and text at least."""

    def add(self, files: Sequence[File]) -> None:
        """Take up more files; they can be found when it returns."""

    def remove(self, files: Sequence[File]) -> None:
        """Forget them; they cannot be found when it returns."""

    def close(self) -> None:
        """The end."""


class Kind(NamedTuple):
    """How an engine is called, and how it is got."""

    name: str
    module: str
    install: str
    python: str
    """Which Python has it: "ours", "system" (Debian's own packages) or "tools" (the benchmarks' own)."""


KINDS = (
    Kind("p2pshare", "ours", "", "ours"),
    Kind("SQLite FTS5", "fts5", "", "ours"),
    Kind("Xapian", "xapian_engine", "apt install python3-xapian", "system"),
    Kind("tantivy", "tantivy_engine", "~/.cache/p2pshare-bench/bin/pip install tantivy", "tools"),
    Kind(
        "PostgreSQL",
        "postgresql",
        "apt install postgresql; ~/.cache/p2pshare-bench/bin/pip install 'psycopg[binary]'",
        "tools",
    ),
)
