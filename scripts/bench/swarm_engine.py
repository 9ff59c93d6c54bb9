"""A swarm of real engines and a real index server on simulated lines, under a clock that jumps."""

from __future__ import annotations

from typing import NoReturn

from client.engine.downloads.download import Download
from client.engine.engine import Engine
from client.engine.status import DownloadState
from p2pshare.errors import Reason, Refused
from p2pshare.limits import KIB, PIECE_BYTES_MIN
from scripts.bench.swarm_outcome import Outcome, Task
from tests.sim.world import LINE_BYTES_PER_S, run_scenario
from tests.world import Person, World, content

LOOK_EVERY_S = 0.25
PATH = "films/swarm.dat"
NAME = "swarm"


def run_engines(people: int, size: int, uplink: int, seed: int = 0, free_riders: int = 0) -> Outcome:
    """One seed and so many people; `free_riders` of them give nothing, and only the others are waited for.

    Their lines carry 4 MiB/s in both directions, 40 ms there and back; what they give is held to `uplink`.
    """
    assert uplink < LINE_BYTES_PER_S
    outcome = Outcome("real engines, simulated", Task(people, size, PIECE_BYTES_MIN, uplink))

    async def told(world: World) -> None:
        await exchange(world, outcome, free_riders)

    run_scenario(told, seed)
    return outcome


async def exchange(world: World, outcome: Outcome, free_riders: int = 0) -> None:
    """The scenario: everybody begins at the same moment."""
    task = outcome.task
    await world.index()
    rate = task.uplink // KIB
    seeder = await world.person("seeder", {PATH: content(NAME, task.size)}, upload_rate=rate)
    people = [await world.person(f"p{number}", upload_rate=rate) for number in range(task.people)]
    await people[0].finds(NAME)
    link = await seeder.face.link(str(seeder.shared(PATH)))
    for person in people[:free_riders]:
        give_nothing(person)
    numbers = [(await person.begins(link)).id for person in people]
    began = [(await person.view(number)).added_at for person, number in zip(people, numbers, strict=True)]
    out = False
    at = 0.0
    honest = people[free_riders:]
    while True:
        await world.pass_time(LOOK_EVERY_S)
        at += LOOK_EVERY_S
        views = [await person.view(number) for person, number in zip(people, numbers, strict=True)]
        outcome.growth.append((at, sum(view.done_bytes for view in views) / task.size))
        if not out:
            outcome.seed_bytes = sum(view.sent_bytes for view in await seeder.face.uploads())
            out = all_out(people)
        if all(view.state is DownloadState.COMPLETE for view in views[-len(honest) :]):
            break
    outcome.finished = [
        view.finished_at - start
        for view, start in zip(views[free_riders:], began[free_riders:], strict=True)
        if view.finished_at is not None
    ]
    outcome.wasted_bytes = sum(view.wasted_bytes for view in views)


def run_sources(rates: tuple[int, ...], size: int, seed: int = 0) -> tuple[float, float]:
    """One person fetches from sources with these uplinks, in bytes a second: the part of their sum that was
    used, and the part of what arrived that was here already."""
    told: list[tuple[float, float]] = []

    async def fetch(world: World) -> None:
        await world.index()
        data = content(NAME, size)
        for number, rate in enumerate(rates):
            await world.person(f"source{number}", {PATH: data}, upload_rate=rate // KIB)
        alice = await world.person("alice")
        view = await alice.fetches(await alice.finds(NAME, sources=len(rates)))
        assert view.finished_at is not None
        took_s = view.finished_at - view.added_at
        told.append((size / sum(rates) / took_s, view.wasted_bytes / size))

    run_scenario(fetch, seed)
    return told[0]


def all_out(people: list[Person]) -> bool:
    """Whether every piece is with somebody but the seed."""
    there: set[int] = set()
    for person in people:
        for download in downloads_of(person):
            if download.plan is None:
                continue
            done = download.plan.done_pieces()
            there.update(done)
            if len(there) == len(done) + download.plan.missing:
                return True
    return False


def downloads_of(person: Person) -> list[Download]:
    engine = person.face
    assert isinstance(engine, Engine)
    every = engine._all.downloads.onward._downloads.values()
    return [download for download in every if isinstance(download, Download)]


def give_nothing(person: Person) -> None:
    """From now on they refuse everybody, politely."""
    engine = person.face
    assert isinstance(engine, Engine)

    def refuse(*_: object) -> NoReturn:
        raise Refused(Reason.TOO_MUCH, "Nobody is served here.", 3600)

    engine._all.uploads.make_room_for = refuse  # type: ignore[method-assign]
