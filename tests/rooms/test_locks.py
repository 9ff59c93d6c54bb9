"""The lock files: exact, complete, and free of addresses."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def locked(lock: str) -> dict[str, str]:
    """The version of each package of a lock file."""
    return dict(
        re.findall(r"^([a-z0-9-]+)==([^\s;]+)", (TOP / lock).read_text(encoding="utf-8"), re.MULTILINE)
    )


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_names_versions_and_hashes_and_no_address(lock: str) -> None:
    form = re.compile(r"#.*|[a-z0-9-]+==[^\s;]+( ; .+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
    lines = (TOP / lock).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not form.fullmatch(line) or "://" in line] == []


def test_both_locks_agree_on_what_both_name() -> None:
    runtime, dev = (locked(lock) for lock in LOCKS)
    assert {name: version for name, version in runtime.items() if dev.get(name) != version} == {}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_pyproject_asks_for(lock: str) -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    asked = [*project["project"]["dependencies"], *project["build-system"]["requires"], *groups["install"]]
    if lock == "requirements-dev.lock":
        asked += [line for line in groups["dev"] if isinstance(line, str)]
    versions = locked(lock)
    unmet = [
        line
        for line in map(Requirement, asked)
        if not line.specifier.contains(versions.get(canonicalize_name(line.name), "0"))
    ]
    assert unmet == [], "run scripts/lock"
