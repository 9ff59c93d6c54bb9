"""What one offer says, for `expression.fits`; and what of an expression a wish can be filed under. PURE.

An offer fits exactly when a catalogue that holds nothing but this offer, by somebody online, would find it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from index_server.search.expression import (
    CONTACTS,
    AllOf,
    AnyOf,
    Expression,
    FreeNow,
    HeldBy,
    Not,
    Number,
    Phrase,
    Prefix,
    Within,
    Word,
)
from p2pshare.kinds import FileKind, extension_of, kind_of
from p2pshare.names import fold, nick_skeleton
from p2pshare.wire.fields import NO_TAGS, Offer

ANY_ENDING = "*"  # behind the beginning of a word; no folded word contains it


@dataclass(frozen=True, slots=True)
class Said:
    """An offer, as a `Document` of its own."""

    offer: Offer
    text: str
    words: frozenset[str]
    nick: str = ""
    """The owner's."""
    key: str = ""
    """The owner's, as text."""

    @property
    def kind(self) -> FileKind:
        return kind_of(self.offer.path)

    @property
    def extension(self) -> str:
        return extension_of(self.offer.path)

    @property
    def lossless(self) -> bool:
        return self.offer.tags.lossless

    @property
    def free(self) -> bool:
        return False  # no wish asks for what holds at this moment only: see `lasts`

    def held_by(self, whom: str) -> bool:
        return whom == self.key or nick_skeleton(whom) == nick_skeleton(self.nick)

    def number(self, which: Number) -> int:
        tags = self.offer.tags
        match which:
            case Number.SIZE:
                return self.offer.size
            case Number.DATE:
                return self.offer.changed
            case Number.LENGTH:
                return tags.length_s
            case Number.BITRATE:
                return tags.bitrate_kbps
            case Number.YEAR:
                return tags.year
            case Number.SOURCES:
                return 1


def said_by(offer: Offer, nick: str = "", key: str = "") -> Said:
    """From an offer that passed the checks of `entry.entry_untrusted`."""
    tags = offer.tags
    folders, _, name = offer.path.rpartition("/")
    about = "" if tags is NO_TAGS else f"{tags.artist} {tags.title} {tags.album} {tags.year or ''}"
    text = f" {fold(name)} \n {fold(folders)} \n {fold(about)} "  # as `entry.search_text` makes it
    return Said(offer, text, frozenset(text.split()), nick, key)


def lasts(wanted: Expression) -> bool:
    """Whether an offer that fits once fits for as long as it stays as it is."""
    match wanted:
        case FreeNow() | Within(number=Number.SOURCES):
            return False
        case HeldBy(whom):
            return whom != CONTACTS
        case Not(of):
            return lasts(of)
        case AllOf(parts) | AnyOf(parts):
            return all(map(lasts, parts))
        case _:
            return True


def cover(wanted: Expression, cost: Callable[[str], float]) -> tuple[str, ...]:
    """The cheapest set of words of which whatever fits has at least one; empty if there is no such set.

    The beginning of a word stands with ANY_ENDING behind it.
    """
    match wanted:
        case Word(word):
            return (word,)
        case Prefix(start):
            return (start + ANY_ENDING,)
        case Phrase(words):
            return (min(words.split(), key=cost),)
        case AllOf(parts):
            covers = [found for part in parts if (found := cover(part, cost))]
            return min(covers, key=lambda words: sum(map(cost, words)), default=())
        case AnyOf(parts):
            covers = [cover(part, cost) for part in parts]
            if not all(covers):
                return ()
            return tuple(dict.fromkeys(word for words in covers for word in words))
        case _:
            return ()
