from __future__ import annotations

from typing import TYPE_CHECKING

from client.engine.status import MemberView
from tests.fake_face import ANNA

if TYPE_CHECKING:
    from tests.unit.client.cli.conftest import Terminal


def test_limits_are_shown_with_what_decides_them(terminal: Terminal) -> None:
    terminal.face.scheduled = {"up": (200, "mon-fri 08:00-18:00 up=200")}
    terminal.type("limit", "trusted.up", "30")
    assert terminal.type("limit").stdout == (
        "Upload\t200 KiB/s\tof the schedule: mon-fri 08:00-18:00 up=200\n"
        "Download\tno limit\tit is set so\n"
        "Upload, trusted\t30 KiB/s\tit is set so\n"
    )
    assert [view["rate"] for view in terminal.json("limit")][:2] == [200, 0]


def test_a_limit_is_set_and_says_whether_it_holds_already(terminal: Terminal) -> None:
    assert terminal.type("limit", "up", "1500").stdout == "Upload: 1,500 KiB/s, from now on.\n"
    assert terminal.face.chosen.upload_rate == 1_500
    assert terminal.type("limit", "up", "0").stdout == "Upload: no limit, from now on.\n"
    terminal.face.scheduled = {"down": (9, "08:00-18:00 down=9")}
    said = terminal.type("limit", "down", "70").stdout
    assert said == (
        "Download: 70 KiB/s, but at this time of day 9 KiB/s, because of the schedule: 08:00-18:00 down=9\n"
    )


def test_limits_that_make_no_sense_are_mistakes_of_usage(terminal: Terminal) -> None:
    for words in (("sideways", "1"), ("up",), ("up", "-1"), ("up", "fast"), ("blocked.up", "1")):
        assert terminal.type("limit", *words).exit_code == 2, words
    assert terminal.face.calls == []


def test_people_are_put_into_groups_and_listed(terminal: Terminal) -> None:
    assert "Nobody is in a group" in terminal.type("group").stdout
    assert terminal.type("group", "anna", "trusted").stdout == "anna is in the group trusted from now on.\n"
    assert terminal.type("group").stdout == f"trusted\tanna\t{ANNA}\n"
    assert terminal.json("group") == [{"person": ANNA, "nick": "anna", "group": "trusted"}]
    terminal.face.members = (MemberView(ANNA, "", "blocked"),)
    assert terminal.type("group").stdout == f"blocked\t?\t{ANNA}\n"


def test_a_group_needs_a_name_that_there_is_and_somebody_who_is_known(terminal: Terminal) -> None:
    assert terminal.type("group", "anna").exit_code == 2
    assert terminal.type("group", "anna", "friends").exit_code == 2
    assert terminal.type("group", "nobody", "trusted").exit_code == 3


def test_a_setting_is_changed_and_says_when_it_holds(terminal: Terminal) -> None:
    assert terminal.type("set", "upload_slots", "7").stdout == "upload_slots = 7, from now on.\n"
    assert terminal.type("set", "lan", "off").stdout == "lan = false, from now on.\n"
    assert terminal.type("set", "exclude", "*.bak", "*~").stdout == 'exclude = "*.bak" "*~", from now on.\n'
    assert terminal.type("set", "exclude").stdout == "exclude = nothing, from now on.\n"
    terminal.here = False  # it is that of another process, which goes on with the port it has
    assert terminal.type("set", "listen_port", "4001").stdout == (
        "listen_port = 4001, from the next start on.\n"
    )


def test_a_value_that_does_not_fit_is_refused_in_words(terminal: Terminal) -> None:
    for words, sentence in (
        (("upload_slots", "0"), "from 1 to 100"),
        (("upload_slots", "many"), "must be a whole number"),
        (("upload_slots", "1", "2"), "takes one value"),
        (("lan", "perhaps"), "must be true or false"),
        (("upload_slot", "1"), 'Did you mean "upload_slots"?'),
        (("schedule", "someday 8-9 up=1"), "'someday' is no day"),
    ):
        result = terminal.type("set", *words)
        assert result.exit_code == 1 and sentence in result.stderr, words


def test_settings_are_shown_with_what_they_mean(terminal: Terminal) -> None:
    shown = terminal.type("settings").stdout
    assert "nick = nothing\n    Your name on the network" in shown
    assert "groups.trusted.slots = 2\n" in shown
    port = terminal.type("settings", "listen_port").stdout
    assert port.startswith("listen_port = 0\n") and port.endswith("Takes effect at the next start.\n")
    assert terminal.type("settings", "colour").exit_code == 3
    assert [view["name"] for view in terminal.json("settings", "slots")] == [
        "upload_slots",
        "groups.contacts.slots",
        "groups.trusted.slots",
    ]
