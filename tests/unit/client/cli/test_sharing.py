from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from client.cli.sharing import share

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.client.cli.conftest import Terminal


@pytest.fixture
def music(tmp_path: Path) -> str:
    (tmp_path / "music").mkdir()
    return str(tmp_path / "music")


def test_share_path_is_short_for_share_add(terminal: Terminal, music: str) -> None:
    for words in (("share", music), ("share", "add", music)):
        result = terminal.type(*words)
        assert result.exit_code == 0
        assert f"Sharing {music} as music: 3 files, 9.0 MB." in result.stdout
    assert terminal.face.calls == [("add_share", music)] * 2


def test_a_relative_path_is_told_in_full(
    terminal: Terminal, music: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(music)
    terminal.type("share", ".")
    terminal.type("share", "remove", ".")
    assert terminal.face.calls == [("add_share", music), ("remove_share", music)]


def test_share_alone_lists(terminal: Terminal, music: str) -> None:
    assert "Nothing is shared yet" in terminal.type("share").stdout
    terminal.type("share", music)
    assert terminal.type("share").stdout == f"{music}\tmusic\t3\t9.0 MB\t0 %\n"
    assert [view["path"] for view in terminal.json("share")] == [music]
    assert terminal.json("share", "list") == terminal.json("share")


def test_a_folder_can_be_removed_by_the_name_that_others_see(terminal: Terminal, music: str) -> None:
    terminal.type("share", music)
    assert terminal.type("share", "remove", "music").exit_code == 0
    assert terminal.face.shares == {}


def test_a_folder_that_does_not_exist_is_a_mistake_of_usage(terminal: Terminal) -> None:
    assert terminal.type("share", "/nowhere/at/all").exit_code == 2


def test_rescan_shows_what_is_there_now(terminal: Terminal, music: str) -> None:
    terminal.type("share", music)
    assert music in terminal.type("share", "rescan").stdout
    assert terminal.face.calls[-1] == ("rescan",)


def test_a_shell_completes_subcommands_and_folders() -> None:
    context = click.Context(share, info_name="share", resilient_parsing=True)
    assert share.parse_args(context, []) == []
    items = [(item.value, item.type) for item in share.shell_complete(context, "re")]
    assert items == [("remove", "plain"), ("rescan", "plain"), ("re", "dir")]
