"""The catalogue where it chooses: order, contradictions, bounds. The rest is in tests/property."""

from __future__ import annotations

import random
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from index_server.search import matcher, ranking
from index_server.search.catalogue import NAMED_BY, Catalogue, Page
from index_server.search.entry import Entry, entry_untrusted, tags_of
from index_server.search.query import parse_search_untrusted
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import FileId
from p2pshare.wire.fields import NO_TAGS, Offer, SortBy, SpeedClass, Tags
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


def search(searched: Catalogue, text: str, *, limit: int = 50, **more: Any) -> Page:
    return searched.search(parse_search_untrusted(Search(request=1, query=text)), limit=limit, **more)


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
    assert search(searched, "wu size:..999").total == 0


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


def all_pages(searched: Catalogue, text: str, limit: int, **more: Any) -> list[str]:
    seen: list[str] = []
    cursor = b""
    while True:
        page = search(searched, text, limit=limit, cursor=cursor, **more)
        assert page.found, "no page is empty but that of a search that finds nothing"
        seen += paths(page)
        cursor = page.found[-1].cursor
        if not cursor:
            return seen


@pytest.mark.parametrize("sort", list(SortBy))
def test_pages_follow_each_other_without_a_gap(monkeypatch: pytest.MonkeyPatch, sort: SortBy) -> None:
    monkeypatch.setattr(ranking, "RANKED", 3)
    names = [f"wu {number}.mp3" for number in range(1, 8)]
    shares = [[offered(number, name, size=number % 3) for number, name in enumerate(names, 1)][:5], []]
    shares[1] = [offered(number, names[number - 1], size=number % 3) for number in (2, 6, 7)]
    searched = catalogue(*shares)
    for limit in (1, 2, 7):
        assert sorted(all_pages(searched, "wu", limit, sort=sort)) == names


@pytest.mark.parametrize("sort", list(SortBy))
def test_who_stays_is_on_one_page_whoever_comes_and_goes_between(sort: SortBy) -> None:
    stays = [offered(number, f"wu stays {number}.mp3", size=number) for number in range(10, 20)]
    before = [offered(number, f"wu goes {number}.mp3", size=number * 2) for number in range(1, 9)]
    after = [offered(number, f"wu comes {number}.mp3", size=number) for number in range(30, 40)]
    searched = catalogue(stays, before, after)
    searched.set_online(2, False)
    first = search(searched, "wu", limit=9, sort=sort)
    searched.set_online(1, False)
    searched.set_online(2, True)
    rest, cursor = list[str](), first.found[-1].cursor
    while cursor:
        page = search(searched, "wu", limit=9, cursor=cursor, sort=sort)
        rest += paths(page)
        cursor = page.found[-1].cursor if page.found else b""
    seen = [path for path in paths(first) + rest if "stays" in path]
    assert sorted(seen) == sorted(entry.path for entry in stays)


@pytest.mark.parametrize("cursor", [b"x", bytes(14), bytes(19), b"\xff" * 14, b"\xff" * 64])
def test_a_cursor_of_another_order_or_none_at_all_is_refused(cursor: bytes) -> None:
    searched = catalogue([offered(1, "wu.mp3")])
    with pytest.raises(Refused) as caught:
        search(searched, "wu", cursor=cursor, sort=SortBy.SIZE)
    assert caught.value.reason is Reason.BAD_QUERY


@given(st.sampled_from(SortBy), st.binary(max_size=20))
def test_a_made_up_cursor_does_no_harm(sort: SortBy, cursor: bytes) -> None:
    searched = catalogue([offered(number, f"wu {number}.mp3") for number in range(1, 4)])
    for made_up in (cursor, bytes([sort]) + cursor, bytes([sort]) + cursor.ljust(13, b"\x00")[:13]):
        try:
            page = search(searched, "wu", cursor=made_up, sort=sort)
        except Refused as error:
            assert error.reason is Reason.BAD_QUERY
        else:
            assert page.total == 3 and len(page.found) <= 3


