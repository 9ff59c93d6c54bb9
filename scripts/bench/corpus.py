"""A made-up network, the same at every run: the names of its files, how many people hold each, and what
people ask for. PURE, and nothing but Python's own library: programs of other kinds read it, too.

Words follow Zipf's law, as the words of any language do; so does the popularity of files, as measured for
Napster, Gnutella and Kazaa alike. A name has some 45 characters.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

WORDS = 60_000
WORDS_OF_A_NAME = 7
EXTENSIONS = ("mp3", "mp3", "mp3", "mp3", "mp3", "mp3", "mp3", "flac", "avi", "pdf")
LETTERS = "etaoinshrdlucmfwypvbgk"
NAMES_KEPT = 50_000  # names are made anew when they are needed again; the popular ones are not
POPULARITY = 0.8  # exponent of Zipf's law for files: flatter than for words
QUERY_WORDS = (1, 2, 2, 2, 3, 3, 4)  # what people type
FINDS_NOTHING = 0.1  # of all queries: typing errors, and what nobody has


class Query(NamedTuple):
    """Words that must all occur; as a phrase, side by side."""

    words: tuple[str, ...]
    phrase: bool = False

    @property
    def typed(self) -> str:
        """As a person types it."""
        text = " ".join(self.words)
        return f'"{text}"' if self.phrase else text


class File(NamedTuple):
    """One file, as every program beside ours is told of it."""

    number: int
    text: str
    """The words of its folders and its name, in order, with a space between."""
    sources: int
    """How many people hold it: what answers are sorted by."""


def zipf_rank(chance: float, count: int, exponent: float) -> int:
    """The rank, from 0 to `count` - 1, that a `chance` from 0 to below 1 leads to.

    A power law has a closed form where a table of a million weights would take 32 MB in each process.
    """
    rest = 1.0 - exponent
    return min(count - 1, int((chance * ((count + 1) ** rest - 1.0) + 1.0) ** (1.0 / rest)) - 1)


class Corpus:
    """Files are numbers; everything about one follows from its number."""

    def __init__(self, names: int, sources: float = 2.0) -> None:
        """`names` different files, each held by `sources` people in the mean."""
        self.names = names
        self._mean_sources = sources
        rng = random.Random(1)
        spellings = ("".join(rng.choices(LETTERS, k=rng.randint(2, 8))) for _ in range(2 * WORDS))
        self.words = tuple(dict.fromkeys(spellings))[:WORDS]
        self._draws = {
            "common": self.words[:100],
            "medium": self.words[500:3_000],
            "rare": self.words[20_000:],
            "mp3": ("mp3",),
        }
        self._weights = tuple(accumulate(1 / (rank + 10) for rank in range(WORDS)))
        self.path: Callable[[int], str] = lru_cache(NAMES_KEPT)(self._path)

    def _path(self, number: int) -> str:
        rng = random.Random(number)
        words = rng.choices(self.words, cum_weights=self._weights, k=WORDS_OF_A_NAME)
        name = f"{words[0]} {words[1]}/{words[2]}/{words[3]} {words[4]} {words[5]} {words[6]}"
        return f"{name}.{rng.choice(EXTENSIONS)}"

    def size(self, number: int) -> int:
        """In bytes: songs are the most, films are rare and large."""
        return int(random.Random(~number).lognormvariate(15.5, 1.5))

    def sources(self, number: int) -> int:
        """How many people hold it: most one, some dozens, with the wanted mean."""
        alpha = self._mean_sources / max(self._mean_sources - 1.0, 1e-9)
        chance = random.Random(f"sources {number}").random()
        return int(min(1.0 / (1.0 - chance) ** (1.0 / alpha), 1_000.0)) if alpha < 1e6 else 1

    def file(self, number: int) -> File:
        return File(number, self.path(number).replace("/", " ").replace(".", " "), self.sources(number))

    def popular(self, rng: random.Random) -> int:
        """A file, as often as people want it."""
        return zipf_rank(rng.random(), self.names, POPULARITY)

    # --- what people ask for -------------------------------------------------------------------------

    def query(self, rng: random.Random) -> Query:
        """As people type it: some words of the name of a file that they want."""
        if rng.random() < FINDS_NOTHING:
            return Query((rng.choice(self.words), "".join(rng.choices(LETTERS, k=12))))
        words = self.path(self.popular(rng)).replace("/", " ").rpartition(".")[0].split()
        count = rng.choice(QUERY_WORDS)
        return Query(tuple(dict.fromkeys(rng.sample(words, min(count, len(words))))))

    def query_of(self, kind: str, rng: random.Random) -> Query:
        """One of QUERY_CLASSES."""
        names = kind.removeprefix("phrase of ").split(" + ")
        words = [rng.choice(self._draws[name]) for name in names]
        while len(set(words)) < len(words):
            words[-1] = rng.choice(self._draws[names[-1]])
        return Query(tuple(words), phrase=kind.startswith("phrase of "))


QUERY_CLASSES = (
    "rare",
    "rare + common",
    "medium + medium",
    "medium + common",
    "common",
    "common + common",
    "mp3",
    "common + mp3",
    "phrase of common + common",
)
