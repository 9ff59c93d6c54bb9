"""This project's own program, as people run it: `p2pshare-index` and two times `p2pshare serve`.

What is timed is the download that `p2pshare get` starts, from the request to the final name: looked up at the
index server, connected, encrypted, every piece verified, written, synced.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import trio

from client.engine.control import connect_running
from client.engine.face import Face
from client.engine.profile import Profile, create_profile
from client.engine.settings import Settings
from client.engine.status import DownloadState, DownloadView
from p2pshare.errors import LocalTrouble
from scripts.bench.programs.processes import cpu_s, running, until
from scripts.bench.programs.program import Group, Place, Program, Run, Transfer

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[3]
NAME = "p2pshare"
STALLED_S = 60.0
WATCH_PAUSE_S = 0.25  # rarely: who asks is served by the process that is measured


@dataclass(frozen=True)
class Person:
    """A running `p2pshare serve`."""

    face: Face
    pid: int
    profile: Profile

    def ask(self, call: Callable[[Face], Awaitable[T]]) -> T:
        """The answer to one call from this process, which has no loop of its own running."""

        async def asking() -> T:
            return await call(self.face)

        return trio.run(asking)


@contextmanager
def index(folder: Path, host: str = "127.0.0.1") -> Iterator[str]:
    """A running index server, as the invite to it."""
    command = [
        *(sys.executable, "-m", "index_server", "--server-data", folder / "index", "--server-hosts", host),
        *("--server-port", "0", "--server-announce", "false", "--log-level", "error"),
    ]
    log = folder / "index.log"
    with running(command, log, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        invites = (re.search(r"p2pshare:join\?[^' ]+", line) for line in process.stdout)
        yield next(found[0] for found in invites if found)


@contextmanager
def person(folder: Path, name: str, invite: str, *, shares_onward: bool = False) -> Iterator[Person]:
    """Somebody who shares nothing yet. What they download lands in `folder/name/downloads`."""
    profile = Profile(folder / name)
    settings = Settings(nick=name, servers=(invite,), lan=False, share_downloads=shares_onward)
    if not profile.exists():
        create_profile(profile, settings)
    command = [sys.executable, "-m", "client", "--profile", profile.folder, "serve"]
    with running(command, folder / f"{name}.log", env={"PYTHONPATH": str(ROOT)}) as process:
        face = until(lambda: trio.run(connect_running, profile), f"{name} answers")
        yield Person(face, process.pid, profile)


def share(sharer: Person, file: Path) -> str:
    """Shares the folder of a file. The link to the file, once it is hashed."""
    sharer.ask(lambda face: face.add_share(str(file.parent)))
    return sharer.ask(lambda face: face.link(str(file)))


def until_found(seeker: Person, name: str) -> None:
    """Waits until somebody finds a file of this name with its hash: it is searchable before it is hashed."""

    def look() -> bool | None:
        try:
            found = seeker.ask(lambda face: face.search(name)).results
        except LocalTrouble:  # not online yet
            return None
        return any(each.file is not None for each in found) or None

    until(look, f"{name} is found", 0.1)


async def fetch(face: Face, link: str) -> DownloadView:
    """The complete download. Raises ChildProcessError: it failed, or nothing of it came for long."""
    [begun] = await face.get(link)
    done, since = 0, trio.current_time()
    while True:
        [view] = [view for view in await face.downloads() if view.id == begun.id]
        if view.state is DownloadState.COMPLETE:
            return view
        if view.done_bytes > done:
            done, since = view.done_bytes, trio.current_time()
        if (
            view.state in (DownloadState.FAILED, DownloadState.STUCK)
            or trio.current_time() > since + STALLED_S
        ):
            raise ChildProcessError(f"The download does not go on: {view}")
        await trio.sleep(WATCH_PAUSE_S)


def seconds_taken(view: DownloadView) -> float:
    """From the request to the final name, by the clock of the program itself."""
    assert view.finished_at is not None
    return view.finished_at - view.added_at


@contextmanager
def start(place: Place) -> Iterator[Transfer]:
    with (
        index(place.folder) as invite,
        person(place.folder, "sender", invite) as sender,
        person(place.folder, "receiver", invite) as receiver,
    ):
        link = share(sender, place.source)
        until_found(receiver, place.source.stem)

        def transfer() -> Run:
            before = cpu_s(sender.pid), cpu_s(receiver.pid)
            view = receiver.ask(lambda face: fetch(face, link))
            after = cpu_s(sender.pid), cpu_s(receiver.pid)
            place.take(Path(view.target))
            receiver.ask(lambda face: face.clear())
            return Run(seconds_taken(view), after[0] - before[0], after[1] - before[1])

        yield transfer


PROGRAM = Program(NAME, Group.VERIFIED, (), "", start)
