"""A world: an index server and people with real engines. A scenario is told once and runs in every world.

    async def two_share_one_fetches(world: World) -> None:
        await world.index()
        bob = await world.person("bob", {"music/blue.flac": music})
        alice = await world.person("alice")
        found = await alice.finds("blue")
        view = await alice.fetches(found)

`tests/sim/world.py` makes one of simulated lines and virtual time, `tests/sockets/world.py` one of loopback
sockets, threads and the real clock. Leaving a world checks what must hold whatever happened in it.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import random
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import structlog
import trio

from client.engine.beneath import Stamp
from client.engine.downloads import whole_files
from client.engine.downloads.folder import CAN_WORK_RELATIVE, Folder, PathFolder, RelativeFolder
from client.engine.downloads.part import Part
from client.engine.face import Face
from client.engine.profile import Profile
from client.engine.search_view import SearchView
from client.engine.settings import Settings, load_settings, save_settings
from client.engine.status import DownloadState, DownloadView, ResultView, ServerState
from index_server.server import IndexServer
from p2pshare.database import Database
from p2pshare.errors import LocalTrouble, Refused
from p2pshare.hashing import FileHasher, format_file_id
from p2pshare.identity import Identity, format_node_id, save_identity

T = TypeVar("T")

FIRST_SHARED_AT = 1_700_000_000  # when files were last modified, in Unix seconds
OWNER = "olivia"
UNIX_START = 1_800_000_000
BAD_ENDS = (DownloadState.FAILED, DownloadState.CANCELLED)


class Kind(Enum):
    """What a scenario needs of a world."""

    ANY = "everybody may live in this process"
    KILLS = "somebody is killed, so on real sockets everybody is a process"
    SIMULATED = "takes minutes, or faults that only simulated lines have"


Scenario = Callable[["World"], Awaitable[None]]
SCENARIOS: dict[str, tuple[Scenario, Kind]] = {}
"""By name, in the order they were written."""


def scenario(kind: Kind = Kind.ANY) -> Callable[[Scenario], Scenario]:
    """Adds a scenario to those that are run in every world that can run it."""

    def add(told: Scenario) -> Scenario:
        SCENARIOS[told.__name__] = (told, kind)
        return told

    return add


def content(name: str, size: int) -> bytes:
    """Bytes that no other name has."""
    return random.Random(name).randbytes(size)


def file_id_of(data: bytes) -> str:
    hasher = FileHasher(len(data))
    hasher.update(data)
    return format_file_id(hasher.finish().file_id)


def check_complete(view: DownloadView) -> None:
    """A download is complete, and on the disk as it should be."""
    assert view.state is DownloadState.COMPLETE, f"{view.name} is {view.state}: {view.problem}"
    data = Path(view.target).read_bytes()
    assert view.file == file_id_of(data), f"{view.target} is not what was asked for"
    assert (view.size, view.done_bytes) == (len(data), len(data))


@dataclass
class Person:
    """Somebody with an engine. `face` is that of the running one, so it changes with a restart."""

    world: World
    name: str
    home: Path
    face: Face

    @property
    def downloads(self) -> Path:
        return self.home / "profile" / "downloads"

    def shared(self, path: str) -> Path:
        """A file of theirs on the disk, by its path as `shares` named it."""
        return self.home / path

    async def finds(
        self, query: str, *, sources: int = 1, of: Collection[str] = (), hashed: bool = True
    ) -> ResultView:
        """The best result, once it is there with so many sources, those named among them (and a file id)."""

        async def look() -> ResultView | None:
            try:
                found: SearchView = await self.face.search(query)
            except (LocalTrouble, Refused):
                return None
            for result in found.results:
                nicks = {source.nick for source in result.sources}
                if len(nicks) >= sources and nicks >= set(of) and (result.file is not None) == hashed:
                    return result
            return None

        what = f"{self.name} finds {query!r} with {sources} sources {', '.join(of)}"
        return await self.world.until(look, what, self.world.search_pause_s)

    async def begins(self, what: ResultView | str, target: str | None = None) -> DownloadView:
        """Start a download of one file."""
        (view,) = await self.face.get(str(what.number) if isinstance(what, ResultView) else what, target)
        return view

    async def view(self, number: int) -> DownloadView:
        return next(view for view in await self.views() if view.id == number)

    async def views(self) -> tuple[DownloadView, ...]:
        """Of all downloads, folders and the files in them."""
        views = await self.face.downloads()
        for folder in [view.id for view in views if view.files]:
            views += await self.face.downloads_in(folder)
        return views

    async def sees(self, number: int, wanted: Callable[[DownloadView], bool], what: str) -> DownloadView:
        """The download as soon as it is as wanted."""

        async def look() -> DownloadView | None:
            view = await self.view(number)
            if view.state in BAD_ENDS and not wanted(view):
                raise AssertionError(f"{self.name}: {view.name} is {view.state}: {view.problem}")
            return view if wanted(view) else None

        return await self.world.until(look, f"{self.name} sees {what}")

    async def half_way(self, number: int, part: float = 0.5) -> DownloadView:
        return await self.sees(
            number, lambda view: view.done_bytes >= view.size * part, f"download {number} half way"
        )

    async def finished(self, number: int) -> DownloadView:
        """Complete, and on the disk as it should be."""
        view = await self.sees(
            number, lambda view: view.state is DownloadState.COMPLETE, f"download {number} complete"
        )
        check_complete(view)
        return view

    async def finished_folder(self, number: int) -> DownloadView:
        """All of a folder complete, and on the disk as it should be."""
        whole = await self.sees(
            number, lambda view: view.state is DownloadState.COMPLETE, f"folder {number} complete"
        )
        views = await self.face.downloads_in(number)
        assert (whole.files, whole.files_done) == (len(views), len(views))
        for view in views:
            check_complete(view)
        return whole

    async def fetches(self, what: ResultView | str, target: str | None = None) -> DownloadView:
        """Download one file, from beginning to end."""
        return await self.finished((await self.begins(what, target)).id)

    def spoil(self, path: str, first: int = 0) -> None:
        """Change a shared file from some byte on so that nobody notices: as a failing disk does."""
        place = self.shared(path)
        status = place.stat()
        with open(place, "r+b") as file:
            file.seek(first)
            file.write(content(f"rotten {self.name}", status.st_size - first))
        self.remove_traces(path, status)

    def remove_traces(self, path: str, before: os.stat_result) -> None:
        """Of writing to a shared file that was as `before`. One is left which no program can remove, but a
        failing disk does not leave: the library is made to know the file so."""
        place = self.shared(path)
        os.utime(place, ns=(before.st_mtime_ns, before.st_mtime_ns))
        old, new = Stamp.of(before).identity, Stamp.of(place.stat()).identity
        with closing(sqlite3.connect(Profile(self.home / "profile").library_file)) as library, library:
            library.execute("UPDATE file SET identity = ? WHERE identity = ?", (new, old))
            library.execute("UPDATE hash_cache SET identity = ?, settled = 1 WHERE identity = ?", (new, old))


@dataclass
class World(ABC):
    """What scenarios use. Times in seconds of the world's own clock."""

    home: Path
    patience_s: float = 600.0
    look_pause_s: float = 0.1
    search_pause_s: float = 0.5
    invites: list[str] = field(default_factory=list)
    people: dict[str, Person] = field(default_factory=dict)
    servers: dict[str, IndexServer] = field(default_factory=dict)
    """The index servers that run, for what only their operators do."""
    hashing_s: dict[str, float] = field(default_factory=dict)
    server_settings: dict[str, str] = field(default_factory=dict)
    """Settings of index servers that start from now on."""
    full_disks: set[str] = field(default_factory=set)
    """Names of people on whose disks nothing more fits."""
    full_libraries: set[str] = field(default_factory=set)
    """Names of people on whose disk the library lies that nothing more fits on."""
    contents: dict[str, str] = field(
        default_factory=dict
    )  # SHA-256 of everything that was ever shared -> name

    # --- what is in it --------------------------------------------------------------------------------

    @abstractmethod
    async def index(self, name: str = "index") -> str:
        """Start an index server; returns its invite. Those who come into the world later use it."""

    async def person(
        self,
        name: str,
        shares: Mapping[str, bytes] | None = None,
        *,
        online: bool = True,
        hashing_s: float = 0.0,
        **settings: Any,
    ) -> Person:
        """Somebody new. `shares` are files by path; their top folders are shared. `settings` as in
        `settings.toml`. Hashing a file takes `hashing_s`."""
        self.hashing_s[name] = hashing_s
        home = self.home / name
        person = Person(self, name, home, face=None)  # type: ignore[arg-type]
        chosen = Settings(**{"nick": name, "servers": tuple(self.invites), "lan": False, **settings})
        profile = Profile(home / "profile")
        profile.folder.mkdir(parents=True)
        save_identity(profile.identity_file, self.identity(name), None)
        save_settings(profile.settings_file, chosen)
        self.people[name] = person
        self.write(person, shares or {})
        person.face = await self._start(person, profile, chosen)
        for folder in dict.fromkeys(path.partition("/")[0] for path in shares or {}):
            await person.face.add_share(str(home / folder))
        if online and self.invites:
            await self.online(person)
        return person

    def index_settings(self) -> dict[str, str]:
        """What every index server is started with. Whoever is called OWNER owns it."""
        return {"rules.owners": format_node_id(self.identity(OWNER).node_id), **self.server_settings}

    def identity(self, name: str) -> Identity:
        return Identity.from_seed(hashlib.sha256(name.encode()).digest())

    def write(self, person: Person, files: Mapping[str, bytes]) -> None:
        """Put files on somebody's disk, as if they had lain there for long."""
        for path, data in files.items():
            place = person.shared(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
            os.utime(place, (FIRST_SHARED_AT, FIRST_SHARED_AT))
            self.contents[self.digest(data)] = path

    def digest(self, data: bytes) -> str:
        """As in `contents`."""
        return hashlib.sha256(data).hexdigest()

    async def online(self, person: Person) -> None:
        """Wait until they are logged in everywhere."""

        async def look() -> bool:
            servers = (await person.face.status()).servers
            return all(server.state is ServerState.ONLINE for server in servers)

        await self.until(look, f"{person.name} is online")

    @abstractmethod
    async def _start(self, person: Person, profile: Profile, settings: Settings) -> Face:
        """Run an engine on a profile that exists."""

    # --- what happens to it ---------------------------------------------------------------------------

    @abstractmethod
    async def kill(self, name: str) -> None:
        """End a person's engine, or an index server, as if by `kill -9`."""

    @abstractmethod
    async def leave(self, name: str) -> None:
        """End it in good order."""

    async def restart(self, name: str) -> Person:
        """Start a person's engine again where it stopped."""
        person = self.people[name]
        profile = Profile(person.home / "profile")
        person.face = await self._start(person, profile, load_settings(profile.settings_file))
        return person

    @abstractmethod
    async def restart_index(self, name: str = "index") -> None:
        """Start an index server again, at the same address."""

    @abstractmethod
    def cut(self, one: str, other: str) -> None:
        """No connection between the two, until `mend`."""

    @abstractmethod
    def mend(self, one: str, other: str) -> None: ...

    @abstractmethod
    def close_from_outside(self, name: str) -> None:
        """From now on nobody can connect to them; they can connect to others."""

    @abstractmethod
    async def connect_here(self, name: str, port: int) -> trio.abc.Stream:
        """From another program on the machine of that person."""

    def silence(self, one: str, other: str) -> None:
        """Nothing gets through between the two and nobody is told, until `mend`. In simulations only."""
        raise NotImplementedError

    def turn_clock(self, name: str, seconds: float) -> None:
        """The clock of somebody's machine is set forward, or back. In simulations only."""
        raise NotImplementedError

    @property
    def attempts(self) -> list[tuple[str, str, float]]:
        """(who, whom, when) of every attempt to connect. In simulations only."""
        raise NotImplementedError

    @property
    def chance(self) -> random.Random:
        """What follows from the seed. In simulations only."""
        raise NotImplementedError

    def runs(self, name: str) -> bool:
        """Whether the program of a person, or an index server, runs. In simulations only."""
        raise NotImplementedError

    # --- time -----------------------------------------------------------------------------------------

    async def pass_time(self, seconds: float) -> None:
        await trio.sleep(seconds)

    async def until(
        self, look: Callable[[], Awaitable[T | None]], what: str, pause_s: float | None = None
    ) -> T:
        """What `look` returns, as soon as that is not false."""
        with trio.move_on_after(self.patience_s):
            while not (seen := await look()):  # noqa: ASYNC110  # views come from other processes, too
                await trio.sleep(pause_s or self.look_pause_s)
            return seen
        raise AssertionError(f"{what}: not within {self.patience_s:.0f} s")

    # --- what must hold at the end --------------------------------------------------------------------

    def check_disks(self) -> None:
        """Nothing under a final name that nobody ever shared, whatever happened."""
        for person in self.people.values():
            for path in person.downloads.rglob("*"):
                if path.is_file() and path.suffix != ".part":
                    digest = self.digest(path.read_bytes())
                    assert digest in self.contents, f"{path} is no file that anybody shares"

    async def check_people(self) -> None:
        """What people are told is what is there."""
        for person in self.people.values():
            if person.face is None:
                continue  # they left
            for view in await person.views():
                if view.state is DownloadState.COMPLETE and Path(view.target).is_file():
                    assert file_id_of(Path(view.target).read_bytes()) == view.file
                elif view.state is DownloadState.CANCELLED:
                    assert not list(Path(view.target).parent.glob(f"{Path(view.target).name}*.part"))


WorkingFolder = RelativeFolder if CAN_WORK_RELATIVE else PathFolder


@contextmanager
def disks_that_can_be_full(world: World) -> Iterator[None]:
    """The disks of `world.full_disks` and `world.full_libraries` take nothing, as long as the block lasts."""
    free_bytes, write_once = WorkingFolder.free_bytes, Part._write_once

    def is_full(path: str) -> bool:
        return any(Path(path).is_relative_to(world.home / name) for name in world.full_disks)

    def free(self: RelativeFolder | PathFolder) -> int:
        return 0 if is_full(self.path) else free_bytes(self)

    def write(self: Part, fd: int, offset: int, views: list[memoryview]) -> int:
        if is_full(self._folder.path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_once(self, fd, offset, views)

    run_write = Database.write

    async def write_row(self: Database, *arguments: Any, **named: Any) -> Any:
        if any(Path(self.path).is_relative_to(world.home / name) for name in world.full_libraries):
            raise LocalTrouble(f"The disk that holds {self.path} is full.")
        return await run_write(self, *arguments, **named)

    def write_whole(folder: Folder, fd: int, data: memoryview) -> int:
        if is_full(folder.path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(fd, data)

    WorkingFolder.free_bytes, Part._write_once = free, write  # type: ignore[method-assign]
    write_whole_once, whole_files.write_once = whole_files.write_once, write_whole
    Database.write = write_row  # type: ignore[method-assign]
    try:
        yield
    finally:
        Database.write = run_write  # type: ignore[method-assign]
        WorkingFolder.free_bytes, Part._write_once = free_bytes, write_once  # type: ignore[method-assign]
        whole_files.write_once = write_whole_once


@contextmanager
def nothing_goes_wrong_inside() -> Iterator[None]:
    """Fails if a program logged a mistake of its own: those are caught far down, so that others go on."""
    mistakes: list[str] = []

    class Listen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            mistakes.append(self.format(record))

    handler = Listen(logging.ERROR)
    logging.getLogger().addHandler(handler)
    try:
        with structlog.testing.capture_logs() as entries:
            yield
    finally:
        logging.getLogger().removeHandler(handler)
    mistakes += [str(entry) for entry in entries if entry["log_level"] in ("error", "critical")]
    assert mistakes == []
