"""The catalogue where it chooses: order, contradictions, bounds. The rest is in tests/property."""

from __future__ import annotations

import random
from typing import Any

import pytest

from index_server import catalogue as catalogue_module
from index_server import ranking
from index_server.catalogue import NAMED_BY, Catalogue, Page
from index_server.entry import Entry, entry_untrusted, tags_of
from index_server.query import parse_search_untrusted
from p2pshare.hashing import FileId
from p2pshare.wire.fields import NO_TAGS, Offer, Tags
from p2pshare.wire.index import Search


def file(number: int) -> FileId:
    return FileId(number.to_bytes(32, "big"))


def offered(number: int, path: str, size: int = 1, tags: Tags = NO_TAGS, **more: Any) -> Entry:
    return entry_untrusted(Offer(offer=number, path=path, size=size, file=file(number), tags=tags, **more))


def catalogue(*shares: list[Entry]) -> Catalogue:
    """Accounts 0, 1, 2... online with these offers."""
    made = Catalogue(random.Random(1))
    for account, share in enumerate(shares):
        made.publish(account, (), share)
        made.set_online(account, True)
    return made


def search(searched: Catalogue, text: str, *, offset: int = 0, limit: int = 50, **filters: Any) -> Page:
    query = parse_search_untrusted(Search(request=1, query=text, **filters))
    return searched.search(query, offset=offset, limit=limit)


def paths(page: Page) -> list[str]:
    return [found.path for found in page.found]


def test_an_exact_name_comes_before_a_name_with_more_words_before_folders_and_tags() -> None:
    searched = catalogue(
        [
            offered(1, "Wu Tang/Method Man.mp3"),
            offered(2, "a.mp3", tags=Tags(title="Tang", artist="Wu")),
            offered(3, "Tang of Wu.mp3"),
            offered(4, "Wu Tang live.mp3"),
            offered(5, "x/Wu-Tang.mp3"),
        ]
    )
    assert paths(search(searched, "wu tang")) == [
        "x/Wu-Tang.mp3",
        "Wu Tang live.mp3",
        "Tang of Wu.mp3",
        "Wu Tang/Method Man.mp3",
        "a.mp3",
    ]


def test_among_equal_matches_that_with_most_people_online_comes_first() -> None:
    few, many = offered(1, "wu one.mp3"), offered(2, "wu two.mp3")
    searched = catalogue([few, many], [many], [many])
    page = search(searched, "wu")
    assert [(found.path, found.sources) for found in page.found] == [("wu two.mp3", 3), ("wu one.mp3", 1)]
    searched.set_online(1, False)
    searched.set_online(2, False)
    assert [found.sources for found in search(searched, "wu").found] == [1, 1]


def test_sixteen_times_the_people_outweigh_words_in_the_name() -> None:
    named, popular = offered(1, "wu.txt"), offered(2, "wu/song number one.mp3")
    assert paths(search(catalogue([named], *[[popular]] * 8), "wu"))[0] == "wu.txt"
    assert paths(search(catalogue([named], *[[popular]] * 200), "wu"))[0] == "wu/song number one.mp3"


def test_the_path_shown_is_the_one_of_most_people_online() -> None:
    rare, usual = offered(1, "b/wu.mp3"), offered(1, "a/wu.mp3")
    searched = catalogue([rare], [usual], [usual])
    assert paths(search(searched, "wu")) == ["a/wu.mp3"]
    searched.set_online(1, False)
    searched.set_online(2, False)
    assert paths(search(searched, "wu")) == ["b/wu.mp3"]


def test_a_file_is_found_by_the_name_of_anybody_who_holds_it() -> None:
    searched = catalogue([offered(1, "wu.mp3")], [offered(1, "clan.mp3")])
    assert search(searched, "wu clan").total == 1


def test_a_lie_about_the_size_is_outvoted() -> None:
    honest, lie = offered(1, "wu.mp3", size=1_000), offered(1, "wu.mp3", size=5)
    searched = catalogue([lie], [honest], [honest])
    assert [found.size for found in search(searched, "wu").found] == [1_000]
    assert search(searched, "wu", size_max=999).total == 0


def test_the_oldest_date_that_anybody_gives_is_shown() -> None:
    dated = [offered(1, "wu.mp3", changed=changed) for changed in (0, 30, 20)]
    assert [found.changed for found in search(catalogue(*([one] for one in dated)), "wu").found] == [20]


def test_tags_are_those_of_the_path_that_is_shown() -> None:
    tagged = offered(1, "wu.mp3", tags=Tags(year=1993))
    [found] = search(catalogue([tagged]), "1993").found
    assert tags_of(found.tags).year == 1993


def test_only_so_many_names_lead_to_one_file() -> None:
    searched = catalogue(*[[offered(1, f"wu{number}.mp3")] for number in range(NAMED_BY + 1)])
    assert search(searched, f"wu{NAMED_BY - 1}").total == 1
    assert search(searched, f"wu{NAMED_BY}").total == 0
    searched.drop(0)
    assert search(searched, "wu0").total == 0
    assert search(searched, f"wu{NAMED_BY}").total == 1


def test_one_person_with_two_copies_is_one_source() -> None:
    first = offered(1, "wu.mp3")
    searched = catalogue([first, first._replace(offer=2, path="copy of wu.mp3")])
    assert searched.sources(file(1), asker=7, limit=9)[0] == 1
    assert searched.sources(file(1), asker=0, limit=9) == (0, ())
    [found] = search(searched, "wu").found
    assert found.sources == len(found.some) == 1


def test_pages_follow_each_other_and_the_last_has_no_next() -> None:
    searched = catalogue([offered(number, f"wu {number}.mp3") for number in range(1, 8)])
    first = search(searched, "wu", limit=4)
    assert (first.total, first.next_offset) == (7, 4)
    second = search(searched, "wu", limit=4, offset=4)
    assert second.next_offset is None
    assert len({*paths(first), *paths(second)}) == 7
    assert search(searched, "wu", offset=1_000_000_000).found == ()


def test_pages_cross_the_blocks_that_are_ranked_without_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "RANKED", 3)
    searched = catalogue([offered(number, f"wu {number}.mp3") for number in range(1, 8)])
    seen: list[str] = []
    offset: int | None = 0
    while offset is not None:
        page = search(searched, "wu", limit=2, offset=offset)
        seen += paths(page)
        offset = page.next_offset
    assert sorted(seen) == [f"wu {number}.mp3" for number in range(1, 8)]


def test_a_phrase_is_looked_for_in_a_bounded_number_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_module, "TEXTS_READ", 5)
    popular = offered(1, "wu tang.mp3")
    others = [offered(number, f"tang wu {number}.mp3") for number in range(2, 20)]
    assert paths(search(catalogue(others, [popular], [popular]), '"wu tang"')) == ["wu tang.mp3"]


def test_what_was_removed_leaves_nothing_behind() -> None:
    emptied = catalogue([offered(1, "wu.mp3", tags=Tags(title="x"))], [offered(2, "tang.flac")])
    for account in range(2):
        emptied.drop(account)
    assert len(emptied) == 0
    emptied.publish(0, (), [offered(3, "clan.txt")])
    assert search(emptied, "clan", size_min=1).total == 1
    assert search(emptied, "wu").total == search(emptied, "mp3").total == 0
