from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from client.cli.moderating import LINES
from client.engine.moderating import RulesView, RuleView, WhyView
from tests.fake_face import ANNA, RULED_AT

if TYPE_CHECKING:
    from tests.unit.client.cli.conftest import Terminal


@pytest.fixture(autouse=True)
def in_greenwich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "localtime", time.gmtime)


def test_a_ban_is_made_and_told(terminal: Terminal) -> None:
    said = terminal.type("moderate", "ban", "account", "mallory", "--for", "7d", "--reason", "rude").stdout
    assert said == "Done, and in the log as number 1: ban account mallory until 2027-01-22 08:00.\n"
    assert terminal.face.calls[-1] == (
        "moderate", "", "ban", "account", "mallory", 7 * 86_400, "nobody", "rude", ""
    )  # fmt: skip
    view = terminal.json("moderate", "ban", "address", "203.0.113.0/24", "--reason", "bots", "--server", "x")
    assert msgspec.convert(view, RuleView).until == 0
    assert terminal.face.calls[-1][:3] == ("moderate", "x", "ban")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15min", 900), ("2h", 7_200), ("1w", 604_800), ("ever", 0)]
)
def test_how_long_is_said_in_the_usual_units(terminal: Terminal, text: str, seconds: int) -> None:
    terminal.type("moderate", "ban", "file", "3", "--for", text, "--reason", "x")
    assert terminal.face.calls[-1][5] == seconds


@pytest.mark.parametrize(
    "words",
    [
        ("ban", "word", "x"),
        ("ban", "account", "x", "--for", "a while"),
        ("hide", "account", "x"),
        ("role", "anna"),
        ("role", "anna", "king"),
        ("log", "--lines", "0"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_a_mistake_of_usage(terminal: Terminal, words: tuple[str, ...]) -> None:
    assert terminal.type("moderate", *words).exit_code == 2
    assert terminal.face.calls == []


def test_everything_else_that_is_done(terminal: Terminal) -> None:
    for words, told in (
        (("unban", "account", "mallory"), "unban account mallory"),
        (("hide", "word", "casino", "--reason", "spam"), "hide word casino"),
        (("unhide", "file", "3"), "unhide file 3"),
        (("role", "bert", "helper"), "bert is helper now"),
    ):
        assert told in terminal.type("moderate", *words).stdout


def test_who_may_not_is_told_by_the_server(terminal: Terminal) -> None:
    result = terminal.type("moderate", "role", "owner", "nobody")
    assert (result.exit_code, "a role on this server" in result.stderr) == (1, True)


def test_lists_are_shown_page_by_page(terminal: Terminal) -> None:
    assert terminal.type("moderate", "bans").stdout == "There is nothing in that list.\n"
    terminal.type(
        "moderate", "ban", "account", "mallory", "--for", "1d", "--reason", "rude", "--appeal", "write"
    )
    assert terminal.type("moderate", "bans").stdout == (
        "account\tmallory\t2027-01-16 08:00\tanna\trude\twrite\n"
    )
    assert terminal.type("moderate", "hidden").stdout == "account\tmallory\t2027-01-15 08:00\tanna\trude\n"
    assert terminal.type("moderate", "role").stdout == "nobody\tmallory\t2027-01-15 08:00\tanna\n"
    log = terminal.type("moderate", "log").stdout
    assert log == "1\t2027-01-15 08:00\tanna\tban account mallory until 2027-01-16 08:00\trude\n"
    terminal.face.rules *= 100
    assert len(terminal.json("moderate", "log", "--lines", "90")) == 90
    assert [call[3:] for call in terminal.face.calls[-3:]] == [(0, LINES), (40, LINES), (80, 10)]
    few = terminal.type("moderate", "log", "--lines", "2")
    assert len(few.stdout.splitlines()) == 2 and "98 more" in few.stderr


def test_why_a_result_stands_where_it_stands(terminal: Terminal) -> None:
    assert terminal.type("moderate", "why", "3").stdout == (
        "1 source online.\nNothing speaks against it: it stands where its words and sources put it.\n"
    )
    terminal.face.why = WhyView(20, ("names_differ",), ("Its names differ.",))
    assert terminal.type("moderate", "why", "3").stdout.splitlines()[1:] == ["Its names differ."]
    assert msgspec.convert(terminal.json("moderate", "why", "3"), WhyView) == terminal.face.why


def test_the_views_survive_the_way_to_another_process() -> None:
    rule = RuleView(1, "ban", "account", ANNA, "anna", "operator", "", RULED_AT, 0, "nobody", "rude", "")
    page = RulesView(1, (rule,))
    assert msgspec.convert(msgspec.to_builtins(page), RulesView) == page
