"""The small lane for who wants to look at a file before they wait for it: no slot, but little. Pure.

One at a time for each person, only the beginning and the end of a file, and so much an hour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from p2pshare.errors import Reason, Refused
from p2pshare.hashing import piece_count
from p2pshare.identity import NodeId
from p2pshare.limits import MIB, PREVIEW_BYTES

HOUR_BYTES = 32 * MIB  # of one person: both ends of a film of some gigabytes, or of a dozen songs
HOUR_S = 3600.0
PEOPLE_MAX = 10_000  # remembered


@dataclass
class _Purse:
    left_bytes: float
    at: float


class Previews:
    """Who may look at how much more. What was used comes back evenly over an hour."""

    def __init__(self) -> None:
        self._purses: dict[NodeId, _Purse] = {}

    def begin(self, person: NodeId, size: int, now: float) -> None:
        """They want so many bytes. Raises Refused(TOO_MUCH) if they had enough, and says until when."""
        purse = self._purses.pop(person, None) or _Purse(HOUR_BYTES, now)
        per_s = HOUR_BYTES / HOUR_S
        purse.left_bytes = min(HOUR_BYTES, purse.left_bytes + (now - purse.at) * per_s)
        purse.at = now
        self._purses[person] = purse
        if len(self._purses) > PEOPLE_MAX:
            del self._purses[next(iter(self._purses))]  # who looked longest ago
        if size > purse.left_bytes:
            retry_s = math.ceil((size - purse.left_bytes) / per_s)
            raise Refused(Reason.TOO_MUCH, "Enough previews for now. Wait for a slot, or try later.", retry_s)
        purse.left_bytes -= size


def is_preview(first: int, count: int, size: int, piece_size: int) -> bool:
    """Whether these pieces lie at the beginning or at the end of a file."""
    pieces, some = piece_count(size, piece_size), max(1, PREVIEW_BYTES // piece_size)
    return first + count <= some or first >= pieces - some