def test_a_phrase_is_looked_for_in_a_bounded_number_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher, "TEXTS_READ", 5)
    popular = offered(1, "wu tang.mp3")
    others = [offered(number, f"tang wu {number}.mp3") for number in range(2, 20)]
    searched = catalogue(others, [popular], [popular])
    assert paths(search(searched, '"wu tang"')) == ["wu tang.mp3"]
    assert search(searched, 'wu -"tang wu"').total == 15, "one and four others were looked at"


def test_other_names_of_the_same_content_are_told_the_most_usual_first() -> None:
    names = ["a/wu.mp3", "b/wu.mp3", "x/clan.mp3", "tang.mp3", "y/clan.mp3", "wu.mp3"]
    [found] = search(catalogue(*[[offered(1, name)] for name in names]), "wu").found
    assert {found.path.rpartition("/")[2], *found.names} == {"wu.mp3", "clan.mp3", "tang.mp3"}
    shown = found.path.rpartition("/")[2]
    assert found.names == tuple(name for name in ("wu.mp3", "clan.mp3", "tang.mp3") if name != shown)


def test_free_slots_and_speed_are_those_of_people_online() -> None:
    one = offered(1, "wu.mp3")
    searched = catalogue([one], [one], [offered(2, "wu slow.mp3")])
    assert search(searched, "wu free:").total == 0, "nobody has said so"
    searched.set_free(1, True)
    searched.set_speed(1, SpeedClass.FAST)
    assert [(found.path, found.free) for found in search(searched, "wu free:").found] == [("wu.mp3", 1)]
    assert paths(search(searched, "wu", sort=SortBy.SPEED)) == ["wu.mp3", "wu slow.mp3"]
    searched.set_speed(2, SpeedClass.VERY_FAST)
    assert paths(search(searched, "wu", sort=SortBy.SPEED)) == ["wu slow.mp3", "wu.mp3"]
    searched.set_online(1, False)
    searched.set_online(1, True)
    assert search(searched, "wu free:").total == 0, "who comes back has not said it again"
    assert searched.speed_of(1) is SpeedClass.FAST


def suggestion(searched: Catalogue, text: str, more_than: int = 0) -> str:
    return searched.suggest(Search(request=1, query=text), more_than=more_than)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("caligrai", "caligari"),
        ("acligari kind:video", "caligari kind:video"),
        ("cabinet calligari", "cabinet caligari"),
        ("cabinte calligari", "cabinet caligari"),
        ('"dr caligary"', '"dr caligari"'),
        ("dr-calgari.1920", '"dr caligari 1920"'),
        ("calig", "caligari"),
        ("CALIGÀRY -colour", "caligari -colour"),
    ],
)
def test_a_slip_is_put_right_and_the_rest_of_the_query_stays(typed: str, meant: str) -> None:
    searched = catalogue([offered(1, "The Cabinet of Dr. Caligari 1920.mkv"), offered(2, "other.mkv")])
    assert suggestion(searched, typed) == meant


def test_nothing_is_suggested_that_finds_no_more() -> None:
    searched = catalogue([offered(1, "caligari.mkv")], [offered(2, "nosferatu.mkv")])
    assert suggestion(searched, "caligari", more_than=1) == ""
    assert suggestion(searched, "xylophone") == ""
    assert suggestion(searched, "caligary nosferatu") == "", "no file has both"
    searched.set_online(0, False)
    assert suggestion(searched, "caligary") == "", "nobody online has it"


def test_what_was_removed_leaves_nothing_behind() -> None:
    emptied = catalogue([offered(1, "wu.mp3", tags=Tags(title="x"))], [offered(2, "tang.flac")])
    for account in range(2):
        emptied.drop(account)
    assert len(emptied) == 0
    emptied.publish(0, (), [offered(3, "clan.txt")])
    assert search(emptied, "clan size:1..").total == 1
    assert search(emptied, "wu").total == search(emptied, "mp3").total == 0
