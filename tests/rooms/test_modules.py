"""What a module may be called, how long it may be, and where its tests are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

TOP = Path(__file__).parents[2]
ROOMS = ("p2pshare", "index_server", "client")

# A name says which noun of the domain lives in a module. These say that several do.
VAGUE = {
    "base",
    "common",
    "core",
    "handler",
    "helper",
    "impl",
    "manager",
    "misc",
    "shared",
    "util",
    "wrapper",
}

LINES_MAX = 400  # past some 300 a second noun usually hides inside

# Longer ones, each with the reason why it is still one thing. Kept short.
LONG: dict[str, str] = {}


def modules() -> Iterator[Path]:
    for room in ROOMS:
        yield from sorted((TOP / room).rglob("*.py"))


def name(module: Path) -> str:
    return module.relative_to(TOP).as_posix()


def test_no_module_and_no_folder_has_a_name_that_says_nothing() -> None:
    words = {
        name(module): set(name(module).removesuffix(".py").replace("/", "_").split("_"))
        for module in modules()
    }
    plural = VAGUE | {f"{word}s" for word in VAGUE}
    assert {module: found & plural for module, found in words.items() if found & plural} == {}


def test_no_module_is_too_long_without_a_reason() -> None:
    lines = {name(module): len(module.read_text(encoding="utf-8").splitlines()) for module in modules()}
    too_long = {module: count for module, count in lines.items() if count > LINES_MAX}
    assert too_long.keys() - LONG.keys() == set(), f"find the second noun in {too_long}"
    assert LONG.keys() - too_long.keys() == set(), "these need no reason any more"


def test_every_room_says_in_one_paragraph_what_it_holds() -> None:
    folders = {module.parent for module in modules()}
    silent = [name(folder) for folder in folders if not (folder / "__init__.py").is_file()]
    silent += [
        name(folder)
        for folder in folders
        if (folder / "__init__.py").is_file()
        and not (folder / "__init__.py").read_text(encoding="utf-8").startswith('"""')
    ]
    assert sorted(silent) == []


def test_every_unit_test_lies_where_its_module_does() -> None:
    """tests/unit/p2pshare/test_names.py tests p2pshare/names.py, or the folder p2pshare/names/."""
    unit = TOP / "tests" / "unit"
    astray = []
    for test in sorted(unit.rglob("test_*.py")):
        module = TOP / test.parent.relative_to(unit) / test.stem.removeprefix("test_")
        if not module.with_suffix(".py").is_file() and not (module / "__init__.py").is_file():
            astray.append(name(test))
    assert astray == []
