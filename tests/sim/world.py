"""The world of simulations: real engines and real index servers, but lines, clock and chance are made up.

What is not real: sockets, time, randomness, threads. What is: everything else, the disk included.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import trio

from client.engine.engine import open_engine
from client.engine.face import Face
from client.engine.machine import Machine
from client.engine.offload import Inline
from client.engine.profile import Profile
from client.engine.settings import Settings
from client.engine.shares.reading import Reading, hash_whole
from index_server.config import load_config
from index_server.server import DATABASE_FILE, open_server
from p2pshare import limits
from p2pshare.addresses import Address
from p2pshare.identity import NodeId
from p2pshare.links import Invite, format_link
from p2pshare.transport.endpoint import Endpoint
from p2pshare.wire.fields import Role
from tests.conversation import Conversation, overheard
from tests.sim.crash import Remembered
from tests.sim.network import SimInternet
from tests.sim.scheduler import simulate
from tests.world import (
    UNIX_START,
    Person,
    Scenario,
    World,
    disks_that_can_be_full,
    nothing_goes_wrong_inside,
)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MEMORY = Path("/dev/shm")  # syncing a file costs nothing there
LINE_BYTES_PER_S = 4 * limits.MIB
HASHING = frozenset({Reading.step.__name__, hash_whole.__name__})
INDEX_PORT = 4747
SETTINGS = {"server.announce": "false", "server.port": str(INDEX_PORT)}


class SimOffload(Inline):
    """Work is done at once, but hashing is made to take its time."""

    def __init__(self, hashing_s: float) -> None:
        self._hashing_s = hashing_s

    async def run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        if self._hashing_s and getattr(work, "__name__", "") in HASHING:
            await trio.sleep(self._hashing_s)
        return await super().run(work, *args)


class _Running:
    """A program of the world."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.ended = trio.Event()


