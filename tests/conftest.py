"""What holds for every test. Warnings are errors: pyproject.toml says so."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import settings

TESTS = str(Path(__file__).parent)


# --- time ------------------------------------------------------------------------------------------------


@pytest.fixture
def autojump_clock() -> NoReturn:
    raise RuntimeError(
        "autojump_clock jumps while a thread still works, so a test with a database or a file times out at "
        "once. Write a scenario and run it in a simulated world, or pass `now` to the pure room by hand."
    )


def _forbidden_in_tests(name: str, sleep: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if sys._getframe(1).f_code.co_filename.startswith(TESTS):
            raise RuntimeError(
                f"{name} in a test is slow on one machine and too short on the next. Wait for what must "
                "happen: an event, a reply, wait_all_tasks_blocked(); or give `now` as an argument."
            )
        return sleep(*args, **kwargs)

    return guarded


# Replaced before any test is imported, so that `from time import sleep` is found out too.
time.sleep = _forbidden_in_tests("time.sleep", time.sleep)
asyncio.sleep = _forbidden_in_tests("asyncio.sleep", asyncio.sleep)


# --- Hypothesis ------------------------------------------------------------------------------------------

# No deadline: on a busy machine it would measure the neighbours.
settings.register_profile("fast", deadline=None, max_examples=50)
settings.register_profile("ci", settings.get_profile("fast"), derandomize=True, print_blob=True)
settings.register_profile("thorough", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "fast"))


# --- all cores -------------------------------------------------------------------------------------------


def pytest_xdist_auto_num_workers() -> int:
    """How many `-n auto` means: tests over sockets wait for a third of their time."""
    return (os.cpu_count() or 1) * 3 // 2


def _spread(items: list[pytest.Item]) -> None:
    """Put the tests that wait between those that compute: side by side, they would all wait at the end."""
    groups: dict[bool, list[pytest.Item]] = {True: [], False: []}
    for item in items:
        groups[item.path.parent.name == "sockets"].append(item)
    at = {item: place / len(group) for group in groups.values() for place, item in enumerate(group)}
    items.sort(key=at.__getitem__)


# --- hangs -----------------------------------------------------------------------------------------------


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        _spread(items)
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            # Hypothesis takes the exception of a timeout for a finding, and looks for a smaller one for ever.
            item.add_marker(pytest.mark.timeout(method="thread"))
