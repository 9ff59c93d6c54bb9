"""The power is cut again and again while something is downloaded; what was not synced may be lost."""

from __future__ import annotations

import traceback

import pytest

from client.engine.downloads import checkpoints
from client.engine.downloads.part import Part
from client.engine.profile import Profile
from p2pshare.limits import PIECE_BYTES_MIN
from tests.on_disk import recorded_bytes
from tests.sim.crash import Remembered
from tests.sim.power import Unsynced, unsynced_writes_noted
from tests.sim.world import SimWorld, run_scenario
from tests.world import World, content

FILES = {f"film {number}.dat": content(f"film {number}", 20 * PIECE_BYTES_MIN + 99) for number in range(3)}
RATE_KIB_S = 320  # a file takes some 4 s, alone
CUTS = 20
CUT_WITHIN_S = 6.0


async def cut_the_power(world: SimWorld, name: str, unsynced: Unsynced) -> None:
    disk, lost = Remembered(world.home / name), unsynced.copy()
    world.internet.hosts[name].crash()
    await world.leave(name)
    disk.put_back()
    unsynced.written.clear()
    unsynced.names.clear()
    lost.lose(world.home / name, world.chance)


def play(seed: int) -> None:
    async def scenario(world: World) -> None:
        assert isinstance(world, SimWorld)
        await world.index()
        bob = await world.person(
            "bob", {f"films/{name}": data for name, data in FILES.items()}, upload_rate=RATE_KIB_S
        )
        links = [await bob.face.link(str(bob.shared(f"films/{name}"))) for name in FILES]
        alice = await world.person("alice")
        for _ in range(CUTS):
            for link in links[
                len(await alice.face.downloads()) :
            ]:  # what was asked for last may be forgotten
                await alice.begins(link)
            await world.pass_time(world.chance.random() * CUT_WITHIN_S)
            await cut_the_power(world, "alice", unsynced)
            recorded_bytes(Profile(alice.home / "profile"), FILES)
            await world.restart("alice")
        for link in links[len(await alice.face.downloads()) :]:
            await alice.begins(link)
        for view in await alice.face.downloads():
            await alice.finished(view.id)

    with unsynced_writes_noted() as unsynced:
        run_scenario(scenario, seed)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "CHECKPOINT_S", 0.5)
    monkeypatch.setattr(checkpoints, "CHECKPOINT_BYTES", 8 * PIECE_BYTES_MIN)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
def test_nothing_wrong_is_left_when_the_power_is_cut(seed: int) -> None:
    play(seed)


def test_that_a_record_ran_ahead_of_the_disk_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Part, "sync", lambda self: None)
    with pytest.raises(BaseException) as caught:
        play(0)
    told = "".join(traceback.format_exception(caught.value))
    assert "is not there" in told or "is wrong" in told
