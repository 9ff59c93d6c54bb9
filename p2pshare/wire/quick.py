"""A quick way to take a struct that is right: code made from its declaration, as `dataclasses` does.

A publish brings five hundred offers of seven fields, a page of results as many; a call for each field, and
three for each struct in an array, is most of what reading them costs. The code made here tests the plain
fields in one expression. An array of structs is checked whole by msgspec, without a call of Python's, and
then built. It refuses nothing by itself: what it does not take, the reference in schema.py looks at, and says
what is wrong.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Sequence
from enum import IntEnum
from types import GenericAlias, NoneType, UnionType
from typing import Any

import msgspec

Quick = Callable[[Any], Any]
FieldsOf = Callable[[Any], Sequence[tuple[str, Any]]]


def quick_loader(
    made: type,
    fields: Sequence[tuple[str, Any, Callable[[Any], Any]]],
    failure: type[Exception],
    fields_of: FieldsOf,
) -> Quick:
    """Makes a function that returns the struct with these plain fields, or None to leave it to the reference.

    `fields` are names, types and reference checks, in order; a check raises `failure`. `fields_of` has names
    and types for a type that is a struct, and nothing for others.
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
        f"check_{name}": _array_loader(hint, check, fields_of) or check for name, hint, check in fields
    }
    space |= {"_list": list, "made": made, "new": object.__new__, "failure": failure}
    exec("\n".join(lines), space)
    loader: Quick = space["load"]
    return loader


def _array_loader(hint: Any, check: Callable[[Any], Any], fields_of: FieldsOf) -> Quick | None:
    """What takes an array of structs; None if this is none."""
    shaped = _shaped(hint, fields_of)
    if shaped is None or shaped.build is None or typing.get_origin(hint) is not typing.Annotated:
        return None
    shape, build = shaped.shape, shaped.build

    def load(plain: Any) -> Any:
        try:
            return build(msgspec.convert(plain, shape, builtin_types=(bytes,)))
        except msgspec.ValidationError:
            return check(plain)

    return load


class _Shaped(typing.NamedTuple):
    """What msgspec can check."""

    shape: Any
    """A type of plain values, in which structs are tuples. It may be narrower than the declaration."""
    build: Callable[[Any], Any] | None
    """Makes the value of them; None if they are the value."""


def _shaped(hint: Any, fields_of: FieldsOf) -> _Shaped | None:
    """None if msgspec has no such type."""
    low = high = 0
    if typing.get_origin(hint) is typing.Annotated:
        hint, *extras = typing.get_args(hint)
        low, high = extras[-1].low, extras[-1].high
    hint = getattr(hint, "__supertype__", hint)
    if typing.get_origin(hint) in (typing.Union, UnionType):
        [inner] = [arg for arg in typing.get_args(hint) if arg is not NoneType]
        shaped = _shaped(inner, fields_of)
        return _Shaped(shaped.shape | None, None) if shaped and shaped.build is None else None
    if hint is bool or (isinstance(hint, type) and issubclass(hint, IntEnum)):
        return _Shaped(hint, None)
    if hint is int and high < 1 << 63:
        return _Shaped(typing.Annotated[int, msgspec.Meta(ge=low, le=high)], None)
    if hint is bytes:
        return _Shaped(typing.Annotated[bytes, msgspec.Meta(min_length=low, max_length=high)], None)
    if hint is str:  # msgspec counts characters, which have up to four bytes
        return _Shaped(typing.Annotated[str, msgspec.Meta(min_length=low, max_length=high // 4)], None)
    if typing.get_origin(hint) is tuple:
        shaped = _shaped(typing.get_args(hint)[0], fields_of)
        if shaped is None:
            return None
        item: Any = shaped.shape
        shape = typing.Annotated[tuple[item, ...], msgspec.Meta(min_length=low, max_length=high)]
        each = shaped.build
        return _Shaped(shape, each and (lambda plain: tuple([*map(each, plain)])))
    return _shaped_struct(hint, fields_of)


def _shaped_struct(made: Any, fields_of: FieldsOf) -> _Shaped | None:
    fields = fields_of(made)
    shaped = [_shaped(hint, fields_of) for _, hint in fields]
    if not fields or not all(shaped):
        return None
    names = [name for name, _ in fields]
    shape = GenericAlias(tuple, tuple(one.shape for one in shaped if one))
    builds = {name: one.build for name, one in zip(names, shaped, strict=True) if one and one.build}
    lines = [
        "def build(plain):",
        f"    [{', '.join(names)}] = plain",
        *(f"    {name} = build_{name}({name})" for name in builds),
        "    struct = new(made)",
        "    attributes = struct.__dict__",
        *(f"    attributes[{name!r}] = {name}" for name in names),
        "    return struct",
    ]
    space: dict[str, Any] = {f"build_{name}": build for name, build in builds.items()}
    space |= {"made": made, "new": object.__new__}
    exec("\n".join(lines), space)
    build: Callable[[Any], Any] = space["build"]
    if any(field.default is dataclasses.MISSING for field in dataclasses.fields(made)):
        return _Shaped(shape, build)
    # Most offers say nothing of themselves. What is equal is of the same types, as it was checked.
    nothing = made()
    said = tuple([getattr(nothing, name) for name in names])
    return _Shaped(shape, lambda plain: nothing if plain == said else build(plain))


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
