"""A number for every document, kept as one bitmap per binary digit (a bit-sliced index). PURE.

Bitmap i holds the documents whose number has binary digit i set. So a few operations on bitmaps do what would
else be a loop over documents: count a person's ten thousand files as available, or keep those above 5 MB.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyroaring import BitMap

from p2pshare.errors import Misuse


class BitSlices:
    """Numbers from 0 up. A document that was never mentioned has the number 0."""

    def __init__(self) -> None:
        self._slices: list[BitMap] = []  # the lowest digit first
        self.positive = BitMap()
        """The documents whose number is not 0. Not to be changed by others."""

    def __getitem__(self, document: int) -> int:
        return sum(1 << digit for digit, members in enumerate(self._slices) if document in members)

    def change(self, document: int, before: int, after: int) -> None:
        """The number of a document was `before` and is `after` now."""
        different = before ^ after
        while different:
            digit = (different & -different).bit_length() - 1  # of the lowest difference
            different &= different - 1
            if after >> digit & 1:
                self._slice(digit).add(document)
            else:
                self._slices[digit].remove(document)
        if before and not after:
            self.positive.remove(document)
        elif after:
            self.positive.add(document)

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
        if low.bit_length() > len(self._slices):
            return BitMap()
        above, equal = BitMap(), among.copy()  # judged by the digits seen so far, the highest first
        for digit in reversed(range(len(self._slices))):
            if not equal:
                break
            if low >> digit & 1:
                equal &= self._slices[digit]
            else:
                above |= equal & self._slices[digit]
                equal -= self._slices[digit]
        return above | equal

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
