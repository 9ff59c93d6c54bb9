"""play."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from client.cli import players, playing
from client.cli.players import Player
from client.engine.status import DownloadState
from tests.fake_face import PLAYED_AT, download_view, result_view
from tests.unit.client.cli.conftest import Terminal


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that a player was given."""
    urls: list[str] = []

    async def play_with(player: Player, url: str) -> int:
        urls.append(url)
        return 0

    monkeypatch.setattr(playing, "find_player", lambda name: Player(name or "mpv", ("/usr/bin/mpv",)))
    monkeypatch.setattr(playing, "play_with", play_with)
    return urls


def test_a_result_is_downloaded_and_given_to_a_player(terminal: Terminal, opened: list[str]) -> None:
    terminal.here = False
    terminal.face.found = (result_view(1, "song.mp3"),)
    result = terminal.type("play", "1")
    assert result.exit_code == 0, result.output
    assert opened == [f"{PLAYED_AT}/song.mp3"]
    assert "Playing song.mp3 (3.0 MB)" in result.output
    assert "The download goes on" in result.output


def test_a_file_of_ones_own_is_played_by_its_path(
    terminal: Terminal, opened: list[str], tmp_path: Path
) -> None:
    song = tmp_path / "own song.mp3"
    song.write_bytes(b"la")
    result = terminal.type("play", str(song))
    assert result.exit_code == 0, result.output
    assert opened == [f"{PLAYED_AT}{song}"]
    assert "Playing ended." in result.output


def test_the_best_match_of_a_query_is_played(terminal: Terminal, opened: list[str]) -> None:
    terminal.face.found = (result_view(1, "song.mp3"),)
    assert terminal.type("play", "--yes", "blue", "song").exit_code == 0
    assert opened == [f"{PLAYED_AT}/song.mp3"]


def test_a_download_is_played_by_its_number(terminal: Terminal, opened: list[str]) -> None:
    terminal.face.going[4] = download_view(4, "film.mkv", DownloadState.COMPLETE, 1.0)
    assert terminal.type("play", "-d", "4").exit_code == 0
    assert opened == [f"{PLAYED_AT}/film.mkv"]


def test_only_the_address_is_printed_for_other_players(terminal: Terminal, opened: list[str]) -> None:
    terminal.here = False
    terminal.face.found = (result_view(1, "song.mp3"),)
    result = terminal.type("play", "--print", "1")
    assert (result.exit_code, result.output) == (0, f"{PLAYED_AT}/song.mp3\n")
    assert terminal.json("play", "1")["url"] == f"{PLAYED_AT}/song.mp3"
    assert opened == []


def test_without_a_player_the_address_is_told(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "find_player", lambda name: None)
    terminal.here = False
    terminal.face.found = (result_view(1, "song.mp3"),)
    result = terminal.type("play", "1")
    assert result.exit_code == 0
    assert "Open this address with a player of yours" in result.output


def test_a_player_that_fails_is_told(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        playing, "find_player", lambda name: Player("broken", (sys.executable, "-c", "raise SystemExit(3)"))
    )
    terminal.here = False
    terminal.face.found = (result_view(1, "song.mp3"),)
    result = terminal.type("play", "1")
    assert result.exit_code == 1
    assert "broken ended with code 3" in result.output


def test_ctrl_c_ends_the_player_and_not_the_download(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = tmp_path / "ended"
    program = (
        "import os, pathlib, signal, sys\n"
        f"def end(*_): pathlib.Path({str(told)!r}).write_text(sys.argv[1]); os._exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        f"os.kill(os.getppid(), {int(signal.SIGINT)})\n"
        "signal.pause()\n"
    )
    monkeypatch.setattr(playing, "find_player", lambda name: Player("mpv", (sys.executable, "-c", program)))
    terminal.here = False
    terminal.face.step = 0.0
    terminal.face.found = (result_view(1, "song.mp3"),)
    result = terminal.type("play", "1")
    assert result.exit_code == 130
    assert "Playing ended. The download goes on" in result.output
    assert told.read_text() == f"{PLAYED_AT}/song.mp3"


@pytest.mark.parametrize("arguments", [(), ("1", "-d", "1"), ("1", "2")])
def test_what_makes_no_sense_is_refused(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    assert terminal.type("play", *arguments, "--player", "browser").exit_code == 2


# --- which player --------------------------------------------------------------------------------------


def which(*there: str) -> players.Which:
    return lambda name: f"/usr/bin/{name}" if name in there else None


def test_mpv_is_taken_before_vlc_and_that_before_a_browser() -> None:
    screen = {"DISPLAY": ":0"}
    assert players.find_player(None, which("mpv", "vlc"), screen) == Player(
        "mpv", ("/usr/bin/mpv", "--no-ytdl", "--force-window=yes")
    )
    assert players.find_player(None, which("vlc"), screen) == Player("vlc", ("/usr/bin/vlc",))
    assert players.find_player(None, which(), screen) == Player("browser", ())


def test_a_browser_is_not_opened_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert players.find_player(None, which(), {}) is None


def test_the_player_asked_for_is_taken_or_missed() -> None:
    assert players.find_player("celluloid", which("celluloid")) == Player(
        "celluloid", ("/usr/bin/celluloid",)
    )
    assert players.find_player("browser", which()) == Player("browser", ())
    with pytest.raises(Exception, match="There is no program celluloid"):
        players.find_player("celluloid", which())
