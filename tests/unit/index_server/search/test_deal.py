"""Who is named to whom."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from index_server.search.deal import MIX_PART, PACKS_MAX, Dealer

LIMIT = 20


@dataclass(frozen=True)
class Copy:
    account: int
    partial: bool = False


class Table:
    """Deals from copies of document 7, and tells the copies in the hand."""

    def __init__(self, copies: list[Copy]) -> None:
        self.dealer, self.copies = Dealer(random.Random(1)), copies

    def deal(self, limit: int, is_there: Callable[[int], bool]) -> list[Copy]:
        hand = self.dealer.deal(7, len(self.copies), self._holders, limit, is_there)
        held = {copy.account: copy for copy in self.copies}
        return [held[account] for account in hand]

    def _holders(self) -> tuple[list[int], list[int]]:
        wholes = [copy.account for copy in self.copies if not copy.partial]
        return wholes, [copy.account for copy in self.copies if copy.partial]


def everybody(account: int) -> bool:
    return True


def test_a_few_are_all_named() -> None:
    table = Table([Copy(1), Copy(1), Copy(2), Copy(3)])
    hand = table.deal(4, lambda account: account != 3)
    assert {copy.account for copy in hand} == {1, 2} and len(hand) == 2


def test_of_many_everybody_is_named_about_as_often() -> None:
    table = Table([Copy(number, number > 0) for number in range(200)])
    counts = Counter(
        copy.account
        for asker in range(200)
        for copy in table.deal(LIMIT, lambda account, asker=asker: account != asker)  # type: ignore[misc]
    )
    assert len(counts) == 200
    assert max(counts.values()) <= LIMIT + 4 and min(counts.values()) >= LIMIT - 4


def test_no_two_hands_are_alike_and_nobody_is_in_one_twice() -> None:
    table = Table([Copy(number) for number in range(500)])
    hands = [table.deal(LIMIT, everybody) for _ in range(100)]
    assert all(len({copy.account for copy in hand}) == LIMIT for hand in hands)
    assert len({frozenset(hand) for hand in hands}) == 100
    neighbours = [
        abs(one.account - other.account) for hand in hands for one, other in itertools.pairwise(hand)
    ]
    assert neighbours.count(1) < len(neighbours) / 10, "not those who came one after the other"


def test_everybody_is_reached_from_everybody_in_a_few_steps() -> None:
    table = Table([Copy(number) for number in range(1_000)])
    graph = {
        asker: {copy.account for copy in table.deal(LIMIT, lambda account, asker=asker: account != asker)}  # type: ignore[misc]
        for asker in range(1_000)
    }
    reached, front = {0}, {0}
    for _ in range(4):
        front = {there for one in front for there in graph[one]} - reached
        reached |= front
    assert len(reached) == 1_000


def test_a_hand_is_a_mix_of_those_who_have_all_and_those_who_have_a_part() -> None:
    for wholes in (30, 970):
        copies = [Copy(number, number >= wholes) for number in range(1_000)]
        hand = Table(copies).deal(LIMIT, everybody)
        parts = sum(copy.partial for copy in hand)
        assert len(hand) == LIMIT and LIMIT // MIX_PART <= parts <= LIMIT - LIMIT // MIX_PART


def test_a_lone_seed_is_not_named_to_everybody() -> None:
    table = Table([Copy(number, number > 0) for number in range(1_000)])
    hands = [table.deal(LIMIT, everybody) for _ in range(200)]
    assert sum(copy.account == 0 for hand in hands for copy in hand) <= 8


def test_who_is_gone_is_not_named_and_who_is_new_is_named_soon() -> None:
    table = Table([Copy(number) for number in range(100)])
    table.deal(LIMIT, everybody)
    table.copies = [Copy(number) for number in range(50, 150)]
    seen: set[int] = set()
    for _ in range(12):
        hand = table.deal(LIMIT, lambda account: account >= 50)
        assert len(hand) == LIMIT and all(copy.account >= 50 for copy in hand)
        seen.update(copy.account for copy in hand)
    assert seen >= set(range(100, 150))


def test_if_hardly_anybody_is_there_those_are_named() -> None:
    copies = [Copy(number, number % 2 == 0) for number in range(500)]
    hand = Table(copies).deal(LIMIT, lambda account: account < 5)
    assert {copy.account for copy in hand} == {0, 1, 2, 3, 4}


def test_packs_of_files_nobody_asks_for_are_forgotten() -> None:
    dealer = Dealer(random.Random(1))
    for document in range(PACKS_MAX + 5):
        dealer.deal(document, 2, lambda: ([1, 2], []), 1, everybody)
    assert len(dealer._packs) == PACKS_MAX
    dealer.forget(PACKS_MAX + 4)
    assert len(dealer._packs) == PACKS_MAX - 1
