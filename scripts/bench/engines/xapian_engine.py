"""Xapian, with its database in memory-backed storage. Runs in Debian's own Python."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import xapian  # type: ignore[import-not-found, unused-ignore]

from scripts.bench.corpus import File, Query
from scripts.bench.engines.engine import LIMIT

SOURCES_SLOT = 0
NUMBER_PREFIX = "Q"  # of the term that names one document, by Xapian's own custom


class Xapian:
    version = f"Xapian {xapian.version_string()}"

    def __init__(self, folder: Path) -> None:
        self._database = xapian.WritableDatabase(str(folder / "xapian"), xapian.DB_CREATE_OR_OPEN)

    def build(self, files: Iterable[File]) -> None:
        for file in files:
            self._database.add_document(_document(file))
        self._database.commit()

    def search(self, query: Query) -> Sequence[object]:
        operator = xapian.Query.OP_PHRASE if query.phrase else xapian.Query.OP_AND
        enquire = xapian.Enquire(self._database)
        enquire.set_weighting_scheme(xapian.BoolWeight())
        enquire.set_query(xapian.Query(operator, list(query.words)))
        enquire.set_sort_by_value(SOURCES_SLOT, True)
        return [match.document.get_data() for match in enquire.get_mset(0, LIMIT)]

    def add(self, files: Sequence[File]) -> None:
        self.build(files)

    def remove(self, files: Sequence[File]) -> None:
        for file in files:
            self._database.delete_document(f"{NUMBER_PREFIX}{file.number}")
        self._database.commit()

    def close(self) -> None:
        self._database.close()


def _document(file: File) -> object:
    document = xapian.Document()
    for position, word in enumerate(file.text.split()):
        document.add_posting(word, position)
    document.add_boolean_term(f"{NUMBER_PREFIX}{file.number}")
    document.set_data(f"{file.number} {file.sources} {file.text}")
    document.add_value(SOURCES_SLOT, xapian.sortable_serialise(file.sources))
    return document


ENGINE = Xapian