class SimWorld(World):
    """Made by `sim_world`."""

    def __init__(
        self, home: Path, chance: random.Random, internet: SimInternet, nursery: trio.Nursery
    ) -> None:
        super().__init__(home)
        self._chance = chance
        self.internet = internet
        self.clock_skew_s: dict[str, float] = {}
        """By how much people's clocks are wrong, by name."""
        self._nursery = nursery
        self._running: dict[str, _Running] = {}

    # --- programs -------------------------------------------------------------------------------------

    async def index(self, name: str = "index") -> str:
        network = self.internet.host(name)
        (self.home / name).mkdir()
        await self._run(name, self._serve, name)
        address = Address(network.address, INDEX_PORT)
        self.invites.append(format_link(Invite(self.identity(name).node_id, (address,), name)))
        return self.invites[-1]

    async def restart_index(self, name: str = "index") -> None:
        await self._run(name, self._serve, name)

    async def _start(self, person: Person, profile: Profile, settings: Settings) -> Face:
        if person.name not in self.internet.hosts:
            self.internet.host(person.name, up=LINE_BYTES_PER_S, down=LINE_BYTES_PER_S)
        face: Face = await self._run(person.name, self._engine, profile, settings, self._machine(person.name))
        return face

    def _machine(self, name: str) -> Machine:
        chance = random.Random(self._chance.random())
        return Machine(
            network=self.internet.hosts[name],
            offload=SimOffload(self.hashing_s[name]),
            database_threads=False,
            watch_folders=False,
            random_bytes=chance.randbytes,
            chance=chance,
            unix_now=self._clock_of(name),
            local_time=lambda at: datetime.fromtimestamp(at, UTC).replace(tzinfo=None),
        )

    def _clock_of(self, name: str) -> Callable[[], float]:
        return lambda: unix_now() + self.clock_skew_s.get(name, 0.0)

    async def _engine(
        self,
        running: _Running,
        profile: Profile,
        settings: Settings,
        machine: Machine,
        *,
        task_status: trio.TaskStatus[Face],
    ) -> None:
        with running.scope:
            async with open_engine(profile, settings, machine=machine) as engine:
                task_status.started(engine)
                await trio.sleep_forever()

    async def _serve(self, running: _Running, name: str, *, task_status: trio.TaskStatus[None]) -> None:
        chance = random.Random(self._chance.random())
        endpoint = Endpoint.create(
            self.identity(name), Role.INDEX, network=self.internet.hosts[name], random_bytes=chance.randbytes
        )
        config = load_config(None, {}, {**SETTINGS, **self.index_settings()})
        file = self.home / name / DATABASE_FILE
        with running.scope:
            clock = self._clock_of(name)
            async with open_server(config, endpoint, file, threads=False, unix_now=clock) as server:
                self.servers[name] = server
                task_status.started(None)
                await trio.sleep_forever()

    async def _run(self, name: str, program: Callable[..., Awaitable[None]], *arguments: object) -> object:
        running = self._running[name] = _Running()

        async def run(task_status: trio.TaskStatus[object]) -> None:
            try:
                await program(running, *arguments, task_status=task_status)
            finally:
                running.ended.set()

        return await self._nursery.start(run)

    # --- faults ---------------------------------------------------------------------------------------

    async def kill(self, name: str) -> None:
        disk = Remembered(self.home / name)
        self.internet.hosts[name].crash()
        await self.leave(name)
        disk.put_back()

    async def leave(self, name: str) -> None:
        running = self._running.pop(name)
        running.scope.cancel()
        await running.ended.wait()
        if name in self.people:
            self.people[name].face = None  # type: ignore[assignment]

    def cut(self, one: str, other: str) -> None:
        self.internet.cut(one, other)

    def mend(self, one: str, other: str) -> None:
        self.internet.mend(one, other)

    def close_from_outside(self, name: str) -> None:
        self.internet.closed_from_outside.add(name)

    @property
    def chance(self) -> random.Random:
        return self._chance

    def runs(self, name: str) -> bool:
        return name in self._running

    @property
    def attempts(self) -> list[tuple[str, str, float]]:
        return self.internet.attempts

    def turn_clock(self, name: str, seconds: float) -> None:
        self.clock_skew_s[name] = self.clock_skew_s.get(name, 0.0) + seconds

    async def connect_here(self, name: str, port: int) -> trio.abc.Stream:
        network = self.internet.hosts[name]
        return await network.connect(Address(network.address, port))

    def silence(self, one: str, other: str) -> None:
        self.internet.silence(one, other)

    # --- at the end -----------------------------------------------------------------------------------

    async def close(self) -> None:
        """Everybody leaves, and nothing may be left."""
        await self.check_people()
        for name in reversed(list(self._running)):
            await self.leave(name)
        await trio.sleep(2 * limits.SILENT_AFTER_S)
        left = {name: list(host.streams) for name, host in self.internet.hosts.items() if host.streams}
        assert left == {}, "connections are left over"
        assert not any(host.listeners for host in self.internet.hosts.values()), "ports are left open"
        self.check_disks()

    def names(self) -> dict[NodeId, str]:
        return {self.identity(name).node_id: name for name in self.internet.hosts}


def unix_now() -> float:
    return UNIX_START + trio.current_time()


def run_scenario(scenario: Scenario, seed: int) -> Conversation:
    """Run it in a simulated world. What goes wrong comes with the seed and the last words that were said."""
    told: list[str] = []
    with (
        overheard() as conversation,
        tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as home,
    ):

        async def supervised(chance: random.Random) -> None:
            async with SimInternet(chance) as internet, trio.open_nursery() as nursery:
                world = SimWorld(Path(home), chance, internet, nursery)
                try:
                    with disks_that_can_be_full(world), nothing_goes_wrong_inside():
                        await scenario(world)
                        await world.close()
                except BaseException:
                    told.extend(conversation.arrows(world.names()))
                    raise
                nursery.cancel_scope.cancel()

        try:
            simulate(supervised, seed)
        except BaseException as error:
            name = getattr(scenario, "__name__", repr(scenario))
            error.add_note("\n".join([*told, f"again: scripts/simulate.py {name} --seed {seed}"]))
            raise
    return conversation
