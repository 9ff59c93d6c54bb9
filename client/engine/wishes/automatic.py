"""Which files that were found for a wish are downloaded by themselves. PURE."""

from __future__ import annotations

from collections.abc import Iterable

from client.engine.settings import WishRules
from client.engine.status import ResultView
from p2pshare.limits import MIB

DAY_S = 86_400.0


def objection(result: ResultView, rules: WishRules) -> str:
    """Why this file is left to the person, in one sentence; empty if it may be downloaded."""
    if result.have:
        return "You have it already."
    if rules.size_max and result.size > rules.size_max * MIB:
        return f"It is larger than {rules.size_max:,} MiB (the setting wishes.size_max)."
    if rules.kinds and result.kind not in rules.kinds:
        return f"It is {result.kind}, and wishes.kinds names {', '.join(rules.kinds)} only."
    return ""


def room(rules: WishRules, begun_at: Iterable[float], unix_now: float) -> int:
    """How many more may begin now, when the latest ones began at these times."""
    return max(0, rules.per_day - sum(at > unix_now - DAY_S for at in begun_at))
