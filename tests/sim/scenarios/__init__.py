"""What people do and what befalls them, told once for every world. Importing this package tells them all."""

from tests.sim.scenarios import (
    chaos,
    choices,
    credit,
    fairness,
    fetching,
    keeping,
    mending,
    operators,
    playing,
    rules,
    searching,
    servers,
    small_files,
    sources,
    waiting,
    wishes,
)

__all__ = [
    "chaos",
    "choices",
    "credit",
    "fairness",
    "fetching",
    "keeping",
    "mending",
    "operators",
    "playing",
    "rules",
    "searching",
    "servers",
    "small_files",
    "sources",
    "waiting",
    "wishes",
]
