"""Bitmaps of documents by what they have: a word, a kind, an extension. PURE.

A thousand files have some ten thousand words, most of them again and again. So changes are gathered for many
documents first, and then each bitmap is changed once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

from pyroaring import BitMap

K = TypeVar("K", bound=Hashable)
FEW = 8  # documents that are moved one by one rather than as a bitmap


class Postings(dict[K, BitMap]):
    """No bitmap in it is empty."""

    def apply(self, moves: Moves[K]) -> tuple[list[K], list[K]]:
        """Change the bitmaps; returns the keys that are new and those that are gone."""
        born: list[K] = []
        gone: list[K] = []
        for key, documents in moves.joining.items():
            if (members := self.get(key)) is None:
                self[key] = BitMap(documents)
                born.append(key)
            elif len(documents) <= FEW:
                for document in documents:
                    members.add(document)
            else:
                members |= BitMap(documents)
        for key, documents in moves.leaving.items():
            members = self[key]
            if len(documents) <= FEW:
                for document in documents:
                    members.discard(document)
            else:
                members -= BitMap(documents)
            if not members:
                del self[key]
                gone.append(key)
        return born, gone


class Moves(Generic[K]):
    """Documents that get or lose keys."""

    def __init__(self) -> None:
        self.joining: defaultdict[K, list[int]] = defaultdict(list)
        self.leaving: defaultdict[K, list[int]] = defaultdict(list)

    def note(self, document: int, before: Collection[K], after: Collection[K]) -> None:
        """The document had these keys, and has those now. No document is noted twice."""
        if not before:
            for key in after:
                self.joining[key].append(document)
        elif not after:
            for key in before:
                self.leaving[key].append(document)
        else:
            for key in after:
                if key not in before:
                    self.joining[key].append(document)
            for key in before:
                if key not in after:
                    self.leaving[key].append(document)
