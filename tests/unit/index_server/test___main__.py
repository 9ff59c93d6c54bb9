"""The command line, as far as no server runs; the rest is in tests/sockets."""

from __future__ import annotations

from pathlib import Path

import click.testing
import pytest

from index_server.__main__ import main
from index_server.config import default_text, flag_of, keys


def run(*arguments: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(main, arguments, catch_exceptions=False)


def test_check_says_what_the_settings_mean() -> None:
    result = run("--check", "--server-name", "ours")
    assert result.exit_code == 0
    assert 'The server is called "ours"' in result.stdout


def test_wrong_settings_end_with_2_and_a_sentence() -> None:
    result = run("--check", "--server-port", "x")
    assert result.exit_code == 2
    assert result.stderr == "--server-port: a whole number is wanted.\n"


def test_every_key_is_an_option_with_help() -> None:
    text = run("--help").stdout
    assert all(flag_of(key) in text for key in keys())
    assert "Exit codes:" in text


def test_the_printed_settings_are_the_commented_defaults() -> None:
    assert run("--print-config").stdout == default_text()


def test_the_printed_settings_hold_what_was_given_and_can_be_read_back(tmp_path: Path) -> None:
    given = ("--server-hosts", "127.0.0.1,::1", "--server-stop-within", "2 min", "--server-port", "0")
    printed = run("--print-config", *given, "--server-data", str(tmp_path)).stdout
    (tmp_path / "index.toml").write_text(printed, encoding="utf-8")
    assert run("--print-config", "--config", str(tmp_path / "index.toml")).stdout == printed
    assert 'hosts = ["127.0.0.1", "::1"]' in printed and 'stop_within = "120 s"' in printed


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P2PSHARE_INDEX_SERVER_NAME", "theirs")
    assert 'called "theirs"' in run("--check").stdout


def test_the_version_is_printed() -> None:
    assert run("--version").stdout.startswith("p2pshare-index")
