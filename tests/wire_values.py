"""Values for every declared message, made from the declarations: Hypothesis strategies and one fixed example
each.
"""

from __future__ import annotations

import dataclasses
import typing
from enum import IntEnum
from types import NoneType, UnionType
from typing import Annotated, Any

from hypothesis import strategies as st

from p2pshare.wire.schema import Range, Size, Struct

LIST_MAX = 4  # longer ones show nothing new and take long


def strategy(struct_class: type[Struct]) -> st.SearchStrategy[Any]:
    """Valid structs of this class."""
    hints = typing.get_type_hints(struct_class, include_extras=True)
    values = {field.name: _strategy(hints[field.name]) for field in dataclasses.fields(struct_class)}  # type: ignore[arg-type]
    return st.builds(struct_class, **values)


def example(struct_class: type[Struct]) -> Any:
    """One valid struct, always the same: small values, no defaults."""
    hints = typing.get_type_hints(struct_class, include_extras=True)
    names = [field.name for field in dataclasses.fields(struct_class)]  # type: ignore[arg-type]
    return struct_class(**{name: _example(hints[name], number) for number, name in enumerate(names, start=1)})


def _taken_apart(hint: Any) -> tuple[Any, Range | Size | None]:
    bounds = None
    if typing.get_origin(hint) is Annotated:
        hint, *extras = typing.get_args(hint)
        bounds = extras[-1]
    return getattr(hint, "__supertype__", hint), bounds


def _inner(hint: Any) -> Any:
    """T of `T | None`; None for anything else."""
    if typing.get_origin(hint) in (typing.Union, UnionType):
        return next(arg for arg in typing.get_args(hint) if arg is not NoneType)
    return None


def _strategy(hint: Any) -> st.SearchStrategy[Any]:
    hint, bounds = _taken_apart(hint)
    if inner := _inner(hint):
        return st.none() | _strategy(inner)
    if typing.get_origin(hint) is tuple:
        assert isinstance(bounds, Size)
        item = _strategy(typing.get_args(hint)[0])
        return st.lists(item, min_size=bounds.low, max_size=min(bounds.high, bounds.low + LIST_MAX)).map(
            tuple
        )
    if hint is bool:
        return st.booleans()
    if isinstance(bounds, Range):
        return st.integers(bounds.low, bounds.high)
    if hint is bytes and isinstance(bounds, Size):
        return st.binary(min_size=bounds.low, max_size=min(bounds.high, bounds.low + 64))
    if hint is str and isinstance(bounds, Size):
        low, high = bounds.low, bounds.high
        text = st.text(st.characters(exclude_categories=["Cs"]), min_size=low, max_size=min(high, 64))
        return text.filter(lambda value: low <= len(value.encode()) <= high)
    if issubclass(hint, IntEnum):
        return st.sampled_from(list(hint))
    return strategy(hint)


def _example(hint: Any, number: int) -> Any:
    hint, bounds = _taken_apart(hint)
    if inner := _inner(hint):
        return _example(inner, number)
    if typing.get_origin(hint) is tuple:
        assert isinstance(bounds, Size)
        return tuple(_example(typing.get_args(hint)[0], number + n) for n in range(max(bounds.low, 1)))
    if hint is bool:
        return True
    if isinstance(bounds, Range):
        return max(bounds.low, min(bounds.high, number))
    if hint is bytes and isinstance(bounds, Size):
        return bytes([number]) * max(bounds.low, min(bounds.high, 4))
    if hint is str and isinstance(bounds, Size):
        return "example"[: bounds.high].ljust(bounds.low, "x")
    if issubclass(hint, IntEnum):
        return list(hint)[min(number, len(hint) - 1)]
    return example(hint)
