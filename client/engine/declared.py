"""Settings declared once, each with its default, its rule and its comment, in tables and tables within them.

A field whose default is a dataclass is a table; an `Annotated` text says what for. A setting in a table is
named with dots, as TOML does it: `groups.trusted.slots`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar, get_origin, get_type_hints

from p2pshare.names import display

T = TypeVar("T")

WORDS = {str: "a text in quotes", bool: "true or false", int: "a whole number", tuple: "a list of texts"}
_YES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Unfit(ValueError):
    """A value that breaks a declaration, in a sentence."""


@dataclass(frozen=True)
class Declared:
    """One setting."""

    name: str
    kind: type  # str, bool, int or tuple (of str)
    default: Any
    doc: str
    problem: Callable[[Any], str | None]
    restart: bool  # a change takes effect at the next start only


def setting(
    default: Any,
    doc: str,
    problem: Callable[[Any], str | None] = lambda value: None,
    *,
    restart: bool = False,
) -> Any:
    """A field. `problem` says in a sentence what is wrong with a value of the right type, or None."""
    return field(default=default, metadata={"doc": doc, "problem": problem, "restart": restart})


def declarations(chosen: type, prefix: str = "") -> dict[str, Declared]:
    """Every setting by name, those outside of tables first."""
    return _declarations(chosen, prefix)


@cache
def _declarations(chosen: type, prefix: str) -> dict[str, Declared]:
    types = get_type_hints(chosen)
    single: dict[str, Declared] = {}
    inner: dict[str, Declared] = {}
    for each in fields(chosen):
        name = f"{prefix}{each.name}"
        if is_dataclass(each.default) and not isinstance(each.default, type):
            defaults = {f"{name}.{leaf}": value for leaf, value in values(each.default).items()}
            for leaf, declared in declarations(type(each.default), f"{name}.").items():
                inner[leaf] = replace(declared, default=defaults[leaf])
        else:
            kind = get_origin(types[each.name]) or types[each.name]
            single[name] = Declared(name, kind, each.default, **each.metadata)
    return single | inner


def tables(chosen: type, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(name, doc) of every table that has settings of its own."""
    types = get_type_hints(chosen, include_extras=True)
    for each in fields(chosen):
        if is_dataclass(each.default) and not isinstance(each.default, type):
            inner = type(each.default)
            if any("." not in name for name in declarations(inner)):
                yield f"{prefix}{each.name}", types[each.name].__metadata__[0]
            yield from tables(inner, f"{prefix}{each.name}.")


def values(settings: object, prefix: str = "") -> dict[str, Any]:
    """Every value by the name of its setting."""
    found: dict[str, Any] = {}
    for each in fields(settings):  # type: ignore[arg-type]  # always a dataclass
        value, name = getattr(settings, each.name), f"{prefix}{each.name}"
        found |= values(value, f"{name}.") if is_dataclass(value) else {name: value}
    return found


def changed(settings: T, changes: Mapping[str, Any]) -> T:
    """The same with other values, by name; checked. Raises Unfit."""
    checked = {name: check(type(settings), name, value) for name, value in changes.items()}
    return _replaced(settings, checked)


def understood(chosen: type[T], mapping: Mapping[str, Any]) -> T:
    """Settings from what a TOML file says; what it does not say is as declared. Raises Unfit."""
    flat: dict[str, Any] = dict(_flat(mapping, declarations(chosen)))
    return changed(chosen(), flat)


def check(chosen: type, name: str, value: Any) -> Any:
    """The value as it is kept. Raises Unfit: there is no such setting, or it is of another kind, or unfit."""
    declared = find(chosen, name)
    kind = declared.kind
    if kind is tuple and isinstance(value, list):
        value = tuple(value)
    texts = kind is not tuple or (isinstance(value, tuple) and all(type(part) is str for part in value))
    if not texts or type(value) is not kind:
        raise Unfit(f'"{name}" must be {WORDS[kind]}.')
    if problem := declared.problem(value):
        raise Unfit(f'"{name}" does not fit. {problem}')
    return value


def parse(chosen: type, name: str, words: tuple[str, ...]) -> Any:
    """A value from what somebody typed. Raises Unfit."""
    kind = find(chosen, name).kind
    if kind is tuple:
        return check(chosen, name, words)
    if len(words) != 1:
        raise Unfit(f'"{name}" takes one value.')
    (word,) = words
    if kind is bool and word.lower() in _YES:
        return _YES[word.lower()]
    if kind is int and word.strip().lstrip("-").isdecimal():
        return check(chosen, name, int(word))
    return check(chosen, name, word)


def find(chosen: type, name: str) -> Declared:
    """Raises Unfit with the nearest name that there is."""
    declared = declarations(chosen)
    if name not in declared:
        near = difflib.get_close_matches(name, declared, n=1)
        plain = (known for known in declared if "." not in known)
        hint = f' Did you mean "{near[0]}"?' if near else f" There are: {', '.join(plain)}."
        raise Unfit(f'there is no setting "{display(name)}".{hint}')
    return declared[name]


def _flat(
    mapping: Mapping[str, Any], declared: Mapping[str, Declared], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    for name, value in mapping.items():
        inner = f"{prefix}{name}."
        if isinstance(value, dict) and any(known.startswith(inner) for known in declared):
            yield from _flat(value, declared, inner)
        else:
            yield f"{prefix}{name}", value


def _replaced(settings: T, changes: Mapping[str, Any]) -> T:
    here = {name: value for name, value in changes.items() if "." not in name}
    inside: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        head, dot, rest = name.partition(".")
        if dot:
            inside.setdefault(head, {})[rest] = value
    tables_ = {head: _replaced(getattr(settings, head), rest) for head, rest in inside.items()}
    return replace(settings, **here, **tables_)  # type: ignore[type-var]  # always a dataclass
