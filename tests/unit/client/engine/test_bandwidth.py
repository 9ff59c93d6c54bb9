"""Limits as they hold, under a clock that jumps."""

from __future__ import annotations

import functools
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
import trio

from client.engine.bandwidth import PREVIEWS_BYTES_PER_S, Bandwidth, Clock
from client.engine.groups import Group
from client.engine.settings import GROUPS, GroupRules, Settings
from client.engine.valve import Valve
from p2pshare.identity import NodeId
from p2pshare.limits import KIB, MIB
from tests.sim.scheduler import simulate

ALICE, BOB, CAROL = (NodeId(bytes([n]) * 32) for n in range(1, 4))
MONDAY = datetime(2026, 11, 23, 7, 59, 30, tzinfo=UTC).timestamp()


def simulated(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Under a clock that jumps: nothing here has a thread."""

    @functools.wraps(test)
    def run(**arguments: object) -> None:
        async def told(chance: random.Random) -> None:
            await test(**arguments)

        simulate(told, 0)

    return run


def bandwidth(settings: Settings, **groups: Group) -> Bandwidth:
    by_person = {NodeId(bytes([int(number[1:])]) * 32): group for number, group in groups.items()}
    start = trio.current_time()
    clock = Clock(
        lambda: MONDAY + trio.current_time() - start,
        lambda at: datetime.fromtimestamp(at, UTC).replace(tzinfo=None),
    )
    return Bandwidth(settings, clock, lambda person: by_person.get(person, Group.EVERYONE))


async def moved(valves: list[Valve], seconds: float) -> list[int]:
    """Bytes that pass each valve while all of them pass what they can."""
    counts = [0] * len(valves)

    async def move(number: int) -> None:
        while True:
            size = valves[number].step_bytes
            await valves[number].passes(size)
            counts[number] += size

    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            for number in range(len(valves)):
                nursery.start_soon(move, number)
    return counts


@pytest.mark.parametrize("rate", [20, 500, 2_000, 100_000])
@simulated
async def test_a_limit_is_kept_within_three_percent(rate: int) -> None:
    limits = bandwidth(Settings(upload_rate=rate))
    counts = await moved([limits.upload(ALICE), limits.upload(BOB), limits.upload(CAROL)], 8.0)
    assert sum(counts) == pytest.approx(rate * KIB * 8, rel=0.03)
    assert max(counts) - min(counts) <= 2 * limits.upload(ALICE).step_bytes, "shared evenly"


@simulated
async def test_groups_and_people_have_limits_within_that_of_all() -> None:
    everyone = GroupRules(upload_rate=300, person_rate=200)
    settings = Settings(upload_rate=1_000, groups=replace(GROUPS, everyone=everyone))
    limits = bandwidth(settings, _3=Group.TRUSTED)
    alice, bob, carol = await moved([limits.upload(who) for who in (ALICE, BOB, CAROL)], 10.0)
    assert alice + bob == pytest.approx(300 * KIB * 10, rel=0.03)
    assert abs(alice - bob) <= 64 * KIB
    assert alice + bob + carol == pytest.approx(1_000 * KIB * 10, rel=0.03)
    (alone,) = await moved([limits.upload(ALICE)], 10.0)
    assert alone == pytest.approx(200 * KIB * 10, rel=0.03)


@simulated
async def test_a_new_limit_wakes_whoever_waits_for_the_old_one() -> None:
    limits = bandwidth(Settings(upload_rate=1))
    valve = limits.upload(ALICE)
    for _ in range(2):
        await valve.passes(64 * KIB)  # the second one has to wait for a minute
    done: list[float] = []

    async def wait() -> None:
        await valve.passes(MIB)
        done.append(trio.current_time())

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(1.0)
        assert done == []
        limits.set(Settings(upload_rate=0))
    assert done == [start + 1.0]


@simulated
async def test_limits_of_what_arrives_are_kept_for_all_and_for_a_group() -> None:
    settings = Settings(download_rate=400, groups=replace(GROUPS, everyone=GroupRules(download_rate=100)))
    limits = bandwidth(settings, _2=Group.CONTACTS, _3=Group.BLOCKED)

    async def arrives(person: NodeId) -> float:
        start = trio.current_time()
        for _ in range(200):
            await limits.arrived(person, 40 * KIB)
        return 200 * 40 / (trio.current_time() - start)

    assert await arrives(ALICE) == pytest.approx(100, rel=0.03)
    assert await arrives(CAROL) == pytest.approx(100, rel=0.03), "blocked people are in no better group"
    assert await arrives(BOB) == pytest.approx(400, rel=0.03)


@simulated
async def test_the_schedule_takes_effect_by_itself_and_says_why() -> None:
    line = "mon-fri 08:00-18:00 up=10 everyone.down=5"
    limits = bandwidth(Settings(upload_rate=100, schedule=(line,)))
    valve = limits.upload(ALICE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(limits.run)
        (before,) = await moved([valve], 30.0)
        (during,) = await moved([valve], 300.0)
        views = {view.name: view for view in limits.views()}
        limits.set(Settings(upload_rate=100))
        (after,) = await moved([valve], 30.0)
        nursery.cancel_scope.cancel()
    assert before == pytest.approx(100 * KIB * 30, rel=0.03)
    assert during == pytest.approx(10 * KIB * 300, rel=0.03)
    assert after == pytest.approx(100 * KIB * 30, rel=0.03)
    assert (views["up"].rate, views["up"].usual, views["up"].line) == (10, 100, line)
    assert (views["everyone.down"].rate, views["everyone.down"].usual) == (5, 0)
    assert (views["down"].rate, views["down"].line) == (0, "")


@simulated
async def test_previews_are_slow_even_if_nothing_is_limited() -> None:
    limits = bandwidth(Settings())
    counts = await moved([limits.preview(ALICE), limits.preview(BOB)], 10.0)
    assert sum(counts) == pytest.approx(PREVIEWS_BYTES_PER_S * 10, rel=0.04)


@simulated
async def test_somebody_in_another_group_is_limited_as_that_one() -> None:
    groups: dict[NodeId, Group] = {}
    settings = Settings(groups=replace(GROUPS, everyone=GroupRules(person_rate=100)))
    clock = Clock(lambda: MONDAY, lambda at: datetime.fromtimestamp(at, UTC).replace(tzinfo=None))
    limits = Bandwidth(settings, clock, lambda person: groups.get(person, Group.EVERYONE))
    valve = limits.upload(ALICE)
    (before,) = await moved([valve], 10.0)
    assert before == pytest.approx(100 * KIB * 10, rel=0.04)
    groups[ALICE] = Group.TRUSTED
    limits.regrouped()
    start = trio.current_time()
    await valve.passes(100 * MIB)
    assert trio.current_time() == start


def test_a_day_begins_when_the_wall_clock_says_so() -> None:
    berlin = ZoneInfo("Europe/Berlin")

    def seconds_to_midnight(unix: float) -> float:
        clock = Clock(lambda: unix, lambda at: datetime.fromtimestamp(at, berlin).replace(tzinfo=None))
        return clock.seconds_to(clock.local().toordinal() + 1)

    def night(year: int, month: int, day: int) -> float:
        return datetime(year, month, day, 0, 30, tzinfo=berlin).timestamp()

    assert seconds_to_midnight(night(2026, 11, 23)) == 23.5 * 3600
    assert seconds_to_midnight(night(2026, 3, 29)) == 22.5 * 3600, "the clocks are put forward"
    assert seconds_to_midnight(night(2026, 10, 25)) == 24.5 * 3600, "and back"
