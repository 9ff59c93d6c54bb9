"""What a moderator names is found, and nothing that cannot be meant is sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from client.engine.moderating import file_of, moderate, rules_page, target_of
from client.engine.network.membership import Membership
from client.engine.search import doubts_named, file_link
from p2pshare.errors import LocalTrouble
from p2pshare.hashing import FileId, format_file_id
from tests.fake_face import result_view

FILE = FileId(b"f" * 32)
TEXT = format_file_id(FILE)


def test_a_file_is_named_by_its_id_a_link_or_a_result() -> None:
    result = replace(result_view(3, "song.mp3"), file=TEXT)
    named = [(TEXT, None), (TEXT.upper(), None), (file_link(FILE, "song.mp3", 9), None)]
    assert [file_of(what, kept) for what, kept in named] == [FILE] * 3
    assert target_of("file", "3", result) == TEXT
    assert target_of("word", "3", None) == "3"


@pytest.mark.parametrize("what", ["3", "abc", "magnet:?nothing", "p2pshare:join?key=x", ""])
def test_what_names_no_file_is_refused_in_words(what: str) -> None:
    with pytest.raises(LocalTrouble):
        file_of(what, None)


def test_doubts_have_names() -> None:
    assert doubts_named(0) == () and doubts_named(5) == ("names_differ", "one_person")


async def test_what_there_is_not_is_never_sent() -> None:
    nowhere: Membership = None  # type: ignore[assignment]
    usual = {
        "action": "ban",
        "subject": "account",
        "target": "x",
        "role": "nobody",
        "reason": "",
        "appeal": "",
    }
    for wrong in ({"action": "kick"}, {"subject": "x"}, {"role": "king"}, {"reason": "x" * 301}):
        with pytest.raises(LocalTrouble):
            await moderate(nowhere, "", for_s=0, **{**usual, **wrong})
    with pytest.raises(LocalTrouble, match="bans, hidden, roles, log"):
        await rules_page(nowhere, "", "everything", 0, 1)
