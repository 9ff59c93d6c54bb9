from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from client.cli.finding import query_of
from client.engine.status import DownloadState, EntryView, TagsView
from tests.fake_face import result_view

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.client.cli.conftest import Terminal

BLUE = result_view(1, "Blue \x1b[31mMoon\u202e.flac")
GREEN = replace(result_view(2, "green.pdf", 500), tags=TagsView(), kind="document", have=True, source_count=1)


@pytest.fixture
def found(terminal: Terminal) -> Terminal:
    terminal.face.found = (BLUE, GREEN)
    return terminal


@pytest.mark.parametrize(
    ("words", "query"),
    [
        (("blue", "moon"), "blue moon"),
        (("blue moon",), "blue moon"),
        (("blue moon", "live"), '"blue moon" live'),
        (('"blue moon" live',), '"blue moon" live'),
        (('"a b"', "c"), '"a b" c'),
    ],
)
def test_phrases_survive_the_shell(words: tuple[str, ...], query: str) -> None:
    assert query_of(words) == query


def test_a_guess_at_what_was_meant_is_not_fetched(found: Terminal) -> None:
    found.face.about_search = {"suggestion": "moon", "instead": True}
    result = found.type("get", "-y", "mon")
    assert (result.exit_code, result.stderr) == (3, "Nothing was found for mon. Did you mean moon?\n")
    assert [call[0] for call in found.face.calls] == ["search"]


def test_a_number_is_fetched_and_followed_to_its_end(found: Terminal) -> None:
    result = found.type("get", "2")
    assert result.exit_code == 0
    assert found.face.calls == [("get", "2", None)]
    assert "green.pdf: downloading, 50 %" in result.stdout
    assert "Saved /downloads/green.pdf (3.0 MB from 1 source in 2.0 s, 1.5 MB/s)." in result.stdout


def test_several_numbers_ranges_and_links_are_fetched_at_once(found: Terminal) -> None:
    link = "magnet:?xt=urn:p2pshare:x"
    views = found.json("get", "1-2", link)
    assert [call[1] for call in found.face.calls] == ["1", "2", link]
    assert [view["state"] for view in views] == ["complete"] * 3


@pytest.mark.parametrize("what", ["2-1", "1-100000"])
def test_a_range_that_makes_no_sense_is_refused(found: Terminal, what: str) -> None:
    assert found.type("get", what).exit_code == 2


def test_an_invite_is_sent_to_join(found: Terminal) -> None:
    result = found.type("get", "p2pshare:join?key=x")
    assert result.exit_code == 2
    assert "p2pshare join" in result.stderr


def test_a_path_of_a_person_is_fetched_from_that_person(found: Terminal) -> None:
    assert found.type("get", "anna/Music/a b.flac").exit_code == 0
    assert found.face.calls == [("get", "anna/Music/a b.flac", None)]


def test_a_query_with_a_slash_is_a_query_if_nobody_has_that_nick(found: Terminal) -> None:
    assert found.type("get", "--yes", "AC/DC", "thunder").exit_code == 0
    assert [call[:2] for call in found.face.calls] == [
        ("get", "AC/DC thunder"),
        ("search", "AC/DC thunder"),
        ("get", "1"),
    ]


def test_the_best_match_of_a_query_is_shown_and_taken_with_yes(found: Terminal) -> None:
    result = found.type("get", "moon", "--yes")
    assert result.exit_code == 0
    assert "Blue \\x1b[31mMoon\\u202e.flac (3.0 MB, 2 sources)" in result.stdout


def test_what_is_here_already_is_not_fetched_again(found: Terminal) -> None:
    found.face.found = (GREEN,)
    result = found.type("get", "green", "--yes")
    assert result.exit_code == 0
    assert "You have green.pdf (500 B, 1 source) already." in result.stderr
    assert not found.face.going


def test_nothing_is_taken_without_yes_where_nobody_can_be_asked(found: Terminal) -> None:
    result = found.type("get", "moon")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert not found.face.going


def test_a_query_without_results_has_the_code_of_nothing_found(terminal: Terminal) -> None:
    assert terminal.type("get", "--yes", "nope").exit_code == 3


def test_a_download_that_fails_is_told_with_its_problem(found: Terminal) -> None:
    found.face.ends_as = DownloadState.FAILED
    result = found.type("get", "2")
    assert (result.exit_code, result.stderr) == (1, "green.pdf: Nobody has it any more.\n")


@pytest.mark.parametrize(
    ("state", "hint"), [(DownloadState.STUCK, "stuck"), (DownloadState.PAUSED, "p2pshare downloads resume 1")]
)
def test_a_download_that_needs_a_person_ends_the_waiting(
    found: Terminal, state: DownloadState, hint: str
) -> None:
    found.face.ends_as = state
    result = found.type("get", "2")
    assert result.exit_code == 1
    assert hint in result.stderr


def test_a_download_can_be_left_to_the_engine_that_runs(found: Terminal) -> None:
    assert found.type("get", "2", "--background").exit_code == 2
    found.here = False
    result = found.type("get", "2", "--background")
    assert (result.exit_code, result.stdout) == (0, "green.pdf is download 1.\n")
    assert found.face.going[1].state is DownloadState.LOOKING


def test_a_target_is_told_with_its_full_path_and_a_folder_is_made(
    found: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found.type("get", "2", "--to", "new/er/")
    found.type("get", "2", "--to", "name.pdf")
    assert [call[2] for call in found.face.calls] == [f"{tmp_path}/new/er/", f"{tmp_path}/name.pdf"]
    assert (tmp_path / "new" / "er").is_dir()
    result = found.type("get", "2", "--to", "/proc/nowhere/")
    assert result.exit_code == 1
    assert "cannot be made" in result.stderr


def test_browsing_shows_folders_and_files(terminal: Terminal) -> None:
    terminal.face.folder = (
        EntryView("Al\x07bum", True, 9_000_000, 3, None, None, TagsView()),
        EntryView("song.flac", False, 3_000_000, 1, 7, None, TagsView(length_s=60)),
    )
    result = terminal.type("browse", "anna", "Music/")
    assert result.stdout == "Al\\x07bum/\t9.0 MB\t3 files\nsong.flac\t3.0 MB\t1:00\n"
    terminal.type("browse", "anna/Music", "Live")
    assert [call[1:] for call in terminal.face.calls] == [("anna", "Music"), ("anna", "Music/Live")]
    assert terminal.type("browse", "nobody").exit_code == 3


def test_a_link_alone_is_an_invite(terminal: Terminal) -> None:
    assert terminal.type("link").stdout == "p2pshare:join?key=x\n"
    assert terminal.json("link") == "p2pshare:join?key=x"


def test_a_link_to_a_file_here_is_asked_for_with_its_full_path(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "song.flac").touch()
    terminal.type("link", "song.flac")
    terminal.type("link", "3")
    assert [call[1] for call in terminal.face.calls] == [f"{tmp_path}/song.flac", "3"]
