"""What a query asks of a document, as a tree. PURE.

`query.py` makes the tree of what a person typed, `matching.py` holds it against all documents at once, and
`fits` here against one that may not even be in the catalogue.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol, TypeAlias

from p2pshare.kinds import FileKind

CONTACTS = ""  # in `HeldBy`: those whom the asker calls contacts. Nobody's nick
NO_LIMIT = 2**63 - 1


class Number(Enum):
    """What can be counted or measured of a document. 0 where nobody says it."""

    SIZE = auto()
    DATE = auto()
    LENGTH = auto()
    BITRATE = auto()
    YEAR = auto()
    SOURCES = auto()


@dataclass(frozen=True, slots=True)
class Word:
    """A folded word, wherever."""

    word: str


@dataclass(frozen=True, slots=True)
class Prefix:
    """A word that begins so."""

    start: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """Folded words side by side, joined by one space."""

    words: str


@dataclass(frozen=True, slots=True)
class OfKind:
    """One of these kinds."""

    kinds: frozenset[FileKind]


@dataclass(frozen=True, slots=True)
class WithExtension:
    """One of these extensions, in lower case."""

    extensions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Within:
    """A number from `low` to `high`, both included."""

    number: Number
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Lossless:
    """Audio stored without loss."""


@dataclass(frozen=True, slots=True)
class FreeNow:
    """Somebody online who holds it has a free slot."""


@dataclass(frozen=True, slots=True)
class HeldBy:
    """One of certain people holds it and is online: somebody as named in the query, or CONTACTS."""

    whom: str


@dataclass(frozen=True, slots=True)
class Not:
    """Everything else."""

    of: Expression


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of these hold."""

    of: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of these holds."""

    of: tuple[Expression, ...]


Expression: TypeAlias = (
    Word
    | Prefix
    | Phrase
    | OfKind
    | WithExtension
    | Within
    | Lossless
    | FreeNow
    | HeldBy
    | Not
    | AllOf
    | AnyOf
)


class Document(Protocol):
    """One document, or one offer, as far as a query looks at it."""

    @property
    def words(self) -> Set[str]:
        """All its words."""

    @property
    def text(self) -> str:
        """As made by `entry.search_text`."""

    @property
    def kind(self) -> FileKind: ...

    @property
    def extension(self) -> str: ...

    @property
    def lossless(self) -> bool: ...

    @property
    def free(self) -> bool:
        """See `FreeNow`."""

    def number(self, which: Number) -> int: ...

    def held_by(self, whom: str) -> bool:
        """See `HeldBy`."""


def fits(wanted: Expression, one: Document) -> bool:
    """Whether a document is what is wanted."""
    match wanted:
        case Word(word):
            return word in one.words
        case Prefix(start):
            return any(word.startswith(start) for word in one.words)
        case Phrase(words):
            return f" {words} " in one.text
        case OfKind(kinds):
            return one.kind in kinds
        case WithExtension(extensions):
            return one.extension in extensions
        case Within(number, low, high):
            return low <= one.number(number) <= high
        case Lossless():
            return one.lossless
        case FreeNow():
            return one.free
        case HeldBy(whom):
            return one.held_by(whom)
        case Not(of):
            return not fits(of, one)
        case AllOf(parts):
            return all(fits(part, one) for part in parts)
        case AnyOf(parts):
            return any(fits(part, one) for part in parts)


def required_words(wanted: Expression) -> frozenset[str]:
    """Words without which a document cannot be what is wanted."""
    match wanted:
        case Word(word):
            return frozenset({word})
        case Phrase(words):
            return frozenset(words.split())
        case AllOf(parts):
            return frozenset().union(*map(required_words, parts))
        case AnyOf(parts):
            return frozenset.intersection(*map(required_words, parts))
        case _:
            return frozenset()
