"""What makes a result look like spam or a fake, why, and how far it is ranked down. PURE.

    names differ   the same bytes are shown under at least DIFFERENT_NAMES names, of which hardly two have a
                   word in common: whoever spreads one worthless file wants it found by every query
    new accounts   only accounts hold it that offer more than their age makes believable
    one person     one person alone holds it and most of what was found: their first ONE_PERSON_FIRST results
                   stand where they would, the others behind those of other people

Rule 1: nothing is ever left out for these reasons, and nothing is ranked down without saying why.
Rule 2: a doubt costs PENALTY points, where one point is a doubling of the sources (see search/ranking.py).
        Somebody who is doubted without cause is still found; with a few sources more they are first again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence

from p2pshare.wire.fields import Doubt

PENALTY = 4  # as much as sixteen times the sources
DIFFERENT_NAMES = 4  # fewer may be a file in four languages
IN_COMMON = 0.15  # of the words of two names, on average, below which they are different
ONE_PERSON_FIRST = 10
ONE_PERSON_SHARE = 0.5  # of the results ranked together
FILES_A_DAY = 20_000  # what an account may offer for every day of its age, the first included
DAY_S = 86_400

SENTENCES: Mapping[Doubt, str] = {
    Doubt.NAMES_DIFFER: "People show the same bytes under names that have nothing in common.",
    Doubt.NEW_ACCOUNTS: f"Only new accounts hold it, and each offers more than {FILES_A_DAY:,} files for"
    " every day since it registered.",
    Doubt.ONE_PERSON: "One person alone holds it and most of the results of that search.",
}


def doubts_in(mask: int) -> tuple[Doubt, ...]:
    """Those that a number adds up; what is not known here is left out."""
    return tuple(doubt for doubt in Doubt if mask & doubt)


def penalty(mask: int) -> int:
    return PENALTY * len(doubts_in(mask))


def doubts_of(names: Iterable[str], holders: Collection[int], newcomers: Container[int]) -> int:
    """What is doubtful about a file whatever is searched for: the `Doubt`s, added up.

    `names` are folded file names, `holders` the accounts online that hold it.
    """
    doubts = 0
    if names_differ(names):
        doubts |= Doubt.NAMES_DIFFER
    if holders and all(holder in newcomers for holder in holders):
        doubts |= Doubt.NEW_ACCOUNTS
    return doubts


def names_differ(names: Iterable[str]) -> bool:
    """`names` are folded file names. The last word counts not: an extension says nothing of content."""
    words = {frozenset(name.split()[:-1]) for name in names}
    words.discard(frozenset())
    if len(words) < DIFFERENT_NAMES:
        return False
    # How often each word occurs gives the words that all pairs have in common, without looking at every pair.
    pairs = len(words) * (len(words) - 1) / 2
    counts = Counter(word for name in words for word in name)
    shared = sum(count * (count - 1) / 2 for count in counts.values())
    mean_length = sum(map(len, words)) / len(words)
    return shared / pairs < IN_COMMON * mean_length


def believable_at(created_at: int, offers: int) -> int:
    """From when on an account that registered at `created_at` may offer so many files undoubted."""
    days = -(-offers // FILES_A_DAY) - 1
    return created_at + max(0, days) * DAY_S


def ranked_down(
    costs: Sequence[tuple[int, int]],
    doubts: Mapping[int, int],
    only_holder: Callable[[int], int | None],
) -> list[tuple[int, int, int]]:
    """(cost, document, doubts) of all, least cost first; each doubt costs PENALTY.

    `costs` are (cost, document); `doubts` those of documents that have any; `only_holder` says which account
    alone holds a document, None if there are several.
    """
    # This runs for hundreds of documents of every search, so it keeps to plain tuples.
    placed = costs
    if doubts:
        placed = [(cost + penalty(doubts.get(document, 0)), document) for cost, document in costs]
    placed = sorted(placed)
    flooded = one_person([only_holder(document) for _, document in placed])
    if not flooded:
        return [(cost, document, doubts.get(document, 0)) for cost, document in placed]
    return sorted(
        (cost + PENALTY, document, doubts.get(document, 0) | Doubt.ONE_PERSON)
        if place in flooded
        else (cost, document, doubts.get(document, 0))
        for place, (cost, document) in enumerate(placed)
    )


def one_person(holders: Sequence[int | None]) -> Collection[int]:
    """Places in a list of results that one person fills. `holders`: who alone holds each; None if several."""
    fair = max(ONE_PERSON_FIRST, ONE_PERSON_SHARE * len(holders))
    (most,) = Counter(holders).most_common(1) or [(None, 0)]
    person, count = most
    if person is None or not fair < count < len(holders):  # who alone has anything to offer floods nobody
        return ()
    theirs = [place for place, holder in enumerate(holders) if holder == person]
    return set(theirs[ONE_PERSON_FIRST:])


class Newcomers:
    """Accounts online that offer more than their age makes believable."""

    def __init__(self) -> None:
        self.accounts: set[int] = set()

    def look(self, account: int, created_at: int, offers: int, now: float) -> None:
        """To be called when an account comes online, and when what it offers has changed."""
        if believable_at(created_at, offers) > now:
            self.accounts.add(account)
        else:
            self.accounts.discard(account)

    def leave(self, account: int) -> None:
        self.accounts.discard(account)
