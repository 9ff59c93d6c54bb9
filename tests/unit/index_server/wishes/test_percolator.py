from __future__ import annotations

from collections import Counter

import pytest

from index_server.search.query import parse_search_untrusted
from index_server.wishes import percolator
from index_server.wishes.matching import said_by
from index_server.wishes.percolator import Percolator
from p2pshare.wire.fields import Offer, Tags
from p2pshare.wire.index import Search

FREQUENCY = Counter({"the": 1_000, "of": 900, "wu": 10, "tang": 5, "clan": 7})


def percolator_of(*queries: str) -> Percolator:
    """Wishes 1, 2, ..."""
    made = Percolator(FREQUENCY.__getitem__)
    for wish, query in enumerate(queries, start=1):
        made.add(wish, parse_search_untrusted(Search(request=1, query=query)).wanted)
    return made


def offer(path: str, size: int = 1_000_000, **tags: object) -> Offer:
    return Offer(offer=1, path=path, size=size, tags=Tags(**tags))  # type: ignore[arg-type]


def found(wishes: Percolator, shown: Offer, nick: str = "") -> list[int]:
    return sorted(wishes.matching(said_by(shown, nick)))


def test_a_wish_is_found_by_its_words_wherever_they_stand() -> None:
    wishes = percolator_of("wu tang", "wu tang live")
    assert found(wishes, offer("Wu-Tang Clan/Protect Ya Neck.mp3")) == [1]
    assert found(wishes, offer("music/neck.mp3", artist="Wu-Tang Clan", title="Live in Paris")) == [1, 2]
    assert found(wishes, offer("wu/song.mp3")) == []


@pytest.mark.parametrize(
    ("query", "yes", "no"),
    [
        ('"tang clan"', offer("wu tang clan.mp3"), offer("clan tang.mp3")),
        ("tang -live", offer("tang.mp3"), offer("tang live.mp3")),
        ("tang kind:video", offer("tang.avi"), offer("tang.mp3")),
        ("tang ext:flac", offer("tang.flac"), offer("tang.mp3")),
        ("tang size:>10m", offer("tang.mp3", 20_000_000), offer("tang.mp3", 5_000_000)),
        ("tang length:>3min", offer("tang.mp3", length_s=200), offer("tang.mp3")),
        ("tang lossless:", offer("tang.flac", lossless=True), offer("tang.mp3")),
        ("tang year:1993..1995", offer("tang.mp3", year=1993), offer("tang.mp3", year=1999)),
        ("tang OR nosferatu", offer("Nosferatu.avi"), offer("Metropolis.avi")),
        ("(tang OR nosferatu) ext:avi", offer("Nosferatu.avi"), offer("Nosferatu.mp3")),
        ("nosf*", offer("Nosferatu.avi"), offer("no sfer.avi")),
        ("nosf* OR tang", offer("old nosferat.avi"), offer("nos.avi")),
    ],
)
def test_all_of_the_query_language_counts(query: str, yes: Offer, no: Offer) -> None:
    wishes = percolator_of(query)
    assert (found(wishes, yes), found(wishes, no)) == ([1], [])


def test_what_one_person_offers_can_be_wished_for() -> None:
    wishes = percolator_of("tang from:anna")
    assert (found(wishes, offer("tang.mp3"), "anna"), found(wishes, offer("tang.mp3"), "bert")) == ([1], [])


def places(wishes: Percolator) -> dict[str, list[str]]:
    """Under which words something is filed, and there under which."""
    return {word: sorted(under) for word, under in wishes._filed.items()}


def test_a_wish_is_filed_under_its_two_rarest_words() -> None:
    wishes = percolator_of("the 7 of tang", "the 8 of tang", "the of wu", "the tang of clan", "the")
    assert places(wishes) == {
        "7": ["tang"],
        "8": ["tang"],
        "wu": ["of"],
        "tang": ["clan"],
        "the": [""],
    }
    assert found(wishes, offer("the of 7 tang wu.mp3")) == [1, 3, 5]


def test_alternatives_are_filed_under_a_word_of_each_and_found_once() -> None:
    wishes = percolator_of("(wu OR tang*) the", "tang OR wu")
    assert places(wishes) == {"the": [""], "tang": [""], "wu": [""]}
    assert found(wishes, offer("the wu tang.mp3")) == [1, 2]


def test_equal_wishes_are_filed_once_and_all_found() -> None:
    wishes = percolator_of("wu tang", "TANG  wu", "wu tang")
    assert found(wishes, offer("wu tang.mp3")) == [1, 2, 3]
    wishes.remove(1)
    assert found(wishes, offer("wu tang.mp3")) == [2, 3]


def test_what_was_removed_is_found_no_more_and_leaves_nothing_behind() -> None:
    wishes = percolator_of("wu tang", "clan OR nosf*")
    for wish in (1, 2, 2, 3):
        wishes.remove(wish)
    assert found(wishes, offer("wu tang clan nosferatu.mp3")) == []
    assert (len(wishes), wishes._filed, wishes._queries, wishes._beginnings) == (0, {}, {}, {})


def test_two_words_that_too_many_wishes_are_filed_under_take_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(percolator, "QUERIES_PER_PLACE_MAX", 1)
    wishes = percolator_of("tang clan", "tang clan wu", "tang", "TANG  CLAN")
    assert places(wishes) == {"tang": ["", "clan", "wu"]}
    one_more = parse_search_untrusted(Search(request=1, query="tang clan size:>1")).wanted
    assert not wishes.has_room(one_more)
    assert wishes.has_room(
        parse_search_untrusted(Search(request=1, query="tang clan wu")).wanted
    )  # one of them
    wishes.remove(1)
    wishes.remove(4)
    assert wishes.has_room(one_more)
    wishes.add(5, one_more)
    assert found(wishes, offer("tang clan.mp3")) == [3, 5]


def test_wishes_are_filed_anew_when_more_is_known_of_words() -> None:
    known: Counter[str] = Counter()
    wishes = Percolator(known.__getitem__)
    query = parse_search_untrusted(Search(request=1, query="soundtrack wu")).wanted
    wishes.add(1, query)
    wishes.add(2, query)
    assert places(wishes) == {"soundtrack": ["wu"]}
    known["soundtrack"] = 1_000
    wishes.refile(1)
    wishes.refile(2)
    assert places(wishes) == {"wu": ["soundtrack"]}
    assert found(wishes, offer("wu soundtrack.mp3")) == [1, 2]
