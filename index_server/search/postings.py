"""Bitmaps of documents by what they have: a word, a kind, an extension. PURE."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from typing import TypeVar

from pyroaring import BitMap

K = TypeVar("K", bound=Hashable)


class Postings(dict[K, BitMap]):
    """No bitmap in it is empty."""

    def change(
        self, documents: Collection[int], before: Iterable[Collection[K]], after: Iterable[Collection[K]]
    ) -> tuple[list[K], list[K]]:
        """Each of these documents had the keys `before`, and has those `after` now; a key may stand twice.
        Returns the keys that are new and those that are gone."""
        born: list[K] = []
        gone: list[K] = []
        leaving: list[tuple[int, Iterable[K]]] = []
        # One by one: of the words of a hundred files four in five occur in one of them, so that there is
        # little to gather, and a document costs a bitmap less than a list.
        for document, old, new in zip(documents, before, after, strict=True):
            if old:
                if old == new:
                    continue
                leaving.append((document, {*old}.difference(new) if new else old))
            for key in new:
                if (members := self.get(key)) is None:
                    members = self[key] = BitMap()
                    born.append(key)
                members.add(document)
        for document, keys in leaving:
            for key in keys:
                if (members := self.get(key)) is not None:  # it may stand twice
                    members.discard(document)
                    if not members:
                        del self[key]
                        gone.append(key)
        return born, gone
