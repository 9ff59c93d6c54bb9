"""rsync and scp over ssh, with a server of our own and AES-GCM, the fastest cipher there.

Timed from the start of the command to its end, so logging in is part of it.
"""

from __future__ import annotations

import getpass
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.bench.programs.processes import (
    cpu_s,
    family,
    free_port,
    run_to_end,
    running,
    search_path,
    until,
    until_listening,
)
from scripts.bench.programs.program import Group, Place, Program, Run, Tool, Transfer

SSH = Tool("OpenSSH", ("ssh", "-V"))
SSHD = Tool("sshd", ("sshd", "-V"))
RSYNC = Tool("rsync", ("rsync", "--version"))
INSTALL = "apt install openssh-server openssh-client rsync"
PRIVILEGES = Path("/run/sshd")  # the server of a system insists on this empty folder
CONFIG = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class Server:
    """A running sshd."""

    pid: int
    port: int
    options: tuple[str, ...]  # of ssh and scp

    @property
    def shell(self) -> str:
        """The command with which rsync logs in."""
        return " ".join(["ssh", "-p", str(self.port), *self.options])


@contextmanager
def sshd(parent: Path) -> Iterator[Server]:
    """A running one. Its keys lie in a new folder in this one."""
    folder, log, port = parent / "ssh", parent / "sshd.log", free_port()
    folder.mkdir()
    for key in ("host", "user"):
        run_to_end(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], log)
    (folder / "config").write_text(CONFIG.format(folder=folder, port=port))
    program = shutil.which("sshd", path=search_path())
    assert program is not None  # it insists on being called by its whole path
    options = (
        *("-F", "/dev/null", "-i", str(folder / "user"), "-c", "aes128-gcm@openssh.com"),
        *("-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder}/known"),
        *("-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes"),
    )
    with ExitStack() as made:
        if os.geteuid() == 0 and not PRIVILEGES.exists():
            PRIVILEGES.mkdir(mode=0o755)
            made.callback(PRIVILEGES.rmdir)
        with running([program, "-D", "-e", "-f", folder / "config"], log) as process:
            until_listening("127.0.0.1", port)
            yield Server(process.pid, port, options)


def timed(server: Server, command: list[str], log: Path) -> Run:
    """Runs a command that logs in there."""

    def alone() -> bool | None:
        return family(server.pid) == [server.pid] or None

    until(alone, "the last session has ended")
    before = cpu_s(server.pid)
    ended = run_to_end(command, log)
    until(alone, "the session has ended")
    return Run(ended.seconds, cpu_s(server.pid) - before, ended.cpu_s)


def over_ssh(
    command: Callable[[Server, str, Path], list[str]],
) -> Callable[[Place], AbstractContextManager[Transfer]]:
    """`command` makes the arguments from the server, what to fetch from there and where to put it."""

    @contextmanager
    def start(place: Place) -> Iterator[Transfer]:
        with sshd(place.folder) as server:
            target = place.folder / "arrived"
            there = f"{getpass.getuser()}@127.0.0.1:{place.source}"

            def transfer() -> Run:
                run = timed(server, command(server, there, target), place.folder / "client.log")
                place.take(target)
                return run

            yield transfer

    return start


def _rsync(server: Server, there: str, target: Path) -> list[str]:
    return ["rsync", "--whole-file", "-e", server.shell, there, str(target)]


def _scp(server: Server, there: str, target: Path) -> list[str]:
    return ["scp", "-q", "-P", str(server.port), *server.options, there, str(target)]


PROGRAMS = (
    Program("rsync over ssh", Group.VERIFIED, (RSYNC, SSH, SSHD), INSTALL, over_ssh(_rsync)),
    Program("scp", Group.ENCRYPTED, (SSH, SSHD), INSTALL, over_ssh(_scp)),
)
