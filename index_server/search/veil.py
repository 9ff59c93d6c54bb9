"""Which documents the server's rules hide from search results: those with a word, and single files. PURE.

One bitmap, kept while documents change, so that a search pays for one operation whatever is hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pyroaring import BitMap

from p2pshare.hashing import FileId


class Veil:
    """The documents behind it."""

    def __init__(self) -> None:
        self.documents = BitMap()
        self._words: frozenset[str] = frozenset()
        self._files: frozenset[FileId] = frozenset()

    def replace(
        self,
        words: frozenset[str],
        files: frozenset[FileId],
        having: Callable[[str], BitMap],
        number: Callable[[FileId], int | None],
    ) -> None:
        """Other rules from now on. `having`: the documents with a word; `number`: the document of a file."""
        self._words, self._files = words, files
        self.documents = BitMap().union(*map(having, words)) if words else BitMap()
        self.documents.update(found for file in files if (found := number(file)) is not None)

    def look(self, document: int, file: FileId | None, words: Iterable[str]) -> None:
        """The document says something else now, or is another one under the same number."""
        if not self._words and not self._files:
            return  # nothing is behind it
        if file in self._files or not self._words.isdisjoint(words):
            self.documents.add(document)
        else:
            self.documents.discard(document)
