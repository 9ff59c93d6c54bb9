"""Sets of pieces as whole numbers, one bit each: one `&` on 65,536 pieces takes 2 microseconds.

The first piece has the highest bit, as in the bitmaps on the wire: the bit length of a set finds its first.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2pshare.ranges import RangeSet, bitmap_bytes


class Pieces:
    """The pieces of one file: makes sets of them and looks into sets."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._width = bitmap_bytes(count) * 8
        self.all = self.span(0, count)

    def one(self, piece: int) -> int:
        return 1 << (self._width - 1 - piece)

    def span(self, first: int, count: int) -> int:
        return ((1 << count) - 1) << (self._width - first - count)

    def of(self, ranges: RangeSet) -> int:
        return int.from_bytes(ranges.to_bitmap(self.count), "big")

    def bitmap(self, pieces: int) -> bytes:
        return pieces.to_bytes(self._width // 8, "big")

    def first_from(self, pieces: int, start: int) -> int:
        """The first piece of a set that is not empty, looking from `start` on and then from the beginning."""
        behind = pieces & ((1 << (self._width - start)) - 1)
        return self._width - (behind or pieces).bit_length()

    def run(self, pieces: int, first: int, most: int) -> int:
        """How many pieces from `first` on are in the set without a gap, counted up to `most`."""
        most = min(most, self._width - first)
        full = (1 << most) - 1
        gaps = (pieces >> (self._width - first - most) & full) ^ full
        return most - gaps.bit_length()

    def each(self, pieces: int) -> Iterator[int]:
        """The pieces of a small set, in order."""
        while pieces:
            piece = self._width - pieces.bit_length()
            yield piece
            pieces ^= self.one(piece)


class Rarity:
    """How many incomplete sources hold each piece. Complete ones count for every piece alike, so for none."""

    def __init__(self, pieces: Pieces) -> None:
        self._levels = [pieces.all]  # [n]: the pieces that exactly n sources hold

    def add(self, held: int) -> None:
        """One more source holds these."""
        self._levels.append(0)
        self._move(held, range(len(self._levels) - 2, -1, -1), 1)

    def remove(self, held: int) -> None:
        """One source less holds these."""
        self._move(held, range(1, len(self._levels)), -1)

    def rarest(self, wanted: int) -> int:
        """Those of the wanted pieces that the fewest sources hold."""
        return next((best for level in self._levels if (best := level & wanted)), 0)

    def _move(self, held: int, levels: range, by: int) -> None:
        for n in levels:
            if moving := self._levels[n] & held:
                self._levels[n] ^= moving
                self._levels[n + by] |= moving
        while len(self._levels) > 1 and not self._levels[-1]:
            self._levels.pop()
