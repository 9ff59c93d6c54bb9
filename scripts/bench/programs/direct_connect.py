"""Direct Connect: two ncdc that meet on a uhub, each typed to in a terminal; between them plain or with TLS.

The sender has hashed the file and the receiver has seen the list of files before; what is timed is from the
key that starts the download until the file has its final name.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from scripts.bench.programs.processes import cpu_s, free_port, running, until, until_listening
from scripts.bench.programs.program import Group, Place, Program, Run, Tool, Transfer
from scripts.bench.programs.terminal import Terminal, in_terminal

HOST = "127.0.0.1"
ALT = "\x1b"
HUB = """
server_port={port}
server_bind_addr={host}
server_listen_backlog=50
show_banner=0
tls_enable=no
file_acl={folder}/users
file_plugins={folder}/plugins
"""


@contextmanager
def hub(place: Place) -> Iterator[int]:
    """A running uhub, as its port."""
    folder, port = place.sub("hub"), free_port()
    config = folder / "uhub.conf"
    config.write_text(HUB.format(port=port, host=HOST, folder=folder))
    for name in ("users", "plugins"):
        (folder / name).touch()
    with running(["uhub", "-c", config], place.folder / "hub.log"):
        until_listening(HOST, port)
        yield port


@contextmanager
def person(home: Path, hub_port: int, tls_policy: str) -> Iterator[Terminal]:
    """A running ncdc that is on the hub."""
    with ncdc(home) as terminal:
        for setting, value in {
            "nick": home.name,
            "active_ip": HOST,
            "local_address": HOST,
            "active_port": str(free_port()),
            "active": "true",
            "tls_policy": tls_policy,
            "sudp_policy": "disabled",
        }.items():
            terminal.type(f"/set {setting} {value}\n")
        terminal.type(f"/open bench adc://{HOST}:{hub_port}/\n")
        terminal.until_shown("Connected|joined|logged in")
        yield terminal


@contextmanager
def ncdc(home: Path) -> Iterator[Terminal]:
    with in_terminal(["ncdc", "--no-autoconnect"], {"NCDC_DIR": str(home)}) as terminal:
        terminal.until_shown("Welcome")
        yield terminal


def share(home: Path, folder: Path) -> None:
    """Shares a folder and hashes what is in it. Only once it has ended, others see the file in the list."""
    with ncdc(home) as terminal:
        terminal.type(f"/share bench {folder}\n")
        until(lambda: _hashed(home) or None, "ncdc has hashed the file", 0.1)


def _hashed(home: Path) -> bool:
    """Whether an ncdc has hashed what it shares: only its database tells."""
    with closing(sqlite3.connect(f"file:{home / 'db.sqlite3'}?mode=ro", uri=True)) as database:
        [[count]] = database.execute("SELECT count(*) FROM hashfiles").fetchall()
        return bool(count)


def over_hub(tls_policy: str) -> Callable[[Place], AbstractContextManager[Transfer]]:
    @contextmanager
    def start(place: Place) -> Iterator[Transfer]:
        sender_home, receiver_home = place.sub("sender"), place.sub("receiver")
        share(sender_home, place.shared)
        with (
            hub(place) as port,
            person(sender_home, port, tls_policy) as sender,
            person(receiver_home, port, tls_policy) as receiver,
        ):
            receiver.type("/browse sender\n")
            receiver.until_shown("/sender")  # the third tab: the list has arrived
            receiver.type(ALT + "3")
            receiver.until_shown("bench")
            target = receiver_home / "dl" / "bench" / place.source.name

            def transfer() -> Run:
                before = cpu_s(sender.pid), cpu_s(receiver.pid)
                began = time.perf_counter()
                receiver.type("d")
                until(lambda: target.exists() or None, "the file is there")
                seconds = time.perf_counter() - began
                after = cpu_s(sender.pid), cpu_s(receiver.pid)
                place.take(target)
                return Run(seconds, after[0] - before[0], after[1] - before[1])

            yield transfer

    return start


NEEDS = (Tool("ncdc", ("ncdc", "--version")), Tool("uhub", ("uhub", "-V")))
INSTALL = "apt install ncdc uhub"
PROGRAMS = (
    Program("Direct Connect, TLS", Group.VERIFIED, NEEDS, INSTALL, over_hub("prefer")),
    Program("Direct Connect, plain", Group.PLAIN, NEEDS, INSTALL, over_hub("disabled")),
)
