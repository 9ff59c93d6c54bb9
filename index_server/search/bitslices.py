"""A number for every document, kept as one bitmap per binary digit (a bit-sliced index). PURE.

Bitmap i holds the documents whose number has binary digit i set. So a few operations on bitmaps do what would
else be a loop over documents: count a person's ten thousand files as available, or keep those above 5 MB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress

from pyroaring import BitMap

from p2pshare.errors import Misuse

_BITS = bytes(byte & 1 for byte in range(256))  # 1 for "1", 0 for "0"
FEW = 64  # documents whose numbers are put together one by one rather than split by another digit


class BitSlices:
    """Numbers from 0 up. A document that was never mentioned has the number 0."""

    def __init__(self) -> None:
        self._slices: list[BitMap] = []  # the lowest digit first
        self.positive = BitMap()
        """The documents whose number is not 0. Not to be changed by others."""

    @property
    def digits(self) -> Sequence[BitMap]:
        """The bitmaps, that of the lowest digit first."""
        return self._slices

    def put(self, digits: Sequence[BitMap]) -> None:
        """Have these bitmaps instead."""
        self._slices = list(digits)
        self.positive = BitMap().union(*digits)

    def __getitem__(self, document: int) -> int:
        number, worth = 0, 1
        for members in self._slices:
            if document in members:
                number += worth
            worth += worth
        return number

    def of(self, documents: BitMap) -> dict[int, int]:
        """The numbers of a few documents at once."""
        numbers = dict.fromkeys(documents, 0)
        for digit, members in enumerate(self._slices):
            for document in members & documents:
                numbers[document] += 1 << digit
        return numbers

    def change(self, documents: Sequence[int], before: Sequence[int], after: Sequence[int]) -> None:
        """The numbers of these documents, each named once, were `before` and are `after` now."""
        if any(before):
            going = BitMap([*compress(documents, before)])
            for members in self._slices:
                members -= going
            self.positive -= going
        coming, numbers = [*compress(documents, after)], [*filter(None, after)]
        width = max(numbers, default=0).bit_length()
        # All numbers in binary, one below the other; a column says who has a digit.
        table = "".join([f"{number:0{width}b}" for number in numbers]).encode().translate(_BITS)
        for digit in range(width):
            self._slice(digit).update([*compress(coming, table[width - 1 - digit :: width])])
        self.positive.update(coming)

    def increment(self, documents: BitMap) -> None:
        """Add 1 to the number of each."""
        self.positive |= documents
        carry, digit = documents, 0
        while carry:
            members = self._slice(digit)
            carry_on = members & carry
            members ^= carry
            carry, digit = carry_on, digit + 1

    def decrement(self, documents: BitMap) -> None:
        """Take 1 from the number of each; none may be 0."""
        if not documents.issubset(self.positive):
            raise Misuse("a number below 0 is not kept here")
        borrow = documents
        for members in self._slices:
            borrow_on = borrow - members
            members ^= borrow
            borrow = borrow_on
            if not borrow:
                break
        self.positive -= documents.difference(*self._slices)

    def at_least(self, low: int, among: BitMap) -> BitMap:
        """Those of `among` whose number is `low` or more."""
        if low <= 0:
            return among
        if low.bit_length() > len(self._slices):
            return BitMap()
        if len(among) <= FEW:
            return BitMap([document for document in among if self[document] >= low])
        # From the lowest digit that counts to the highest, over all documents: few large bitmaps are faster
        # to combine than many middling ones.
        lowest = (low & -low).bit_length() - 1
        found = among & self._slices[lowest]
        for digit in range(lowest + 1, len(self._slices)):
            if low >> digit & 1:
                found &= self._slices[digit]
            else:
                found |= self._slices[digit]
        return found & among

    def within(self, low: int, high: int, among: BitMap) -> BitMap:
        """Those of `among` whose number is `low` to `high`, both included."""
        if low > high:
            return BitMap()
        found = self.at_least(low, among)
        return found - self.at_least(high + 1, found)

    def ordered(
        self, among: BitMap, count: int, *, least_first: bool, after: tuple[int, int] | None = None
    ) -> list[tuple[int, int]]:
        """The first `count` of `among` as (number, document): by number, equal ones by document.

        `after`: only those behind this place, whether anything stands there or not.
        """
        if after is not None:
            among = self._behind(among, after, least_first)
        picked: list[tuple[int, int]] = []
        # Parts that share their highest digits, in order; the next one on top.
        parts = [(len(self._slices), among)]
        while parts and len(picked) < count:
            digits_left, part = parts.pop()
            if digits_left == 0 or len(part) <= FEW:
                sign = 1 if least_first else -1
                picked += (
                    sorted(
                        ((self[document], document) for document in part),
                        key=lambda place: (sign * place[0], place[1]),
                    )
                    if len(part) <= FEW
                    else [(self[part[0]], document) for document in part[: count - len(picked)]]
                )
                continue
            ones = part & self._slices[digits_left - 1]
            zeros = part - ones
            first, second = (zeros, ones) if least_first else (ones, zeros)
            parts += [(digits_left - 1, half) for half in (second, first) if half]
        return picked[:count]

    def _behind(self, among: BitMap, after: tuple[int, int], least_first: bool) -> BitMap:
        number, document = after
        not_less, more = self.at_least(number, among), self.at_least(number + 1, among)
        equal = not_less - more
        later = equal[equal.rank(document) :]
        return (more if least_first else among - not_less) | later

    def octaves(self, among: BitMap) -> Iterator[tuple[int, BitMap]]:
        """(digit, those of `among` with 2^digit <= number < 2^(digit + 1)), the largest numbers first."""
        rest = among.copy()
        for digit in reversed(range(len(self._slices))):
            members = rest & self._slices[digit]
            if members:
                yield digit, members
                rest -= members

    def _slice(self, digit: int) -> BitMap:
        while digit >= len(self._slices):
            self._slices.append(BitMap())
        return self._slices[digit]
