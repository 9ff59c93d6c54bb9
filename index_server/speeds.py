"""How fast people give to others, as far as those who took from them have signed for it. PURE.

A receipt says how much went from a giver to a taker so far, and both signed it. Two of them, told by the
taker a little while apart, say how much went in between, and the server's own clock how long that took. What
somebody says of their own line counts for nothing, and neither does one friend: a giver is as fast as TAKERS
people found them to be. Whoever makes up as many accounts can still lie about it; so it is for choosing only,
and nobody is served better or worse for it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from p2pshare.identity import NodeId
from p2pshare.receipts import Receipt
from p2pshare.wire.fields import SpeedClass

TAKERS = 3
TAKERS_KEPT = 16  # of one giver: those who took last
GIVERS_KEPT = 50_000  # some 100 MB at most; the one of whom nothing was heard for longest is forgotten
APART_MIN_S = 20.0  # two receipts told closer together may have been signed further apart
APART_MAX_S = 600.0  # after a longer time most of it was a pause
_MB = 1_000_000
LEAST = ((100 * _MB, SpeedClass.VERY_FAST), (10 * _MB, SpeedClass.FAST), (_MB, SpeedClass.MEDIUM))


@dataclass(slots=True)
class _Taken:
    """What one taker signed for."""

    total: int
    at: float
    bytes_per_s: float = 0.0


_Takers = OrderedDict[NodeId, _Taken]  # who took last stands last


class Speeds:
    """Of the givers of whom something was heard lately."""

    def __init__(self) -> None:
        self._givers: OrderedDict[NodeId, _Takers] = OrderedDict()

    def of(self, giver: NodeId) -> SpeedClass:
        """What enough people found."""
        known = self._givers.get(giver)
        if known is None or len(known) < TAKERS:
            return SpeedClass.UNKNOWN
        found = sorted((taken.bytes_per_s for taken in known.values()), reverse=True)[TAKERS - 1]
        return next((speed for least, speed in LEAST if found >= least), SpeedClass.UNKNOWN)

    def note(self, receipt: Receipt, now: float) -> None:
        """The taker told a receipt with both signatures, and a total that is news."""
        takers = self._givers.pop(receipt.giver, None) or OrderedDict()
        self._givers[receipt.giver] = takers
        before = takers.pop(receipt.taker, None)
        taken = takers[receipt.taker] = _Taken(receipt.total, now)
        if before is not None:
            apart_s = now - before.at
            taken.bytes_per_s = before.bytes_per_s
            if apart_s < APART_MIN_S:
                taken.total, taken.at = before.total, before.at  # measured with the next one
            elif apart_s <= APART_MAX_S:
                taken.bytes_per_s = (receipt.total - before.total) / apart_s
        if len(takers) > TAKERS_KEPT:
            takers.popitem(last=False)
        if len(self._givers) > GIVERS_KEPT:
            self._givers.popitem(last=False)
