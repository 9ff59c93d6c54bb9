"""Numbers in bitmaps; tests/property/test_catalogue.py holds them against a plain counter."""

from __future__ import annotations

import pytest
from pyroaring import BitMap

from index_server.search.bitslices import BitSlices
from p2pshare.errors import Misuse


def test_a_number_below_zero_is_our_own_mistake() -> None:
    slices = BitSlices()
    slices.increment(BitMap([1]))
    with pytest.raises(Misuse):
        slices.decrement(BitMap([1, 2]))
    assert (slices[1], slices[2]) == (1, 0)


def test_the_documents_that_are_counted_are_not_changed() -> None:
    slices, shelf = BitSlices(), BitMap([1, 2])
    for _ in range(3):
        slices.increment(shelf)
    slices.decrement(shelf)
    assert shelf == BitMap([1, 2])
    assert slices[1] == 2
