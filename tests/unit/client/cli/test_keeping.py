from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from client.cli import keeping
from client.engine.status import DistrustedView, DownloadState, RottenView
from tests.fake_face import ANNA

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.client.cli.conftest import Terminal


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(keeping, "SAY_EVERY_S", 0.0)


@pytest.fixture
def rotten(terminal: Terminal) -> Terminal:
    found = tuple(RottenView(f"/music/{n}\x1b.flac", "f" * 52, 3_000_000, n) for n in (1, 2))
    terminal.face.checked = replace(terminal.face.checked, rotten=found, changed=1, unreadable=("/x",))
    return terminal


def test_what_is_well_is_said_to_be(terminal: Terminal) -> None:
    result = terminal.type("check")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "100 %: song.flac"
    assert lines[-2:] == ["3 files checked, 9.0 MB.", "All that could be read is as it should be."]
    assert terminal.face.calls == [("check", None)]


def test_rot_is_named_and_told_by_the_exit_code(rotten: Terminal) -> None:
    result = rotten.type("check")
    assert result.exit_code == 1
    assert "2 files have rotted:" in result.stdout
    assert "  /music/2\\x1b.flac: 2 pieces damaged" in result.stdout
    assert "1 file edited meanwhile" in result.stdout and "/x cannot be read" in result.stdout
    assert "p2pshare repair" in result.stderr


def test_a_path_is_told_in_full_and_a_share_by_its_name(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "music").mkdir()
    terminal.type("share", str(tmp_path / "music"))
    monkeypatch.chdir(tmp_path)
    terminal.face.calls.clear()
    terminal.type("check", "music")
    terminal.type("repair", "other/file")
    terminal.type("repair", "all", "--keep-old")
    assert terminal.face.calls == [
        ("check", str(tmp_path / "music")),
        ("repair", str(tmp_path / "other" / "file"), False),
        ("repair", None, True),
    ]


def test_what_is_damaged_is_mended(rotten: Terminal) -> None:
    result = rotten.type("repair")
    assert result.exit_code == 0
    assert "Mending 2 files." in result.stdout and "2 files mended." in result.stdout
    assert [view["state"] for view in rotten.json("repair")] == ["complete", "complete"]


def test_what_cannot_be_mended_is_told(rotten: Terminal) -> None:
    rotten.face.ends_as = DownloadState.FAILED
    result = rotten.type("repair")
    assert result.exit_code == 1
    assert "0 files mended." in result.stdout and "Nobody has it any more." in result.stderr


def test_nothing_to_mend_is_no_failure(terminal: Terminal) -> None:
    result = terminal.type("repair")
    assert result.exit_code == 0 and "p2pshare check" in result.stdout


def test_who_sent_wrong_data_is_shown_and_can_be_trusted_again(terminal: Terminal) -> None:
    assert terminal.type("distrusted").stdout == "Nobody sent wrong data lately.\n"
    now = time.time()
    terminal.face.avoided = (
        DistrustedView(ANNA, "anna", 2, now - 3600, now + 7200),
        DistrustedView(ANNA, "", 1, now - 3600 * 24 * 9, now - 60),
    )
    lines = terminal.type("distrusted").stdout.splitlines()
    assert lines[0].split("\t")[:2] == ["anna", "2"] and "in 2:00 h" in lines[0]
    assert lines[1].split("\t")[0] == ANNA and "not for those files" in lines[1]
    assert len(terminal.json("distrusted", "list")) == 2
    assert terminal.type("distrusted", "trust", "anna").stdout == "1 person trusted again.\n"
    assert terminal.type("distrusted", "trust", "nobody").exit_code == 1
