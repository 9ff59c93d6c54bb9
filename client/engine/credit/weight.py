"""What somebody's priority with us is: the rule. PURE.

Rule 1: nobody has less than a stranger. A key costs nothing, so whoever had less would come back as a
        stranger; and a newcomer is always served.
Rule 2: only what they gave *us* counts, as our own signature says. What others say they gave others could be
        made up by one person with two keys.
Rule 3: it is bounded, and what they take from us uses it up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from p2pshare.limits import MIB

STRANGER = 1.0
WEIGHT_MAX = 4.0
UNSIGNED_MAX = 64 * MIB  # not signed by the taker: on its way, thrown away, or lost in a crash ...
UNSIGNED_PART = 8  # ... and so can be one byte of so many; beyond both they do not want to sign


@dataclass(frozen=True, slots=True)
class Flow:
    """What went from one person to another, ever, in bytes."""

    counted: int = 0
    """By our own count."""
    signed: int = 0
    """By the newest receipt that both signed."""

    @property
    def unsigned(self) -> int:
        return max(0, self.counted - self.signed)


NOTHING = Flow()


def refuses_to_sign(given: Flow) -> bool:
    """Whether they took this from us and keep silent about much of it."""
    return given.unsigned > UNSIGNED_MAX and given.unsigned > given.counted // UNSIGNED_PART


def weight(*, given: Flow, taken: Flow) -> float:
    """By how much the time that they wait with us counts more than a stranger's: from 1 to 4.

    `given` went from us to them, `taken` from them to us. Like eMule's: it grows with the root of what they
    gave (4 from 15 MiB on), and is at most twice what they gave for each byte that they took.
    """
    if refuses_to_sign(given):
        return STRANGER
    grown = math.sqrt(1 + taken.signed / MIB)
    spent = max(given.counted, given.signed)
    earned = min(grown, 2 * taken.signed / spent) if spent else grown
    return min(WEIGHT_MAX, max(STRANGER, earned))
