"""Which pieces of a file are needed first while it is played. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from p2pshare.hashing import piece_count
from p2pshare.limits import KIB, MIB

AHEAD_S = 20.0  # of playing, at the rate at which the player reads ...
AHEAD_BYTES_MIN = 8 * MIB  # ... and at least so much; what lies behind comes in the order best for the swarm
AHEAD_BYTES_MAX = 64 * MIB
NEXT_PIECES = 2  # of every reader before anything else: the one it waits for and the one behind
HEAD_BYTES = 512 * KIB  # players look here first,
TAIL_BYTES = 128 * KIB  # then here: the index of a film or the tags of a song may stand at the end
PIECES_MAX = 512  # enough for the longest window of 64 KiB pieces at a film's rate


@dataclass(frozen=True)
class Reading:
    """Somebody reads a file from `position` up to `end`, at `rate` bytes a second."""

    position: int
    end: int
    rate: float


def wanted_first(readings: Sequence[Reading], size: int, piece_size: int) -> tuple[int, ...]:
    """Pieces in the order in which they should come; the rest of the file behind them."""
    if not size:
        return ()
    last = piece_count(size, piece_size) - 1
    ahead = [_ahead(reading, piece_size) for reading in readings if reading.position < reading.end]
    head = range(0, min(last, (HEAD_BYTES - 1) // piece_size) + 1)
    tail = range(max(0, size - TAIL_BYTES) // piece_size, last + 1)
    order = chain(_in_turns([pieces[:NEXT_PIECES] for pieces in ahead]), head, tail, _in_turns(ahead))
    return tuple(dict.fromkeys(order))[:PIECES_MAX]


def _ahead(reading: Reading, piece_size: int) -> range:
    size = min(AHEAD_BYTES_MAX, max(AHEAD_BYTES_MIN, reading.rate * AHEAD_S))
    end = min(reading.end, reading.position + int(size))
    return range(reading.position // piece_size, (end - 1) // piece_size + 1)


def _in_turns(ranges: Sequence[range]) -> Iterator[int]:
    return (piece for turn in zip_longest(*ranges) for piece in turn if piece is not None)
