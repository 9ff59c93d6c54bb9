from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

from client.cli import network
from client.engine.status import AnnouncementView, EngineView, ServerState
from p2pshare.errors import Disconnected
from tests.fake_face import FakeFace, server_view

if TYPE_CHECKING:
    from tests.unit.client.cli.conftest import Terminal


def test_status_tells_everything_at_one_glance(terminal: Terminal) -> None:
    terminal.here = False
    result = terminal.type("status")
    assert result.exit_code == 0
    for part in (
        "me  mmmm-mmmm-mmmm  port 4001",
        "The Index (127.0.0.1:4000): online, as me",
        "7.0 MB given to 3 people",
    ):
        assert part in result.stdout
    assert msgspec.convert(terminal.json("status"), EngineView).nick == "me"


def test_status_without_a_server_still_tells_the_rest(terminal: Terminal) -> None:
    terminal.face.servers = (server_view(ServerState.REFUSED, "Banned."),)
    result = terminal.type("status")
    assert result.exit_code == 0
    assert "refused, " in result.stdout
    assert "Banned." in result.stdout
    assert "nobody can get anything from you" in result.stdout


def test_the_operators_words_stand_under_their_server(terminal: Terminal) -> None:
    said = AnnouncementView(at=1_700_000_000, text="We move.\nOn \x1b[31mSunday.")
    server = replace(server_view(), welcome="Be kind.\nShare.", announcements=(said,))
    terminal.face.servers = (server,)
    text = terminal.type("status").stdout
    assert "  Be kind.\n  Share.\n" in text
    assert ": We move. On \\x1b[31mSunday." in text


def test_joining_and_leaving(terminal: Terminal) -> None:
    assert terminal.type("join", "p2pshare:join?key=x").stdout == "You are on The Index.\n"
    assert terminal.type("leave", "The Index").exit_code == 0
    assert terminal.type("leave", "The Index").exit_code == 1
    assert terminal.type("join", "unreachable:1").stderr.startswith("Nobody answers")


def test_joining_without_a_link_needs_a_server_nearby(terminal: Terminal) -> None:
    assert terminal.type("join").exit_code == 2  # there is one already
    terminal.face.servers = ()
    assert terminal.type("join").exit_code == 4


def test_a_nick_is_changed_or_refused(terminal: Terminal) -> None:
    assert terminal.type("nick", "anna").stdout == "You are anna now.\n"
    result = terminal.type("nick", "taken")
    assert (result.exit_code, terminal.face.nick) == (1, "anna")
    assert "belongs to somebody else" in result.stderr


class Ending(FakeFace):
    """Ends at the `last` look, as when another command stops it."""

    looks: int = 0
    last: int = 3

    async def status(self) -> EngineView:
        self.looks += 1
        if self.looks > self.last:
            raise Disconnected("The running p2pshare ended.")
        if self.looks == 3:
            self.servers = (server_view(ServerState.WAITING, "Connection refused."),)
        return await super().status()


def test_serving_logs_each_change_as_a_line(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "LOOK_EVERY_S", 0.001)
    terminal.face = Ending()
    lines = [line[21:] for line in terminal.type("serve").stdout.splitlines()]
    assert lines == [
        "me (mmmm-mmmm-mmmm) listens on port 4001. Stop with Ctrl-C.",
        "Online at The Index as me.",
        "The Index can reach us from outside.",
        "Not connected to The Index: Connection refused.",
    ]
    terminal.face = Ending()
    first = json.loads(terminal.type("serve", "--json").stdout.splitlines()[0])
    assert first["text"].startswith("me (")
    assert first["at"] > 1e9


def test_only_one_serves(terminal: Terminal) -> None:
    terminal.here = False
    result = terminal.type("serve")
    assert result.exit_code == 1
    assert "runs already" in result.stderr


def test_stop_ends_the_one_that_runs_and_waits_for_it(terminal: Terminal) -> None:
    terminal.here = False
    terminal.face = Ending()
    terminal.face.last = 1
    assert terminal.type("stop").stdout == "Stopped.\n"
    assert terminal.face.calls == [("stop",)]


def test_stop_starts_nothing(terminal: Terminal) -> None:
    result = terminal.type("stop")
    assert (result.exit_code, result.stderr) == (1, "No p2pshare runs.\n")


def test_stop_tells_when_it_takes_too_long(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "STOP_TIMEOUT_S", 0.01)
    terminal.here = False
    assert terminal.type("stop").exit_code == 1
