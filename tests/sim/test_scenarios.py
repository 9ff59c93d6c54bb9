"""Every scenario in a simulated world, with one seed. `scripts/simulate.py` hunts with thousands."""

from __future__ import annotations

import pytest

from tests.sim import scenarios
from tests.sim.world import run_scenario
from tests.world import SCENARIOS

assert scenarios  # they are told by importing them


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    told, _ = SCENARIOS[name]
    run_scenario(told, seed=0)
