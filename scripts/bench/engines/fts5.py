"""SQLite's own full-text search, in a database in memory-backed storage."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from scripts.bench.corpus import File, Query
from scripts.bench.engines.engine import LIMIT

TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA cache_size = -262144;
CREATE TABLE files (number INTEGER PRIMARY KEY, sources INTEGER, text TEXT);
CREATE VIRTUAL TABLE words USING fts5 (text, content = files, content_rowid = number);
"""
FOUND = """
SELECT files.number, files.sources, files.text FROM words JOIN files ON files.number = words.rowid
WHERE words MATCH ? ORDER BY files.sources DESC LIMIT ?
"""


class Fts5:
    version = f"SQLite {sqlite3.sqlite_version}"

    def __init__(self, folder: Path) -> None:
        self._database = sqlite3.connect(folder / "files.sqlite")
        self._database.executescript(TABLES)

    def build(self, files: Iterable[File]) -> None:
        self._insert(files)
        self._database.execute("INSERT INTO words (words) VALUES ('optimize')")
        self._database.commit()

    def search(self, query: Query) -> Sequence[object]:
        if query.phrase:
            asked = f'"{" ".join(query.words)}"'
        else:
            asked = " ".join(f'"{word}"' for word in query.words)
        return self._database.execute(FOUND, (asked, LIMIT)).fetchall()

    def add(self, files: Sequence[File]) -> None:
        self._insert(files)
        self._database.commit()

    def remove(self, files: Sequence[File]) -> None:
        rows = [(file.number, file.text) for file in files]
        self._database.executemany("INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)", rows)
        self._database.executemany("DELETE FROM files WHERE number = ?", [row[:1] for row in rows])
        self._database.commit()

    def close(self) -> None:
        self._database.close()

    def _insert(self, files: Iterable[File]) -> None:
        for file in files:
            row = (file.number, file.sources, file.text)
            self._database.execute("INSERT INTO files VALUES (?, ?, ?)", row)
            self._database.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (file.number, file.text))


ENGINE = Fts5
