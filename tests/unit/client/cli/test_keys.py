from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import p2pshare.identity
from client.cli import keys
from client.engine.profile import Profile, create_profile
from client.engine.settings import Settings
from p2pshare.identity import is_locked, load_identity

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.client.cli.conftest import Terminal


@pytest.fixture
def anna(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Somebody with a key, who answers "horse" whenever a passphrase is asked for."""
    create_profile(terminal.profile, Settings(nick="anna"))
    monkeypatch.setattr(p2pshare.identity, "_SCRYPT_N", 1 << 10)  # a quick guess will do here
    monkeypatch.setattr(keys, "_prompted", lambda question, confirmation_prompt=False: "horse")
    return terminal


def test_who_somebody_is_can_be_shown_without_secrets(anna: Terminal) -> None:
    shown = anna.json("identity", "show")
    assert shown["person"] in anna.type("identity", "show").stdout
    assert shown["locked"] is False
    assert set(shown) == {"person", "short", "file", "locked"}


@pytest.mark.parametrize("option", [(), ("--unlocked",)])
def test_a_backup_restores_the_same_person(anna: Terminal, tmp_path: Path, option: tuple[str, ...]) -> None:
    backup = anna.type("identity", "export", *option).stdout
    assert (":locked:" in backup) is not bool(option)
    before = anna.json("identity", "show")["person"]
    anna.profile = Profile(tmp_path / "new")
    result = anna.type("identity", "import", stdin=backup)
    assert result.exit_code == 0
    assert anna.json("identity", "show")["person"] == before
    assert is_locked(anna.profile.identity_file) is not bool(option)


def test_a_key_is_never_replaced(anna: Terminal) -> None:
    backup = anna.type("identity", "export", "--unlocked").stdout
    before = anna.profile.identity_file.read_bytes()
    assert anna.type("identity", "import", stdin=backup).exit_code == 1
    assert anna.profile.identity_file.read_bytes() == before


def test_the_file_itself_is_a_backup_too(anna: Terminal, tmp_path: Path) -> None:
    source = anna.profile.identity_file
    anna.profile = Profile(tmp_path / "new")
    assert anna.type("identity", "import", str(source)).exit_code == 0


def test_a_mistyped_backup_is_refused_in_words(terminal: Terminal) -> None:
    result = terminal.type("identity", "import", stdin="p2pshare-identity:1:plain:abcdefgh")
    assert result.exit_code == 1
    assert "mistyped" in result.stderr
    assert not terminal.profile.identity_file.exists()


def test_a_passphrase_can_be_set_and_removed(anna: Terminal) -> None:
    path = anna.profile.identity_file
    before = load_identity(path, None).node_id
    assert anna.type("identity", "passphrase").exit_code == 0
    assert load_identity(path, "horse").node_id == before
    assert anna.type("identity", "passphrase", "--remove").exit_code == 0
    assert load_identity(path, None).node_id == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["identity.key", "settings.toml"]


def test_a_wrong_passphrase_is_told(anna: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    anna.type("identity", "passphrase")
    monkeypatch.setenv("P2PSHARE_PASSPHRASE", "donkey")
    result = anna.type("identity", "show")
    assert result.exit_code == 1
    assert "passphrase does not fit" in result.stderr


def test_nobody_is_asked_where_nobody_can_answer(terminal: Terminal) -> None:
    create_profile(terminal.profile, Settings(nick="anna"))
    result = terminal.type("identity", "export")
    assert result.exit_code == 1
    assert "Run this in a terminal" in result.stderr


def test_without_a_key_the_way_to_one_is_told(terminal: Terminal) -> None:
    assert "There is no identity" in terminal.type("identity", "show").stderr
