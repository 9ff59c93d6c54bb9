"""The world of real sockets on loopback, real threads and the real clock.

Everybody lives in this process, each with a network of their own so that lines can be cut; where somebody is
to be killed, people are processes of their own, started as a person would.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import STDOUT
from typing import TypeVar, TypeVarTuple

import trio

from client.engine.control import connect_running
from client.engine.engine import open_engine
from client.engine.face import Face
from client.engine.machine import Machine
from client.engine.offload import Threads
from client.engine.profile import Profile
from client.engine.settings import Settings
from client.engine.shares.reading import Reading, hash_whole
from index_server.config import load_config
from index_server.server import DATABASE_FILE, open_server
from p2pshare.addresses import Address
from p2pshare.links import Invite, format_link
from p2pshare.transport.endpoint import Endpoint
from p2pshare.transport.network import TcpNetwork
from p2pshare.wire.fields import Role
from tests.world import Person, World, disks_that_can_be_full, nothing_goes_wrong_inside

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LOOPBACK = "127.0.0.1"
PATIENCE_S = 25.0
LOOK_PAUSE_S = 0.02
SEARCH_PAUSE_S = 0.2
HASHING = frozenset({Reading.step.__name__, hash_whole.__name__})


class Board:
    """Who has which port, and which lines are cut."""

    def __init__(self) -> None:
        self.owners: dict[int, str] = {}
        self.cut: set[frozenset[str]] = set()
        self.closed_from_outside: set[str] = set()
        self.streams: list[tuple[frozenset[str], trio.SocketStream]] = []


class LoopbackNetwork(TcpNetwork):
    """TCP on 127.0.0.1 for one of several programs in this process."""

    def __init__(self, board: Board, name: str) -> None:
        self._board = board
        self._name = name

    async def connect(self, address: Address) -> trio.SocketStream:
        owner = self._board.owners.get(address.port, "")
        line = frozenset({self._name, owner})
        if line in self._board.cut or owner in self._board.closed_from_outside - {self._name}:
            raise ConnectionRefusedError("refused by the test")
        stream = await trio.open_tcp_stream(address.host, address.port)
        self._board.streams.append((line, stream))
        return stream

    async def listen(self, host: str | None, port: int) -> Sequence[trio.SocketListener]:
        listeners = await super().listen(LOOPBACK, port)
        self._board.owners[self.port(listeners)] = self._name
        return listeners


class SlowHashing(Threads):
    """Worker threads that take their time when they hash."""

    def __init__(self, hashing_s: float) -> None:
        super().__init__()
        self._hashing_s = hashing_s

    async def run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        if self._hashing_s and getattr(work, "__name__", "") in HASHING:
            await trio.sleep(self._hashing_s)
        return await super().run(work, *args)


class SocketWorld(World):
    """Made by `socket_world`."""

    def __init__(self, home: Path, nursery: trio.Nursery, *, processes: bool) -> None:
        super().__init__(home, PATIENCE_S, LOOK_PAUSE_S, SEARCH_PAUSE_S)
        self._nursery = nursery
        self._processes = processes
        self._board = Board()
        self._running: dict[str, tuple[trio.CancelScope, trio.Event]] = {}
        self._processes_of: dict[str, trio.Process] = {}
        self._index_ports: dict[str, int] = {}

    # --- programs -------------------------------------------------------------------------------------

    async def index(self, name: str = "index") -> str:
        (self.home / name).mkdir()
        await self.restart_index(name)
        address = Address(LOOPBACK, self._index_ports[name])
        self.invites.append(format_link(Invite(self.identity(name).node_id, (address,), name)))
        return self.invites[-1]

    async def restart_index(self, name: str = "index") -> None:
        await self._run(name, self._serve, name)

    async def _start(self, person: Person, profile: Profile, settings: Settings) -> Face:
        if self._processes:
            return await self._start_process(person, profile)
        machine = Machine(
            network=LoopbackNetwork(self._board, person.name),
            offload=SlowHashing(self.hashing_s[person.name]),
        )
        face: Face = await self._run(person.name, self._engine, profile, settings, machine)
        return face

    async def _start_process(self, person: Person, profile: Profile) -> Face:
        command = [sys.executable, "-m", "client", "--profile", str(profile.folder), "serve"]
        with open(person.home / "log", "ab") as log:
            self._processes_of[person.name] = await trio.lowlevel.open_process(
                command, stdout=log, stderr=STDOUT
            )

        async def look() -> Face | None:
            return await connect_running(profile)

        return await self.until(look, f"the process of {person.name} answers")

    async def _engine(
        self,
        profile: Profile,
        settings: Settings,
        machine: Machine,
        *,
        task_status: trio.TaskStatus[Face],
    ) -> None:
        async with open_engine(profile, settings, machine=machine) as engine:
            task_status.started(engine)
            await trio.sleep_forever()

    async def _serve(self, name: str, *, task_status: trio.TaskStatus[None]) -> None:
        network = LoopbackNetwork(self._board, name)
        endpoint = Endpoint.create(self.identity(name), Role.INDEX, network=network)
        port = str(self._index_ports.get(name, 0))
        settings = {"server.announce": "false", "server.port": port, **self.index_settings()}
        config = load_config(None, {}, settings)
        async with open_server(config, endpoint, self.home / name / DATABASE_FILE) as server:
            self._index_ports[name] = server.port
            self.servers[name] = server
            task_status.started(None)
            await trio.sleep_forever()

    async def _run(self, name: str, program: Callable[..., Awaitable[None]], *arguments: object) -> object:
        scope, ended = self._running[name] = trio.CancelScope(), trio.Event()

        async def run(task_status: trio.TaskStatus[object]) -> None:
            try:
                with scope:
                    await program(*arguments, task_status=task_status)
            finally:
                ended.set()

        return await self._nursery.start(run)

    # --- faults ---------------------------------------------------------------------------------------

    async def kill(self, name: str) -> None:
        if name not in self._processes_of:  # an index server: its connections break without a word
            self._break_lines(lambda line: name in line)
            await self.leave(name)
            return
        process = self._processes_of.pop(name)
        process.kill()
        await process.wait()
        self.people[name].face = None  # type: ignore[assignment]

    async def leave(self, name: str) -> None:
        if name in self._processes_of:
            await self.people[name].face.stop()
            await self._processes_of.pop(name).wait()
        else:
            scope, ended = self._running.pop(name)
            scope.cancel()
            await ended.wait()
        if name in self.people:
            self.people[name].face = None  # type: ignore[assignment]

    def cut(self, one: str, other: str) -> None:
        line = frozenset({one, other})
        self._board.cut.add(line)
        self._break_lines(lambda each: each == line)

    def mend(self, one: str, other: str) -> None:
        self._board.cut.discard(frozenset({one, other}))

    def close_from_outside(self, name: str) -> None:
        self._board.closed_from_outside.add(name)

    async def connect_here(self, name: str, port: int) -> trio.SocketStream:
        return await trio.open_tcp_stream(LOOPBACK, port)

    def _break_lines(self, wanted: Callable[[frozenset[str]], bool]) -> None:
        for line, stream in self._board.streams:
            if wanted(line) and stream.socket.fileno() >= 0:
                try:
                    stream.socket.shutdown(trio.socket.SHUT_RDWR)
                except OSError:
                    pass  # it is closed at the other end already

    # --- at the end -----------------------------------------------------------------------------------

    async def close(self) -> None:
        """Everybody leaves, and nothing may be left."""
        await self.check_people()
        for name in [*reversed(list(self._processes_of)), *reversed(list(self._running))]:
            await self.leave(name)
        assert [line for line, stream in self._board.streams if stream.socket.fileno() >= 0] == []
        self.check_disks()

    async def end_processes(self) -> None:
        """Those that are left after something went wrong."""
        for process in self._processes_of.values():
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()

    def logs(self) -> str:
        """What processes wrote, and how those ended that should not have."""
        files = [self.home / name / "log" for name in self.people]
        texts = [f"{file}:\n{file.read_text()}" for file in files if file.exists()]
        ended = [
            f"{name} ended by itself with {process.poll()}"
            for name, process in self._processes_of.items()
            if process.poll() is not None
        ]
        return "\n".join([*texts, *ended])


@asynccontextmanager
async def socket_world(home: Path, *, processes: bool = False) -> AsyncIterator[SocketWorld]:
    """A world whose checks run on leaving it."""
    async with trio.open_nursery() as nursery:
        world = SocketWorld(home, nursery, processes=processes)
        try:
            with disks_that_can_be_full(world), nothing_goes_wrong_inside():
                yield world
                await world.close()
        except BaseException as error:
            error.add_note(world.logs())
            raise
        finally:
            await world.end_processes()
        nursery.cancel_scope.cancel()
