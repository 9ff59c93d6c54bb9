"""The copies of one document: records of 16 bytes in one bytearray, by account and offer. PURE.

An object of Python's own would cost ten times as much. Numbers are big-endian, so that records compare as the
numbers do.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from p2pshare.errors import Misuse

NAMED_BY = 16  # copies whose names and tags lead to a document, those of the oldest accounts; more is noise

Name = tuple[str, int, bytes, str]  # path, size, tags as in `Entry`, text as made by `entry.search_text`
Names = tuple[Name, ...]

RECORD = struct.Struct(">IIQ")  # account; offer; and changed << 16 | partial << 8 | number of the name
KEY = struct.Struct(">II")
ABOUT = struct.Struct(">8xQ")
BYTES = RECORD.size
LEADING = NAMED_BY * BYTES
# Where a record says when it was changed.
DATE = KEY.size
DATE_END = DATE + 6
NEVER = bytes(6)
_SCANNED = 1 << 12  # bytes of records that are searched for a copy rather than halved again and again
PARTIAL, NUMBER = 0x100, 0xFF  # within a record's last number: a flag, and the number of the name


class Copy(NamedTuple):
    """Who offers a document, and under which number."""

    account: int
    offer: int
    about: int
    """When it was changed << 16, PARTIAL if it is, and the number of its name."""

    @property
    def partial(self) -> bool:
        return self.about & PARTIAL > 0


COPY: Callable[[tuple[int, int, int]], Copy] = partial(tuple.__new__, Copy)
"""Without a call of Python's for each: a search reads hundreds."""


def adds_nothing(names: Names, others: bytearray, number: int, changed: int) -> bool:
    """Whether a copy beside these others, all of which count, leaves what a document is found by as it is.
    Never says so wrongly."""
    [(_, size, tags, _), *more] = names
    if number not in others[BYTES - 1 :: BYTES]:
        return False
    if more and any(name[1] != size or name[2] != tags for name in more):
        return False
    return not changed or 0 < min(ABOUT.iter_unpack(others))[0] >> 16 <= changed


def find(data: bytearray, key: bytes) -> int:
    """Where the copy of this account and offer stands."""
    at = data.find(key) if len(data) <= _SCANNED else -1
    if at < 0 or at % BYTES:  # too many, or the same bytes by chance within other copies
        at = place(data, key)
        if data[at : at + KEY.size] != key:
            raise Misuse("a copy was removed that is not there")
    return at


def is_beside_own(data: bytearray, at: int) -> bool:
    """Whether the account of a copy holds another one: they stand side by side."""
    owner = data[at : at + 4]
    return (at > 0 and data[at - BYTES : at - BYTES + 4] == owner) or (
        data[at + BYTES : at + BYTES + 4] == owner
    )


def place(data: bytearray, key: bytes) -> int:
    """Where the first copy stands whose account and offer are not below the key."""
    low, high = 0, len(data) // BYTES
    while low < high:
        middle = (low + high) // 2
        if data[middle * BYTES : middle * BYTES + KEY.size] < key:
            low = middle + 1
        else:
            high = middle
    return low * BYTES
