"""A quick way to take a struct that is right: code made from its declaration, as `dataclasses` does.

A publish brings five hundred offers of seven fields, a page of results as many; a call for each field, and
three for each struct in an array, is most of what reading them costs. The code made here tests the plain
fields in one expression, and takes an array of structs with one call for each. It refuses nothing by itself:
what it does not take, the reference in schema.py looks at, and says what is wrong.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence
from types import NoneType, UnionType
from typing import Any

Quick = Callable[[Any], Any]


def quick_loader(
    made: type,
    fields: Sequence[tuple[str, Any, Callable[[Any], Any]]],
    failure: type[Exception],
    quick_of: Callable[[Any], Quick | None],
) -> Quick:
    """Makes a function that returns the struct with these plain fields, or None to leave it to the reference.

    `fields` are names, types and reference checks, in order; a check raises `failure`. `quick_of` has the
    function like this for a type, if it is a struct.
    """
    names = [name for name, _, _ in fields]
    tests: list[str] = []
    checked: list[str] = []
    for name, hint, _ in fields:
        test = _test(name, hint)
        if test:
            tests.append(test)
        else:
            checked.append(name)
    lines = [
        "def load(plain):",
        f"    if type(plain) is not _list or len(plain) != {len(names)}: return None",
        f"    [{', '.join(names)}] = plain" if names else "    pass",
        f"    if not ({' and '.join(tests) or True}): return None",
        "    try:",
        *(f"        {name} = check_{name}({name})" for name in checked),
        "        struct = new(made)",
        "    except failure: return None",
        "    attributes = struct.__dict__",
        *(f"    attributes[{name!r}] = {name}" for name in names),
        "    return struct",
    ]
    space: dict[str, Any] = {
        f"check_{name}": _array_loader(hint, check, quick_of) or check for name, hint, check in fields
    }
    space |= {"_list": list, "made": made, "new": object.__new__, "failure": failure}
    exec("\n".join(lines), space)
    loader: Quick = space["load"]
    return loader


def _array_loader(
    hint: Any, check: Callable[[Any], Any], quick_of: Callable[[Any], Quick | None]
) -> Quick | None:
    """What takes an array of structs; None if this is none."""
    if typing.get_origin(hint) is not typing.Annotated:
        return None
    array, *extras = typing.get_args(hint)
    if typing.get_origin(array) is not tuple or (quick := quick_of(typing.get_args(array)[0])) is None:
        return None
    low, high = extras[-1].low, extras[-1].high

    def load(plain: Any) -> Any:
        if type(plain) is list and low <= len(plain) <= high:
            taken = [*map(quick, plain)]
            if all(taken):  # a struct is always true
                return tuple(taken)
        return check(plain)

    return load


def _test(name: str, hint: Any) -> str:
    """An expression that is true of a right value; empty if there is none that is short."""
    low = high = 0
    if typing.get_origin(hint) is typing.Annotated:
        hint, *extras = typing.get_args(hint)
        low, high = extras[-1].low, extras[-1].high
    hint = getattr(hint, "__supertype__", hint)
    if typing.get_origin(hint) in (typing.Union, UnionType):
        [inner] = [arg for arg in typing.get_args(hint) if arg is not NoneType]
        test = _test(name, inner)
        return test and f"({name} is None or {test})"
    if hint is bool:
        return f"({name} is True or {name} is False)"
    if hint is int:
        return f"type({name}) is int and {low} <= {name} <= {high}"
    if hint is bytes:
        return f"type({name}) is bytes and {low} <= len({name}) <= {high}"
    if hint is str:
        return f"type({name}) is str and {low} <= len({name}) <= {high} and {name}.isascii()"
    return ""
