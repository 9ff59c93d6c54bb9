from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

import pytest

from client.engine.settings import load_settings
from p2pshare.identity import is_locked

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.client.cli.conftest import Terminal


def test_one_line_sets_everything_up(terminal: Terminal, tmp_path: Path) -> None:
    result = terminal.type("init", "--nick", "anna", "--share", str(tmp_path), "--server", "example.org:4000")
    assert result.exit_code == 0
    assert terminal.profile.exists()
    assert load_settings(terminal.profile.settings_file).nick == "anna"
    assert terminal.face.calls == [("join", "example.org:4000"), ("add_share", str(tmp_path))]
    assert "p2pshare serve" in result.stdout


def test_a_second_time_changes_nothing(terminal: Terminal) -> None:
    terminal.type("init", "--nick", "anna")
    before = terminal.profile.identity_file.read_bytes()
    result = terminal.type("init", "--nick", "bert")
    assert result.exit_code == 1
    assert "already" in result.stderr
    assert terminal.profile.identity_file.read_bytes() == before


@pytest.mark.parametrize(
    "words", [(), ("--nick", "a b"), ("--nick", "x"), ("--nick", "anna", "--share", "/nowhere")]
)
def test_bad_or_missing_answers_create_nothing(terminal: Terminal, words: tuple[str, ...]) -> None:
    assert terminal.type("init", *words).exit_code == 2
    assert not terminal.profile.folder.exists()


def test_a_server_that_does_not_answer_leaves_a_good_profile(terminal: Terminal, tmp_path: Path) -> None:
    result = terminal.type("init", "--nick", "anna", "--server", "unreachable:1", "--share", str(tmp_path))
    assert result.exit_code == 4
    assert "Nobody answers at unreachable:1" in result.stderr
    assert terminal.profile.exists()
    assert terminal.face.shares


def test_the_key_is_locked_by_the_passphrase_of_the_environment(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("P2PSHARE_PASSPHRASE", "correct horse")
    assert terminal.type("init", "--nick", "anna", "--passphrase").exit_code == 0
    assert is_locked(terminal.profile.identity_file)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_its_completion(terminal: Terminal, shell: str) -> None:
    assert "_P2PSHARE_COMPLETE" in terminal.type("completion", shell).stdout


def test_the_index_server_takes_the_place_of_the_command(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def execv(_: str, command: list[str]) -> NoReturn:
        seen.append(command)
        raise SystemExit(7)

    monkeypatch.setattr(os, "execv", execv)
    assert terminal.type("index", "--server-port", "0").exit_code == 7
    assert seen == [[sys.executable, "-m", "index_server", "--server-port", "0"]]
