"""Offers of strangers, checked and folded."""

from __future__ import annotations

import pytest

from index_server.search.entry import entry_untrusted, search_text, tags_of
from p2pshare.errors import Refused
from p2pshare.wire.fields import NO_TAGS, Offer, Tags
from p2pshare.wire.manifest import offer_hash

TAGS = Tags(title="Protect Ya Neck", artist="Wu-Tang Clan", album="Enter", year=1993)


def offer(path: str, tags: Tags = NO_TAGS) -> Offer:
    return Offer(offer=7, path=path, size=5, tags=tags)


def test_an_entry_keeps_the_offer_and_its_hash() -> None:
    entry = entry_untrusted(offer("Music/a.mp3", TAGS))
    assert (entry.offer, entry.path, entry.size, entry.file, entry.partial) == (
        7,
        "Music/a.mp3",
        5,
        None,
        False,
    )
    assert entry.hash == offer_hash(offer("Music/a.mp3", TAGS))
    assert tags_of(entry.tags) == TAGS


def test_tags_that_say_nothing_take_no_room() -> None:
    assert entry_untrusted(offer("a.mp3")).tags == b""
    assert tags_of(b"") == NO_TAGS


@pytest.mark.parametrize(
    "path", ["../a", "/a", "a//b", "a\nb", "C:/a", "a\\b", "a\u202eb", "/".join("x" * 40), ".."]
)
def test_a_path_that_is_none_is_refused_with_the_number_of_the_offer(path: str) -> None:
    with pytest.raises(Refused, match="Offer 7"):
        entry_untrusted(offer(path))


def test_control_characters_in_tags_are_refused() -> None:
    with pytest.raises(Refused, match="tags"):
        entry_untrusted(offer("a.mp3", Tags(title="\x1b[2J")))


def test_the_search_text_has_a_line_each_for_name_folders_and_tags() -> None:
    entry = entry_untrusted(offer("Music/Wu-Tang/01 Neck.mp3", TAGS))
    assert search_text(entry.path, entry.tags).split("\n") == [
        " 01 neck mp3 ",
        " music wu tang ",
        " wu tang clan protect ya neck enter 1993 ",
    ]
