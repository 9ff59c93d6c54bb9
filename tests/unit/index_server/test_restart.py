"""Listening sockets that come from outside, and whether a start anew would work."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from index_server import restart
from p2pshare.errors import LocalTrouble


async def test_sockets_are_ours_only_if_they_are_meant_for_this_process() -> None:
    environment = {"LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDS": "1", "PATH": "x"}
    assert restart.inherited(environment) == []
    assert environment == {"PATH": "x"}  # programs that we start do not take them for theirs
    assert restart.inherited({}) == []


async def test_a_socket_that_was_left_to_us_goes_on_listening(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        fd = os.dup(listening.fileno())
    monkeypatch.setattr(restart, "FIRST_FD", fd)
    (listener,) = restart.inherited({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
    async with listener:
        with socket.create_connection(("127.0.0.1", port)):
            await (await listener.accept()).aclose()
        (kept,) = restart.keep([listener])
    with socket.socket(fileno=kept) as again, socket.create_connection(("127.0.0.1", port)):
        again.accept()[0].close()  # though the listener is closed


async def test_what_is_no_listening_socket_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr(restart, "FIRST_FD", reading)
    with pytest.raises(LocalTrouble, match="LISTEN_FDS"):
        restart.inherited({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
    os.close(reading)
    os.close(writing)


def test_a_program_that_could_not_start_says_why() -> None:
    fails = [sys.executable, "-c", "import sys; sys.exit('The port is no number.')"]
    assert restart.start_problem(fails) == "The port is no number."
    assert restart.start_problem(["/nowhere/at/all"]) != ""
    assert restart.start_problem([sys.executable, "-c", "pass"]) == ""


def test_it_starts_as_it_was_started() -> None:
    command = restart.own_command()
    assert command[0] == sys.executable
    assert command[1:] == sys.orig_argv[1:]
