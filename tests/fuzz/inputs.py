"""Inputs for a target: sound ones cut, spliced and sprinkled, or anything at all."""

from __future__ import annotations

from functools import cache

from hypothesis import strategies as st

from tests.fuzz.corpus import corpus

PLACES = st.integers(0, 4_096)
INTERESTING = [
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xc0",
    b"\xdc\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\n",
    b'"',
]
BITS = st.sampled_from(INTERESTING) | st.binary(min_size=1, max_size=4)


@cache
def inputs(target: str) -> st.SearchStrategy[bytes]:
    seeds = st.sampled_from(corpus(target))
    spliced = st.builds(_splice, seeds, seeds, PLACES, PLACES)
    sprinkled = st.builds(_sprinkle, seeds, st.lists(st.tuples(PLACES, BITS), max_size=4))
    return st.one_of(seeds, spliced, sprinkled, st.binary(max_size=400))


def _splice(one: bytes, other: bytes, end: int, start: int) -> bytes:
    return one[: end % (len(one) + 1)] + other[start % (len(other) + 1) :]


def _sprinkle(seed: bytes, changes: list[tuple[int, bytes]]) -> bytes:
    data = bytearray(seed)
    for at, bits in changes:
        start = at % (len(data) + 1)
        data[start : start + len(bits)] = bits
    return bytes(data)
