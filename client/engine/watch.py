"""A latest value that others can wait on. There is no queue: who is slow sees fewer values, not old ones."""

from __future__ import annotations

from typing import Generic, TypeVar

import trio

T = TypeVar("T")


class Watch(Generic[T]):
    """Any number of tasks may wait; one who owns it sets. Values are compared with `==`."""

    def __init__(self, value: T) -> None:
        self._value = value
        self._changed = trio.Event()

    @property
    def value(self) -> T:
        return self._value

    def set(self, value: T) -> None:
        """Never waits. Setting an equal value wakes nobody."""
        if value == self._value:
            return
        self._value = value
        self._changed.set()
        self._changed = trio.Event()

    async def other_than(self, seen: T) -> T:
        """The value, as soon as it differs from the one already seen."""
        await trio.lowlevel.checkpoint()
        while self._value == seen:
            await self._changed.wait()
        return self._value
