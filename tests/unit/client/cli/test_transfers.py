from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from client.engine.status import DownloadState, UploadView
from tests.fake_face import ANNA, download_view

if TYPE_CHECKING:
    from tests.unit.client.cli.conftest import Terminal


@pytest.fixture
def busy(terminal: Terminal) -> Terminal:
    terminal.face.going = {
        1: download_view(1, "one.flac", DownloadState.COMPLETE, 1.0),
        2: download_view(2, "t\x1bwo.flac", DownloadState.PAUSED, 0.5),
    }
    return terminal


def test_downloads_are_listed_with_their_progress(busy: Terminal) -> None:
    lines = busy.type("downloads").stdout.splitlines()
    assert lines[1].split("\t")[:3] == ["2", "t\\x1bwo.flac", "3.0 MB"]
    assert [view["id"] for view in busy.json("downloads")] == [1, 2]
    assert busy.json("downloads", "list") == busy.json("downloads")


def test_no_downloads_are_said_so(terminal: Terminal) -> None:
    assert terminal.type("downloads").stdout == "There are no downloads.\n"
    assert terminal.json("downloads") == []


def test_watching_ends_when_nothing_goes_on_by_itself(busy: Terminal) -> None:
    busy.face.step = 0.2
    assert busy.type("downloads", "resume", "2").exit_code == 0
    result = busy.type("downloads", "--watch")
    assert result.exit_code == 0
    assert "t\\x1bwo.flac: downloading" in result.stdout
    assert busy.face.going[2].state is DownloadState.COMPLETE


@pytest.mark.parametrize(
    ("command", "state"), [("pause", "paused"), ("resume", "looking for sources"), ("cancel", "cancelled")]
)
def test_downloads_are_changed_by_number(busy: Terminal, command: str, state: str) -> None:
    assert busy.type("downloads", command, "1", "2").exit_code == 0
    assert busy.face.calls == [(state, 1), (state, 2)]
    assert busy.type("downloads", command, "9").exit_code == 1
    assert busy.type("downloads", command, "x").exit_code == 2


def test_ended_downloads_are_cleared(busy: Terminal) -> None:
    assert busy.type("downloads", "clear").stdout == "1 download cleared.\n"
    assert list(busy.face.going) == [2]


def test_options_before_a_subcommand_are_not_silently_ignored(busy: Terminal) -> None:
    assert busy.type("downloads", "--json", "clear").exit_code == 2
    assert list(busy.face.going) == [1, 2]


def test_uploads_show_who_is_served_and_who_waits(terminal: Terminal) -> None:
    terminal.here = False
    assert "Nobody is being served" in terminal.type("uploads").stdout
    terminal.face.sending = (
        UploadView(ANNA, "anna", ("a.flac", "b.flac"), 0, 0, 5_000, 1e6, 1.0),
        UploadView(ANNA, "bert", ("c.flac",), 2, 60, 0, 0.0, 1.0),
    )
    assert terminal.type("uploads").stdout == (
        "anna\t1.0 MB/s\t5.0 kB\ta.flac, b.flac\nbert\twaits as number 2, 1:00 min to go\t0 B\tc.flac\n"
    )


def test_downloads_are_put_before_others(terminal: Terminal) -> None:
    terminal.face.going[1] = download_view(1, "a.mp3", DownloadState.PAUSED)
    terminal.face.going[2] = download_view(2, "b.mp3", DownloadState.PAUSED)
    result = terminal.type("priority", "1", "2", "high")
    assert result.exit_code == 0, result.output
    assert {view.priority for view in terminal.face.going.values()} == {"high"}
    assert "high priority" in terminal.type("downloads").output
    assert terminal.type("priority", "1", "urgent").exit_code == 2


def test_a_folder_is_one_line_and_its_files_are_listed_by_its_number(busy: Terminal) -> None:
    files = tuple(download_view(n, f"{n}.dat", DownloadState.COMPLETE, 1.0) for n in (4, 5))
    whole = replace(download_view(3, "notes", DownloadState.PAUSED, 0.5), files=3, files_done=2)
    busy.face.going[3] = whole
    busy.face.inside[3] = files
    assert "notes/" in busy.type("downloads").stdout
    assert "2 of 3 files" in busy.type("downloads").stdout
    assert [view["id"] for view in busy.json("downloads", "list", "3")] == [4, 5]
    assert busy.type("downloads", "list", "1").exit_code == 1
