from __future__ import annotations

import pytest

from p2pshare.errors import BadMessage, Misuse
from p2pshare.ranges import RangeSet, bitmap_bytes


def test_neighbours_and_overlaps_become_one_range() -> None:
    ranges = RangeSet([range(0, 2), range(4, 6)])
    ranges.add(2, 4)
    assert list(ranges) == [range(0, 6)]
    ranges.add(3, 9)
    assert list(ranges) == [range(0, 9)]
    assert ranges.count == 9


def test_removing_from_the_middle_leaves_two_ranges() -> None:
    ranges = RangeSet([range(0, 10)])
    ranges.remove(3, 5)
    assert list(ranges) == [range(0, 3), range(5, 10)]
    assert 2 in ranges
    assert 3 not in ranges
    assert 5 in ranges
    assert -1 not in ranges


def test_gaps_are_what_is_missing_within_bounds() -> None:
    ranges = RangeSet([range(2, 4), range(6, 8)])
    assert list(ranges.gaps(0, 10)) == [range(0, 2), range(4, 6), range(8, 10)]
    assert list(ranges.gaps(3, 7)) == [range(4, 6)]
    assert list(ranges.gaps(2, 4)) == []
    assert list(ranges.gaps(5, 5)) == []
    assert list(RangeSet().gaps(1, 3)) == [range(1, 3)]


def test_a_copy_goes_its_own_way() -> None:
    ranges = RangeSet([range(0, 3)])
    copy = RangeSet(ranges)
    assert copy == ranges
    copy.add(5, 6)
    assert copy != ranges
    assert ranges != [range(0, 3)]


def test_an_empty_set_is_false_and_has_a_readable_repr() -> None:
    assert not RangeSet()
    assert repr(RangeSet([range(0, 3), range(5, 6)])) == "RangeSet([0..3, 5..6])"


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 2)])
def test_impossible_ranges_are_our_own_mistake(start: int, stop: int) -> None:
    for change in (RangeSet().add, RangeSet().remove):
        with pytest.raises(Misuse):
            change(start, stop)


def test_the_first_number_is_the_highest_bit() -> None:
    assert RangeSet([range(0, 1), range(8, 10)]).to_bitmap(10) == bytes([0b1000_0000, 0b1100_0000])
    assert RangeSet().to_bitmap(0) == b""
    assert RangeSet.from_bitmap(b"", 0) == RangeSet()
    assert [bitmap_bytes(count) for count in (0, 1, 8, 9)] == [0, 1, 1, 2]


def test_a_set_beyond_its_bitmap_is_our_own_mistake() -> None:
    with pytest.raises(Misuse):
        RangeSet([range(0, 11)]).to_bitmap(10)
    with pytest.raises(Misuse):
        RangeSet.from_bitmap(b"\xff\xff", 10)


@pytest.mark.parametrize(("data", "count"), [(b"", 1), (b"\0", 0), (b"\0\0", 8), (b"\0", 9), (b"\0\x20", 10)])
def test_bitmaps_of_the_wrong_length_or_with_bits_in_the_padding_are_refused(data: bytes, count: int) -> None:
    with pytest.raises(BadMessage):
        RangeSet.from_bitmap_untrusted(data, count)
