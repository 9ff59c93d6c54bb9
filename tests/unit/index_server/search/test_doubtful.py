"""Fakes, floods and what the rules hide, as a search shows them."""

from __future__ import annotations

import random

from index_server.rules.suspicion import ONE_PERSON_FIRST
from index_server.search.catalogue import Catalogue, Page
from index_server.search.entry import Entry, entry_untrusted
from index_server.search.query import parse_search_untrusted
from p2pshare.hashing import FileId
from p2pshare.wire.fields import Doubt, Offer
from p2pshare.wire.index import Search

FAKES = ["blue train.mp3", "windows key.exe", "metropolis 1927.mkv", "ulysses audiobook.zip"]


def file(number: int) -> FileId:
    return FileId(number.to_bytes(32, "big"))


def offered(number: int, path: str) -> Entry:
    return entry_untrusted(Offer(offer=number, path=path, size=1, file=file(number)))


def catalogue(*shares: list[Entry]) -> Catalogue:
    """Accounts 0, 1, 2... online with these offers."""
    made = Catalogue(random.Random(1))
    for account, share in enumerate(shares):
        made.publish(account, (), share)
        made.set_online(account, True)
    return made


def search(searched: Catalogue, text: str, newcomers: frozenset[int] = frozenset()) -> Page:
    query = parse_search_untrusted(Search(request=1, query=text))
    return searched.search(query, limit=100, newcomers=newcomers)


def shown(page: Page) -> list[tuple[FileId | None, int]]:
    return [(found.file, found.doubts) for found in page.found]


def test_one_file_under_names_that_have_nothing_in_common_is_ranked_down_and_says_so() -> None:
    spread = [[offered(1, name)] for name in FAKES]
    searched = catalogue(*spread, [offered(2, "blue train.mp3")], [offered(2, "blue train.mp3")])
    assert shown(search(searched, "blue train")) == [(file(2), 0), (file(1), Doubt.NAMES_DIFFER)]
    standing = searched.standing(file(1))
    assert standing is not None and standing.holders == (0, 1, 2, 3) and len(standing.names) == 4
    for account in (1, 2, 3):
        searched.drop(account)
    assert shown(search(searched, "blue train")) == [(file(2), 0), (file(1), 0)]


def test_what_only_new_accounts_with_too_many_files_hold_is_ranked_down() -> None:
    searched = catalogue([offered(1, "blue.mp3")], [offered(1, "blue.mp3")], [offered(2, "blue.mp3")])
    new = Doubt.NEW_ACCOUNTS
    assert shown(search(searched, "blue", frozenset({0, 1}))) == [(file(2), 0), (file(1), new)]
    assert shown(search(searched, "blue", frozenset({0}))) == [(file(1), 0), (file(2), 0)]


def test_one_person_does_not_fill_the_page() -> None:
    flood = [offered(number, "blue.mp3") for number in range(1, 61)]
    searched = catalogue(flood, [offered(100, "blue 2.mp3")])
    found = shown(search(searched, "blue"))
    assert (file(100), 0) in found[: ONE_PERSON_FIRST + 1] and len(found) == 61
    assert [doubts for _, doubts in found[ONE_PERSON_FIRST + 1 :]] == [Doubt.ONE_PERSON] * 50


def test_what_is_hidden_is_counted_and_shown_again_later() -> None:
    searched = catalogue([offered(1, "blue.mp3"), offered(2, "blue casino.mp3"), offered(3, "blue/x.mp3")])
    searched.hide(frozenset({"casino"}), frozenset({file(3)}))
    page = search(searched, "blue")
    assert ([found.file for found in page.found], page.total, page.hidden) == ([file(1)], 1, 2)
    assert search(searched, "casino").hidden == 1
    assert search(searched, "blue -casino").hidden == 1, "what one does not ask for is not counted"
    searched.publish(1, (), [offered(4, "casino blue.mp3")])
    searched.set_online(1, True)
    assert search(searched, "blue").hidden == 3
    standing = searched.standing(file(3))
    assert standing is not None and standing.hidden
    searched.hide(frozenset(), frozenset())
    assert (search(searched, "blue").total, search(searched, "blue").hidden) == (4, 0)


def test_nothing_is_known_of_what_nobody_online_has() -> None:
    searched = catalogue([offered(1, "blue.mp3")])
    searched.set_online(0, False)
    assert searched.standing(file(1)) is None and searched.standing(file(2)) is None
