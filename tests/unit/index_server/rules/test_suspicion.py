"""What looks like spam or a fake is ranked down with its reason, and never left out."""

from __future__ import annotations

import pytest

from index_server.rules.suspicion import (
    DAY_S,
    DIFFERENT_NAMES,
    FILES_A_DAY,
    ONE_PERSON_FIRST,
    SENTENCES,
    Newcomers,
    believable_at,
    doubts_in,
    doubts_of,
    names_differ,
    one_person,
    ranked_down,
)
from p2pshare.wire.fields import Doubt

FAKE = ["blue train mp3", "windows key exe", "metropolis 1927 mkv", "the ulysses audiobook zip"]


def test_names_that_have_nothing_in_common_are_noticed() -> None:
    assert names_differ(FAKE)
    assert not names_differ(FAKE[:3]), "a file may have a name in each of a few languages"
    assert not names_differ(["mp3", "exe", "mkv", "zip"]), "an extension is no name"


@pytest.mark.parametrize(
    "names",
    [
        ["01 blue train mp3", "john coltrane blue train mp3", "blue train flac", "coltrane train mp3"],
        ["img 1 jpg", "img 2 jpg", "img 3 jpg", "img 4 jpg"],
        ["blue train mp3"] * 16,
        [],
    ],
)
def test_names_as_people_have_them_are_not(names: list[str]) -> None:
    assert not names_differ(names)


def test_many_believable_names_outweigh_a_slanderer() -> None:
    assert not names_differ([f"john coltrane blue train {n} mp3" for n in range(12)] + FAKE[1:])


def test_an_account_may_offer_more_with_every_day_of_its_age() -> None:
    assert believable_at(1_000, FILES_A_DAY) == 1_000
    assert believable_at(1_000, FILES_A_DAY + 1) == 1_000 + DAY_S
    assert believable_at(0, 1_000_000) == 49 * DAY_S
    newcomers = Newcomers()
    newcomers.look(7, created_at=0, offers=1_000_000, now=3_600)
    newcomers.look(8, created_at=0, offers=100, now=3_600)
    assert newcomers.accounts == {7}
    newcomers.look(7, created_at=0, offers=1_000_000, now=49 * DAY_S)
    assert newcomers.accounts == set()


def test_new_accounts_cast_a_doubt_only_on_what_nobody_else_holds() -> None:
    assert doubts_of([], [7, 8], {7, 8}) == Doubt.NEW_ACCOUNTS
    assert doubts_of([], [7, 9], {7, 8}) == 0
    assert doubts_of([], [], {7}) == 0
    assert doubts_of(FAKE, [7], {7}) == Doubt.NEW_ACCOUNTS | Doubt.NAMES_DIFFER


def test_one_person_who_fills_a_page_keeps_their_first_places() -> None:
    holders: list[int | None] = [1] * 40 + [2, None, 3]
    assert one_person(holders) == set(range(ONE_PERSON_FIRST, 40))


@pytest.mark.parametrize("holders", [[1] * 100, [1] * 10 + [2], [1] * 50 + [2] * 50, [None] * 30, []])
def test_who_alone_has_anything_or_shares_the_page_fairly_is_left_in_place(holders: list[int | None]) -> None:
    assert not one_person(holders)


def test_a_flood_sinks_below_what_others_have_and_says_why() -> None:
    flood = [(-8, number) for number in range(60)]
    others = [(-5, 100 + number) for number in range(5)]
    ranked = ranked_down(flood + others, {}, lambda document: 1 if document < 100 else None)
    shown = [document for _, document, _ in ranked]
    assert shown[: ONE_PERSON_FIRST + 5] == [*range(ONE_PERSON_FIRST), *range(100, 105)]
    assert all(doubts == Doubt.ONE_PERSON for _, _, doubts in ranked[ONE_PERSON_FIRST + 5 :])
    assert sorted(shown) == [*range(60), *range(100, 105)]


def test_with_many_more_sources_a_doubtful_file_still_comes_first() -> None:
    why = {1: int(Doubt.NAMES_DIFFER)}
    assert ranked_down([(-9, 1), (-4, 2)], why, lambda _: None) == [(-5, 1, 1), (-4, 2, 0)]
    assert ranked_down([(-9, 1), (-6, 2)], why, lambda _: None) == [(-6, 2, 0), (-5, 1, 1)]


def test_every_doubt_has_a_sentence_and_unknown_ones_are_left_out() -> None:
    assert set(SENTENCES) == set(Doubt)
    assert doubts_in(255) == tuple(Doubt)
    assert doubts_in(0) == doubts_in(128) == ()
    assert DIFFERENT_NAMES > 1
