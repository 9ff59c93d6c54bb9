from __future__ import annotations

import errno
import os
import signal
from typing import TYPE_CHECKING

import pytest

from client.cli import run as run_module
from client.cli.run import NO_SERVER, Exit
from client.engine.settings import Settings, save_settings
from client.engine.status import DownloadView, EngineView, ServerState, UploadView
from p2pshare.addresses import Address
from p2pshare.errors import CloseCode, Disconnected, LocalTrouble, PeerFault, Reason, Refused
from p2pshare.identity import Identity
from p2pshare.links import Invite, format_link
from tests.fake_face import FakeFace, result_view, server_view

if TYPE_CHECKING:
    from tests.unit.client.cli.conftest import Terminal

INVITE = Invite(Identity.from_seed(b"s" * 32).node_id, (Address("192.168.1.9", 4000),), "Home")
OTHER = Invite(Identity.from_seed(b"t" * 32).node_id, (Address("192.168.1.8", 4000),), "Office")


class Failing(FakeFace):
    """Every look at the uploads fails in its own way."""

    error: BaseException

    async def uploads(self) -> tuple[UploadView, ...]:
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (LocalTrouble("The disk is full."), 1, "The disk is full."),
        (Refused(Reason.NICK_TAKEN, "Taken."), 1, "Taken."),
        (Refused(Reason.NO_SUCH_PERSON), 3, "Nobody of that nick"),
        (Refused(Reason.OFFLINE), 4, "not online now"),
        (Disconnected("Gone \x1b[2J."), 4, "Gone \\x1b[2J."),
        (PeerFault(CloseCode.BAD_FRAME, "A bad frame."), 1, "A bad frame."),
        (ExceptionGroup("", [ExceptionGroup("", [LocalTrouble("Deep.")])]), 1, "Deep."),
        (ZeroDivisionError("oops"), 1, "made a mistake of its own: ZeroDivisionError: oops"),
    ],
    ids=repr,
)
def test_every_error_is_a_sentence_and_a_code(
    terminal: Terminal, error: Exception, code: int, sentence: str
) -> None:
    terminal.face = Failing()
    terminal.face.error = error
    result = terminal.type("uploads")
    assert result.exit_code == code
    assert sentence in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""


def test_a_mistake_of_our_own_tells_where_if_asked(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("P2PSHARE_DEBUG", "1")
    terminal.face = Failing()
    terminal.face.error = ZeroDivisionError()
    assert "Traceback" in terminal.type("uploads").stderr


def test_a_reader_that_has_seen_enough_is_no_mistake_of_ours(terminal: Terminal) -> None:
    terminal.face = Failing()
    terminal.face.error = BrokenPipeError(errno.EPIPE, "Broken pipe")
    result = terminal.type("uploads")
    assert result.exit_code == 1
    assert "mistake" not in result.output


def test_an_engine_that_cannot_start_is_a_sentence(terminal: Terminal) -> None:
    terminal.trouble = "There is no profile yet."
    result = terminal.type("status")
    assert (result.exit_code, result.stderr) == (1, "There is no profile yet.\n")


class Interrupting(FakeFace):
    """Somebody presses Ctrl-C, or ends the process, at the first look at the downloads."""

    number: signal.Signals = signal.SIGINT
    sent: bool = False

    async def downloads(self) -> tuple[DownloadView, ...]:
        if not self.sent:
            os.kill(os.getpid(), self.number)
        self.sent = True
        return await super().downloads()


def test_ctrl_c_is_a_clean_stop_that_says_what_becomes_of_the_download(terminal: Terminal) -> None:
    terminal.face = Interrupting(found=(result_view(1, "song.flac"),), step=0.0)
    result = terminal.type("get", "1")
    assert result.exit_code == Exit.INTERRUPTED
    assert "Nothing is lost" in result.stderr
    terminal.face = Interrupting(found=(result_view(1, "song.flac"),), step=0.0)
    terminal.here = False
    result = terminal.type("get", "1")
    assert result.exit_code == Exit.INTERRUPTED
    assert "goes on in the p2pshare that runs" in result.stderr


def test_sigterm_ends_serving_in_good_order(terminal: Terminal) -> None:
    terminal.face = Interrupting(step=0.0)
    terminal.face.number = signal.SIGTERM
    assert terminal.type("serve").exit_code == Exit.DONE
    terminal.face = Interrupting(step=0.0)
    terminal.face.number = signal.SIGTERM
    assert terminal.type("get", "anna/song.flac").exit_code == Exit.TERMINATED


def test_without_a_server_one_sentence_names_the_two_ways_on(terminal: Terminal) -> None:
    terminal.face.servers = ()
    result = terminal.type("search", "blue")
    assert (result.exit_code, result.stderr) == (Exit.UNREACHABLE, NO_SERVER + "\n")
    assert "`p2pshare join LINK`" in NO_SERVER
    assert "`p2pshare index`" in NO_SERVER


def test_the_one_server_on_the_local_network_is_used(terminal: Terminal) -> None:
    terminal.face.servers = ()
    terminal.face.found = (result_view(1, "blue.flac"),)
    terminal.nearby = (INVITE,)
    result = terminal.type("search", "blue")
    assert result.exit_code == 0
    assert "found on the local network" in result.stderr
    assert terminal.face.calls[0] == ("join", format_link(INVITE))


def test_among_several_servers_the_person_chooses(terminal: Terminal) -> None:
    terminal.face.servers = ()
    terminal.nearby = (INVITE, OTHER)
    result = terminal.type("search", "blue")
    assert result.exit_code == Exit.UNREACHABLE
    assert format_link(INVITE) in result.stderr
    assert format_link(OTHER) in result.stderr
    assert terminal.face.calls == []


def test_who_wants_nothing_of_the_local_network_is_not_looked_for(terminal: Terminal) -> None:
    terminal.face.servers = ()
    terminal.nearby = (INVITE,)
    terminal.profile.folder.mkdir()
    terminal.profile.identity_file.write_text("")
    save_settings(terminal.profile.settings_file, Settings(lan=False))
    assert terminal.type("search", "blue").exit_code == Exit.UNREACHABLE


def test_a_server_that_does_not_answer_is_named_with_its_problem(terminal: Terminal) -> None:
    terminal.face.servers = (server_view(ServerState.WAITING, "Connection refused."),)
    result = terminal.type("search", "blue")
    assert result.exit_code == Exit.UNREACHABLE
    assert "The Index: Connection refused." in result.stderr


class Connecting(FakeFace):
    """Its server is online at the third look, or never."""

    looks: int = 0
    ever: bool = True

    async def status(self) -> EngineView:
        self.looks += 1
        online = self.ever and self.looks >= 3
        self.servers = (server_view(ServerState.ONLINE if online else ServerState.CONNECTING),)
        return await super().status()


def test_a_server_that_is_being_connected_is_waited_for(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "CONNECT_LOOK_S", 0.001)
    terminal.face = Connecting(found=(result_view(1, "blue.flac"),))
    assert terminal.type("search", "blue").exit_code == 0
    monkeypatch.setattr(run_module, "CONNECT_TIMEOUT_S", 0.01)
    terminal.face = Connecting()
    terminal.face.ever = False
    assert terminal.type("search", "blue").exit_code == Exit.UNREACHABLE
