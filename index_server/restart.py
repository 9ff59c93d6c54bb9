"""Starting anew without closing the port: a hot restart, for another version or other settings.

On SIGHUP the server stops as usual, except that it keeps its listening sockets, and replaces itself by the
program on disk, started the same way. Whoever connects meanwhile waits in the queue of the system. Sockets
are passed on as systemd does it (LISTEN_FDS), so they can also come from a systemd socket unit.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterable, MutableMapping, Sequence
from typing import NoReturn

import trio

from p2pshare.errors import LocalTrouble

FIRST_FD = 3  # where systemd, and so we, put them
CHECK_WITHIN_S = 30


def inherited(environment: MutableMapping[str, str]) -> list[trio.SocketListener]:
    """The listening sockets that whoever started us left us; none usually. Raises `LocalTrouble`."""
    pid, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "0")
    if pid != str(os.getpid()):
        return []
    listeners = []
    for fd in range(FIRST_FD, FIRST_FD + int(count)):
        os.set_inheritable(fd, False)
        try:
            listeners.append(trio.SocketListener(trio.socket.from_stdlib_socket(socket.socket(fileno=fd))))
        except (OSError, ValueError) as error:
            raise LocalTrouble(f"Descriptor {fd}, left to us by LISTEN_FDS, is of no use: {error}.") from None
    return listeners


def keep(listeners: Iterable[trio.abc.Listener[trio.abc.Stream]]) -> list[int]:
    """Descriptors that stay open when the listeners are closed."""
    return [os.dup(one.socket.fileno()) for one in listeners if isinstance(one, trio.SocketListener)]


def start_problem(command: Sequence[str]) -> str:
    """Why this program could not be started anew with its settings as they are now; empty if it could."""
    try:
        checked = subprocess.run(
            [*command, "--check"], capture_output=True, text=True, timeout=CHECK_WITHIN_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if checked.returncode == 0 else checked.stderr.strip() or f"exit code {checked.returncode}"


def own_command() -> list[str]:
    """What starts this program as it was started."""
    return [sys.executable, *sys.orig_argv[1:]]


def start_anew(kept: Sequence[int]) -> NoReturn:
    """Become the program on disk, in the same process. Everything else must be closed and written by now."""
    import fcntl  # Windows has none, and no signal that leads here

    above = FIRST_FD + len(kept)  # first out of the way of where they go
    for place, fd in enumerate([fcntl.fcntl(fd, fcntl.F_DUPFD, above) for fd in kept], start=FIRST_FD):
        os.dup2(fd, place, inheritable=True)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(kept)))
    os.execv(sys.executable, own_command())
