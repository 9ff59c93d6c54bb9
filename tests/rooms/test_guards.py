"""The guards of conftest.py stand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest


@pytest.mark.parametrize("sleep", [time.sleep, asyncio.sleep])
def test_a_test_that_really_sleeps_is_told_what_to_do_instead(sleep: Callable[[float], object]) -> None:
    with pytest.raises(RuntimeError, match="Wait for what must happen"):
        sleep(0)


def test_a_test_that_asks_for_the_jumping_clock_is_told_what_to_do_instead(
    request: pytest.FixtureRequest,
) -> None:
    with pytest.raises(RuntimeError, match="simulated world"):
        request.getfixturevalue("autojump_clock")
