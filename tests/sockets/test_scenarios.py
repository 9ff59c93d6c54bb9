"""The scenarios over real sockets, threads and time; where somebody is killed, with real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim import scenarios
from tests.sockets.world import socket_world
from tests.world import SCENARIOS, Kind

assert scenarios  # they are told by importing them


@pytest.mark.parametrize("name", [name for name, (_, kind) in SCENARIOS.items() if kind is Kind.ANY])
async def test_scenario(name: str, tmp_path: Path) -> None:
    told, _ = SCENARIOS[name]
    async with socket_world(tmp_path) as world:
        await told(world)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, (_, kind) in SCENARIOS.items() if kind is Kind.KILLS])
async def test_scenario_with_processes(name: str, tmp_path: Path) -> None:
    told, _ = SCENARIOS[name]
    async with socket_world(tmp_path, processes=True) as world:
        await told(world)
