"""Which documents look like spam or fakes, as far as the catalogue can see it. PURE.

What counts as doubtful is decided in rules/suspicion.py; here is kept what would be slow to find out anew
with every search.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple

from pyroaring import BitMap

from index_server.rules import suspicion
from index_server.search.copies import NAMED_BY
from index_server.search.documents import Changes, Documents, Said
from index_server.search.holders import Holders
from p2pshare.wire.fields import Doubt


class Standing(NamedTuple):
    """What is known of one document that somebody online holds."""

    names: tuple[str, ...]
    """Its file names, folded, each once."""
    holders: tuple[int, ...]
    """The accounts online that hold it."""
    hidden: bool


class Doubtful:
    """The documents in doubt."""

    def __init__(self, documents: Documents, holders: Holders) -> None:
        self._documents = documents
        self._holders = holders
        self._names_differ = BitMap()

    def look(self, changes: Changes) -> None:
        """These documents are found by something else now."""
        self._names_differ -= BitMap([*changes])
        for document, (_, said) in changes.items():
            if said is not None and len(said.names) >= suspicion.DIFFERENT_NAMES:
                if suspicion.names_differ(_names(said)):
                    self._names_differ.add(document)

    def among(self, documents: Sequence[int], newcomers: Container[int]) -> dict[int, int]:
        """What is doubtful about those of them that are, whatever was asked for: `Doubt`s, added up."""
        doubts = dict.fromkeys(self._names_differ & BitMap(documents), int(Doubt.NAMES_DIFFER))
        for document in documents if newcomers else ():
            if self._documents.count(document) <= NAMED_BY:  # of many holders some are no newcomers
                found = suspicion.doubts_of((), self._online(document), newcomers)
                if found:
                    doubts[document] = doubts.get(document, 0) | found
        return doubts

    def standing(self, document: int, *, hidden: bool) -> Standing | None:
        """What is known of a document; None if nobody online has it."""
        said = self._documents.said(document)
        holders = self._online(document)
        return Standing(_names(said), holders, hidden) if said is not None and holders else None

    def _online(self, document: int) -> tuple[int, ...]:
        wholes, partials = self._documents.holders(document)
        return tuple(dict.fromkeys(filter(self._holders.is_online, wholes + partials)))


def _names(said: Said) -> tuple[str, ...]:
    return tuple({name[3].partition("\n")[0] for name in said.names})
