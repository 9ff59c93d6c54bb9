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


@contextmanager
def sshd(place: Place) -> Iterator[Server]:
    folder, log, port = place.sub("ssh"), place.folder / "sshd.log", free_port()
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


def over_ssh(
    command: Callable[[Server, str, Path], list[str]],
) -> Callable[[Place], AbstractContextManager[Transfer]]:
    """`command` makes the arguments from the server, what to fetch from there and where to put it."""

    @contextmanager
    def start(place: Place) -> Iterator[Transfer]:
        with sshd(place) as server:
            target = place.folder / "arrived"
            there = f"{getpass.getuser()}@127.0.0.1:{place.source}"

            def alone() -> bool | None:
                return family(server.pid) == [server.pid] or None

            def transfer() -> Run:
                until(alone, "the last session has ended")
                before = cpu_s(server.pid)
                ended = run_to_end(command(server, there, target), place.folder / "client.log")
                until(alone, "the session has ended")
                sender = cpu_s(server.pid) - before
                place.take(target)
                return Run(ended.seconds, sender, ended.cpu_s)

            yield transfer

    return start


def _rsync(server: Server, there: str, target: Path) -> list[str]:
    shell = " ".join(["ssh", "-p", str(server.port), *server.options])
    return ["rsync", "--whole-file", "-e", shell, there, str(target)]


def _scp(server: Server, there: str, target: Path) -> list[str]:
    return ["scp", "-q", "-P", str(server.port), *server.options, there, str(target)]


PROGRAMS = (
    Program("rsync over ssh", Group.VERIFIED, (RSYNC, SSH, SSHD), INSTALL, over_ssh(_rsync)),
    Program("scp", Group.ENCRYPTED, (SSH, SSHD), INSTALL, over_ssh(_scp)),
)
