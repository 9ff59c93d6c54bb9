"""A set of whole numbers kept as ranges: the pieces somebody has, the bytes of a file that are there.

The boundaries stand in one sorted list [start, stop, start, stop ...]. A number is inside when an odd count
of boundaries is at or below it, so every operation is a bisection and one replaced slice.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import compress

from p2pshare.errors import BadMessage, Misuse

_FLAGS = bytes.maketrans(b"01", b"\0\1")


class RangeSet:
    """Half-open ranges of numbers from 0 on; neighbours and overlaps become one."""

    __slots__ = ("_bounds",)

    def __init__(self, ranges: Iterable[range] = ()) -> None:
        """`RangeSet(other)` is a copy."""
        self._bounds: list[int] = []
        for each in ranges:
            self.add(each.start, each.stop)

    def add(self, start: int, stop: int) -> None:
        self._replace(start, stop, inside=1)

    def remove(self, start: int, stop: int) -> None:
        self._replace(start, stop, inside=0)

    def _replace(self, start: int, stop: int, inside: int) -> None:
        if not 0 <= start <= stop:
            raise Misuse(f"there is no range from {start} to {stop}")
        if start == stop:
            return
        # Boundaries from `first` to `last` lie within or touch the range. A new one is needed at an end where
        # what lies outside differs from what comes inside.
        first = bisect_left(self._bounds, start)
        last = bisect_right(self._bounds, stop)
        ends = [end for end, outside in ((start, first % 2), (stop, last % 2)) if outside != inside]
        self._bounds[first:last] = ends

    def __contains__(self, number: int) -> bool:
        return bisect_right(self._bounds, number) % 2 == 1

    def gaps(self, start: int, stop: int) -> Iterator[range]:
        """The ranges from `start` to `stop` that are not inside, in order. Change nothing meanwhile."""
        place = bisect_right(self._bounds, start)
        while start < stop:
            if place % 2 == 0:
                end = min(self._bounds[place], stop) if place < len(self._bounds) else stop
                yield range(start, end)
                place += 1
            start = self._bounds[place] if place < len(self._bounds) else stop
            place += 1

    def __iter__(self) -> Iterator[range]:
        """The ranges in order."""
        return map(range, self._bounds[::2], self._bounds[1::2])

    @property
    def count(self) -> int:
        """How many numbers are inside."""
        return sum(self._bounds[1::2]) - sum(self._bounds[::2])

    def __bool__(self) -> bool:
        return bool(self._bounds)

    def __eq__(self, other: object) -> bool:
        return self._bounds == other._bounds if isinstance(other, RangeSet) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # it can change

    def __repr__(self) -> str:
        return f"RangeSet([{', '.join(f'{each.start}..{each.stop}' for each in self)}])"

    def to_bitmap(self, count: int) -> bytes:
        """One bit for each number below `count`, from the highest bit of the first byte on, padded with 0."""
        if self._bounds and self._bounds[-1] > count:
            raise Misuse(f"the set reaches beyond {count}")
        size = bitmap_bytes(count)
        edges = bytearray(b"0" * (size * 8 + 1))
        for bound in self._bounds:
            edges[bound] = ord("1")
        bits = int(edges, 2) >> 1
        step = 1
        while step < size * 8:  # each bit becomes the exclusive or of all boundaries up to it
            bits ^= bits >> step
            step *= 2
        return bits.to_bytes(size, "big")

    @classmethod
    def from_bitmap(cls, data: bytes, count: int) -> RangeSet:
        """The reverse of `to_bitmap`, for a bitmap of our own."""
        try:
            return cls.from_bitmap_untrusted(data, count)
        except BadMessage as error:
            raise Misuse(error.text) from error

    @classmethod
    def from_bitmap_untrusted(cls, data: bytes, count: int) -> RangeSet:
        """Raises BadMessage and nothing else: for a wrong length, or a padding that is not zero."""
        if len(data) != bitmap_bytes(count):
            raise BadMessage(f"A bitmap of {count} bits has {bitmap_bytes(count)} bytes, not {len(data)}.")
        ranges = cls()
        # A boundary is where a bit differs from the one before it. In big numbers and C loops, because a
        # stranger could send the slowest bitmap all day.
        bits = int.from_bytes(data, "big")
        edges = f"{bits << 1 ^ bits:0{len(data) * 8 + 1}b}".encode().translate(_FLAGS)
        ranges._bounds = list(compress(range(len(edges)), edges))
        if ranges._bounds and ranges._bounds[-1] > count:
            raise BadMessage(f"The bitmap has bits beyond its {count}.")
        return ranges


def bitmap_bytes(count: int) -> int:
    """Length of the bitmap of `count` numbers."""
    return (count + 7) // 8
