"""tantivy, the Rust library, with its index in memory-backed storage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

import tantivy  # type: ignore[import-not-found, unused-ignore]

from scripts.bench.corpus import File, Query
from scripts.bench.engines.engine import LIMIT

HEAP_BYTES = 128 << 20  # for what is not committed yet
THREADS = 1  # as all others


class Tantivy:
    version = f"tantivy {version('tantivy')}"

    def __init__(self, folder: Path) -> None:
        builder = tantivy.SchemaBuilder()
        # As text: a document is not found for deletion by an unsigned number (tantivy-py 0.27).
        builder.add_text_field("number", stored=True, tokenizer_name="raw", index_option="basic")
        builder.add_unsigned_field("sources", stored=True, fast=True)
        builder.add_text_field("text", stored=True, tokenizer_name="default", index_option="position")
        self._schema = builder.build()
        (folder / "tantivy").mkdir()
        self._index = tantivy.Index(self._schema, str(folder / "tantivy"))
        self._writer = self._index.writer(heap_size=HEAP_BYTES, num_threads=THREADS)

    def build(self, files: Iterable[File]) -> None:
        self.add(files)
        self._searcher = self._index.searcher()

    def search(self, query: Query) -> Sequence[object]:
        if query.phrase:
            asked = tantivy.Query.phrase_query(self._schema, "text", list(query.words))
        else:
            asked = tantivy.Query.boolean_query(
                [
                    (tantivy.Occur.Must, tantivy.Query.term_query(self._schema, "text", word))
                    for word in query.words
                ]
            )
        result = self._searcher.search(asked, LIMIT, count=False, order_by_field="sources")
        return [self._searcher.doc(address) for _, address in result.hits]

    def add(self, files: Iterable[File]) -> None:
        for file in files:
            document = {"number": str(file.number), "sources": file.sources, "text": file.text}
            self._writer.add_document(tantivy.Document.from_dict(document, self._schema))
        self._show()

    def remove(self, files: Sequence[File]) -> None:
        for file in files:
            self._writer.delete_documents_by_term("number", str(file.number))
        self._show()

    def close(self) -> None:
        self._writer.wait_merging_threads()

    def _show(self) -> None:
        self._writer.commit()
        self._index.reload()
        self._searcher = self._index.searcher()


ENGINE = Tantivy
