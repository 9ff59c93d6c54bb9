"""Every word of the catalogue, found by its beginning or by a word that is nearly the same. PURE.

Words stand in small groups, each in the order in which they were first heard of. Frequent words are heard of
early; so where a group is too large to go through, its first words are the ones to look at.
"""

from __future__ import annotations

from itertools import islice

from rapidfuzz import process
from rapidfuzz.distance import OSA

BEGIN_CHARS = 2  # words are grouped by so many
SCANNED_MAX = 20_000  # words looked at for one beginning: a millisecond
BEGUN_MAX = 1_000  # words that one beginning stands for
COMPARED_MAX = 8_000  # words compared with one that may be misspelt: a millisecond
SPELT_CHARS_MIN = 4  # shorter words are like too many others
ONE_SLIP_CHARS_MAX = 5  # up to this length a word has one slip at most, longer ones two
ALIKE_MAX = 20

_Words = dict[str, None]  # keeps the order


class Vocabulary:
    """A set of folded words."""

    def __init__(self) -> None:
        self._by_beginning: dict[str, _Words] = {}
        self._by_length: dict[tuple[str, int], _Words] = {}  # and first character

    def add(self, word: str) -> None:
        """It is new here."""
        self._by_beginning.setdefault(word[:BEGIN_CHARS], {})[word] = None
        self._by_length.setdefault((word[0], len(word)), {})[word] = None

    def remove(self, word: str) -> None:
        """It is known here."""
        _take_out(self._by_beginning, word[:BEGIN_CHARS], word)
        _take_out(self._by_length, (word[0], len(word)), word)

    def beginning(self, start: str) -> list[str]:
        """Words that begin so, at most BEGUN_MAX; `start` has at least BEGIN_CHARS characters."""
        words = islice(self._by_beginning.get(start[:BEGIN_CHARS], ()), SCANNED_MAX)
        return list(islice((word for word in words if word.startswith(start)), BEGUN_MAX))

    def alike(self, word: str) -> list[tuple[int, str]]:
        """(slips, other word) for words that a slip of the finger or two would turn into this one, nearest
        first. A slip is a letter too many, too few, another one, or two that changed places."""
        if len(word) < SPELT_CHARS_MIN:
            return []
        slips = 1 if len(word) <= ONE_SLIP_CHARS_MAX else 2
        near: list[str] = []
        for first in dict.fromkeys(word[:2]):  # the second letter: they may have changed places
            for length in sorted(
                range(len(word) - slips, len(word) + slips + 1), key=lambda n: abs(n - len(word))
            ):
                near += islice(self._by_length.get((first, length), ()), COMPARED_MAX - len(near))
        found = process.extract(
            word, near, scorer=OSA.distance, processor=None, limit=ALIKE_MAX, score_cutoff=slips
        )
        return sorted((int(distance), other) for other, distance, _ in found if other != word)


def _take_out(groups: dict[str, _Words] | dict[tuple[str, int], _Words], key: object, word: str) -> None:
    group = groups[key]  # type: ignore[index]
    del group[word]
    if not group:
        del groups[key]  # type: ignore[arg-type]
