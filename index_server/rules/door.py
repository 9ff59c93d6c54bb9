"""Who is turned away before the handshake, which is what somebody who floods us wants to be given."""

from __future__ import annotations

from collections.abc import Callable

from index_server.budgets import Budgets
from index_server.rules.moderation import Moderation
from p2pshare.errors import Refused
from p2pshare.session.budget import TokenBucket
from p2pshare.transport.serve import Gate

TOLD_PER_MINUTE = 2  # from one banned address: enough for a person to read why, too few to wear us out
TOLD_PER_S = 10  # from all banned addresses together


class Door(Gate):
    """A gate that knows the bans of addresses.

    Whoever is banned by address hears it at the login, and that takes a handshake. So a few of them are let
    in that far; the rest costs no more than the look at a table.
    """

    def __init__(
        self, rules: Moderation, *, total_max: int, per_address_max: int, clock: Callable[[], float]
    ) -> None:
        """`clock` never jumps."""
        super().__init__(total_max=total_max, per_address_max=per_address_max)
        self._rules = rules
        self._clock = clock
        self._told = Budgets()
        self._all_told = TokenBucket(TOLD_PER_S, TOLD_PER_S, clock())

    def enter(self, host: str) -> bool:
        return (not self._rules.host_is_banned(host) or self._may_hear_why(host)) and super().enter(host)

    def _may_hear_why(self, host: str) -> bool:
        now = self._clock()
        try:
            self._told.take(host, "words", most=TOLD_PER_MINUTE, period_s=60, now=now)
        except Refused:
            return False
        return self._all_told.take(1, now)
