"""The scenarios over real sockets, threads and time; where somebody is killed, with real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim import scenarios
from tests.sockets.world import socket_world
from tests.world import SCENARIOS, Kind

assert scenarios  # they are told by importing them

# Each step has a patience of its own (tests/sockets/world.py); together they may take long on a busy machine.
pytestmark = pytest.mark.timeout(180)

# One for each thing that only real sockets, threads and disks can break; the others wait for scripts/test.
QUICK = {
    "three_give_at_once_and_each_gives_something",
    "a_folder_comes_as_it_was_with_everything_in_it",
    "a_liar_costs_one_piece_and_is_dropped",
    "a_cut_between_two_is_overcome",
    "a_downloader_that_leaves_in_good_order_loses_nothing",
    "the_server_goes_away_and_the_download_goes_on",
    "a_download_that_waits_for_its_file_says_why_and_goes_on_by_itself",
}


def told(kind: Kind) -> list[object]:
    return [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name, (_, its_kind) in SCENARIOS.items()
        if its_kind is kind
    ]


@pytest.mark.parametrize("name", told(Kind.ANY))
async def test_scenario(name: str, tmp_path: Path) -> None:
    scenario, _ = SCENARIOS[name]
    async with socket_world(tmp_path) as world:
        await scenario(world)


@pytest.mark.parametrize("name", told(Kind.KILLS))
async def test_scenario_with_processes(name: str, tmp_path: Path) -> None:
    scenario, _ = SCENARIOS[name]
    async with socket_world(tmp_path, processes=True) as world:
        await scenario(world)


def test_the_quick_ones_are_there() -> None:
    assert QUICK <= SCENARIOS.keys()
