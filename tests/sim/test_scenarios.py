"""Every scenario in simulated worlds, with two seeds. `scripts/simulate.py` hunts with thousands."""

from __future__ import annotations

import pytest

from tests.sim import scenarios
from tests.sim.world import run_scenario
from tests.world import SCENARIOS

SEEDS = [0, pytest.param(1, marks=pytest.mark.slow)]

assert scenarios  # they are told by importing them


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str, seed: int) -> None:
    told, _ = SCENARIOS[name]
    run_scenario(told, seed)
