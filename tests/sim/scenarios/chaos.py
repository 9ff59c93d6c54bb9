"""Everything at once: what befalls people here follows from the seed, and in the end all is well."""

from __future__ import annotations

import itertools
import random

from client.engine.status import DownloadState
from p2pshare.errors import LocalTrouble
from p2pshare.limits import KIB, MIB
from tests.world import Kind, Person, World, content, scenario

FILES = {
    f"mixed/{n}.dat": content(f"mixed {n}", size) for n, size in enumerate((0, 1, 90 * KIB, 700 * KIB, MIB))
}
NAMES = ("bob", "carol", "dave")
TROUBLES = 50
WHAT_HAPPENS = (
    ["kill", "restart", "restart"] * 2
    + ["leave", "restart", "cut", "silence", "mend", "mend"]
    + ["pause", "resume", "resume", "full", "free"]
)


@scenario(Kind.SIMULATED)
async def whatever_happens_everybody_gets_everything_in_the_end(world: World) -> None:
    chance = world.chance
    await world.index()
    for name in NAMES:
        await world.person(
            name, FILES, upload_rate=chance.choice([4, 8, 16]), upload_slots=chance.choice([1, 3])
        )
    fetchers = [await world.person(name, upload_rate=128) for name in ("alice", "anna")]
    wanted = {one.name: await order_everything(one) for one in fetchers}
    world.people[chance.choice(NAMES)].spoil(chance.choice(list(FILES)))
    for _ in range(TROUBLES):
        await world.pass_time(chance.expovariate(1 / 3))
        await trouble(world, chance, fetchers)
    await heal(world)
    for one in fetchers:
        for number in wanted[one.name]:
            await go_on(one, number)
            await one.finished(number)


async def order_everything(one: Person) -> list[int]:
    """Each file by a search of its own."""
    numbers = []
    for path in FILES:
        name = path.rpartition("/")[2].removesuffix(".dat")
        numbers.append((await one.begins(await one.finds(f"mixed {name}", sources=len(NAMES)))).id)
    return numbers


async def trouble(world: World, chance: random.Random, fetchers: list[Person]) -> None:
    one, other = chance.sample([*NAMES, "alice", "anna", "index"], 2)
    match chance.choice(WHAT_HAPPENS):
        case "kill":
            if world.runs(one):
                await world.kill(one)
        case "leave":
            if world.runs(one):
                await world.leave(one)
        case "restart":
            await come_back(world, one)
        case "cut":
            world.cut(one, other)
        case "silence":
            world.silence(one, other)
        case "mend":
            world.mend(one, other)
        case "full":
            world.full_disks.add(chance.choice(fetchers).name)
        case "free":
            world.full_disks.clear()
        case "pause":
            await try_for_all(chance.choice(fetchers), "pause")
        case "resume":
            await try_for_all(chance.choice(fetchers), "resume")


async def come_back(world: World, name: str) -> None:
    if world.runs(name):
        return
    if name == "index":
        await world.restart_index()
    else:
        await world.restart(name)


async def heal(world: World) -> None:
    names = ["index", *world.people]
    for one, other in itertools.combinations(names, 2):
        world.mend(one, other)
    world.full_disks.clear()
    for name in names:
        await come_back(world, name)


async def try_for_all(one: Person, call: str) -> None:
    if one.face is None:
        return  # they are gone just now
    for view in await one.face.downloads():
        try:
            await getattr(one.face, call)(view.id)
        except LocalTrouble:
            continue  # it is complete


async def go_on(one: Person, number: int) -> None:
    if (await one.view(number)).state in (DownloadState.PAUSED, DownloadState.STUCK):
        await one.face.resume(number)
