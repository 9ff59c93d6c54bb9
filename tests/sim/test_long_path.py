"""A long fat path is filled by one source: what is asked for ahead follows bandwidth x delay."""

from __future__ import annotations

import pytest
import trio

from client.engine.downloads.paths import may_gain
from p2pshare.limits import KIB, MIB
from tests.sim import network
from tests.sim.world import SimWorld, run_scenario
from tests.world import World, content

SIZE = 48 * MIB
BYTES_PER_S = 25e6  # 200 Mbit/s
WHOLE_WINDOW = 64 * MIB  # of TCP: only what is asked for ahead can be too little


@pytest.mark.slow
@pytest.mark.parametrize("round_trip_s", [0.02, 0.1, 0.3])
def test_one_source_fills_a_path_whatever_its_delay(
    round_trip_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "WINDOW_BYTES", WHOLE_WINDOW)
    monkeypatch.setattr(network, "BUFFER_BYTES", WHOLE_WINDOW)
    rates: list[float] = []

    async def told(world: World) -> None:
        assert isinstance(world, SimWorld)
        await world.index()
        await world.person("bob", {"far/film.dat": content("far", SIZE)})
        alice = await world.person("alice")
        for name in ("alice", "bob"):
            host = world.internet.hosts[name]
            host.delay_s = round_trip_s / 4
            host.up.rate = host.down.rate = BYTES_PER_S
        begun = await alice.begins(await alice.finds("far"))
        quarter = await alice.sees(begun.id, lambda view: view.done_bytes >= SIZE / 4, "a quarter is there")
        since = trio.current_time()
        await alice.finished(begun.id)
        rates.append((SIZE - quarter.done_bytes) / (trio.current_time() - since))

    run_scenario(told, 1)
    assert rates[0] >= 0.85 * BYTES_PER_S


@pytest.mark.slow
def test_where_one_connection_cannot_fill_the_path_further_ones_are_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window, round_trip_s = 160 * KIB, 0.3
    monkeypatch.setattr(network, "WINDOW_BYTES", window)
    ends: list[tuple[float, str]] = []

    async def told(world: World) -> None:
        assert isinstance(world, SimWorld)
        await world.index()
        await world.person("bob", {"far/film.dat": content("far", SIZE)})
        alice = await world.person("alice")
        for name in ("alice", "bob"):
            host = world.internet.hosts[name]
            host.delay_s = round_trip_s / 4
            host.up.rate = host.down.rate = BYTES_PER_S
        begun = await alice.begins(await alice.finds("far"))
        most = await alice.sees(begun.id, lambda view: view.done_bytes >= SIZE * 3 / 4, "most is there")
        since = trio.current_time()
        last = await alice.sees(begun.id, lambda view: view.done_bytes >= SIZE * 7 / 8, "nearly all is there")
        rate = (last.done_bytes - most.done_bytes) / (trio.current_time() - since)
        ends.append((rate, last.sources[0].path))
        await alice.finished(begun.id)

    run_scenario(told, 1)
    rate, path = ends[0]
    assert path.endswith(" connections")
    assert rate >= 2.5 * window / round_trip_s  # a single one carries a window in each round trip


def test_nearby_or_slow_one_connection_is_enough() -> None:
    assert not may_gain(0.001, 500e6)
    assert not may_gain(0.1, 100e3)
    assert may_gain(0.1, 2e6)
