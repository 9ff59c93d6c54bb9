from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from client.cli import wishing
from client.engine.status import WishHitView, WishView
from tests.fake_face import result_view

if TYPE_CHECKING:
    from tests.unit.client.cli.conftest import Terminal

HIT = WishHitView(1, "blue", 1.0, True, None, "", result_view(1, "Blue \x1b[31m.mp3"))


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wishing, "ARRIVE_S", 0.0)


def test_a_wish_is_made_of_words_and_phrases_and_filters(terminal: Terminal) -> None:
    result = terminal.type("wish", "add", "blue", "new order", "-live", "kind:audio")
    assert result.exit_code == 0
    assert result.stdout == "Wish 1 is kept. See `p2pshare wish hits`.\n"
    assert ("add_wish", 'blue "new order" -live kind:audio', False) in terminal.face.calls
    assert "downloaded by itself" in terminal.type("wish", "add", "blue", "--get").stdout
    assert terminal.face.calls[-1] == ("add_wish", "blue", True)
    assert terminal.json("wish", "add", "red")["query"] == "red"


def test_a_wish_that_servers_refuse_ends_with_their_sentence(terminal: Terminal) -> None:
    result = terminal.type("wish", "add", "--", "-")
    assert result.exit_code == 1
    assert result.stderr != ""


def test_wishes_are_listed_with_what_is_wrong_with_them(terminal: Terminal) -> None:
    assert "You wish for nothing." in terminal.type("wish").stdout
    terminal.face.wished = (WishView(3, "blue", True, 1.0, 1_200, 2, "It rests."),)
    for arguments in (("wish",), ("wish", "list")):
        assert terminal.type(*arguments).stdout == "3\tblue\t1,200\t2\tdownloaded by itself; It rests.\n"
    assert terminal.json("wish", "list")[0]["hits"] == 1_200


def test_wishes_are_removed_by_number(terminal: Terminal) -> None:
    terminal.type("wish", "add", "blue")
    terminal.type("wish", "add", "red")
    assert terminal.type("wish", "remove", "1", "2").stdout == "2 wishes removed.\n"
    result = terminal.type("wish", "remove", "7")
    assert (result.exit_code, "no wish 7" in result.stderr) == (1, True)
    assert terminal.type("wish", "remove", "blue").exit_code == 2


def test_what_was_found_is_shown_once_and_again_if_asked_for(terminal: Terminal) -> None:
    terminal.face.wish_hit_views = (HIT, replace(HIT, wish=2, download=5), replace(HIT, note="Too large."))
    result = terminal.type("wish", "hits")
    assert [line.split("\t")[1] for line in result.stdout.splitlines()] == ["Blue \\x1b[31m.mp3"] * 3
    assert [line.split("\t")[-1] for line in result.stdout.splitlines()] == ["", "download 5", "Too large."]
    again = terminal.type("wish", "hits")
    assert again.exit_code == 3
    assert "--all" in again.stderr
    assert len(terminal.json("wish", "hits", "2", "--all")) == 1


def test_the_status_and_the_log_tell_of_new_files(terminal: Terminal) -> None:
    terminal.face.wish_hit_views = (HIT,)
    assert "1 new file for your wishes. See `p2pshare wish hits`." in terminal.type("status").stdout
    terminal.type("wish", "hits")
    assert "for your wishes" not in terminal.type("status").stdout
