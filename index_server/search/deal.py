"""Who is named to whom, of many who hold the same file.

Everybody is named equally often, each time among others: the holders are dealt like cards from a shuffled
pack, a hand to each asker, and the pack is made anew when it runs out. So those who fetch a file together
become a random graph in which everybody has about as many neighbours: a piece gets from one end to the other
in a few steps, and nobody is overrun.

Rule 1: PURE. No clock, no database; whoever makes it gives it a source of random choices.
Rule 2: no call is slow: the pack is shuffled once in as many calls as it takes to name everybody.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

PACKS_MAX = 1_000  # files of which a pack is kept; of the one asked for longest ago it is made anew
MIX_PART = 4  # at least one in so many has the whole file, and one in so many a part, if there are so many


Holders = Callable[[], tuple[list[int], list[int]]]
"""Makes two lists of accounts, those with all of a file and those with a part; one may stand there twice."""


@dataclass(eq=False, slots=True)
class _Pack:
    """Accounts left to deal, and how many there were at first."""

    wholes: list[int]
    partials: list[int]
    wholes_at_first: int
    partials_at_first: int


class Dealer:
    """Packs by document number."""

    def __init__(self, choose: random.Random) -> None:
        self._choose = choose
        self._packs: OrderedDict[int, _Pack] = OrderedDict()

    def deal(
        self, document: int, copies: int, holders: Holders, limit: int, is_there: Callable[[int], bool]
    ) -> list[int]:
        """At most `limit` of the accounts that hold a document; all there are if they are not more.

        `copies` is how many copies there are. `is_there` tells whether an account still holds one and is
        online; it is false of the asker's own.
        """
        if copies <= limit:
            wholes, partials = holders()
            return [account for account in dict.fromkeys(wholes + partials) if is_there(account)]
        pack = self._packs.pop(document, None) or self._shuffled(holders)
        hand: set[int] = set()
        whole = self._wholes(pack, limit)
        for partial, most in ((False, whole), (True, limit), (False, limit)):  # the last fills what is left
            self._draw(pack, holders, partial, most, hand, is_there)
        self._packs[document] = pack
        if len(self._packs) > PACKS_MAX:
            self._packs.popitem(last=False)
        return sorted(hand)

    def forget(self, document: int) -> None:
        """Nobody holds it any more."""
        self._packs.pop(document, None)

    def _shuffled(self, holders: Holders) -> _Pack:
        wholes, partials = holders()
        self._choose.shuffle(wholes)
        self._choose.shuffle(partials)
        return _Pack(wholes, partials, len(wholes), len(partials))

    def _wholes(self, pack: _Pack, limit: int) -> int:
        """How many of a hand should have the whole file."""
        wholes, partials = pack.wholes_at_first, pack.partials_at_first
        fair = int(limit * wholes / (wholes + partials) + self._choose.random())  # a lone one is named, too
        least = limit // MIX_PART
        return min(limit - min(least, partials), max(fair, least if wholes >= least else fair))

    def _draw(
        self,
        pack: _Pack,
        holders: Holders,
        partial: bool,
        most: int,
        hand: set[int],
        is_there: Callable[[int], bool],
    ) -> None:
        """Fill the hand up to `most` with those who have a part, or all."""
        anew = False
        while len(hand) < most:
            cards = pack.partials if partial else pack.wholes
            if cards:
                if is_there(card := cards.pop()):
                    hand.add(card)
                continue
            if anew:
                return
            anew, fresh = True, self._shuffled(holders)
            if partial:
                pack.partials, pack.partials_at_first = fresh.partials, fresh.partials_at_first
            else:
                pack.wholes, pack.wholes_at_first = fresh.wholes, fresh.wholes_at_first
