"""How the server feels: whether its loop keeps up, and how many were online in the last half hour."""

from __future__ import annotations

from collections import deque

import trio

from index_server.measures import LATELY, SLOT_S, SLOTS
from index_server.online import Online

BEAT_S = 0.5


class Pulse:
    """`run` beats beside the server."""

    def __init__(self, online: Online) -> None:
        self._online = online
        self._late: deque[float] = deque(maxlen=int(LATELY * SLOT_S / BEAT_S))
        self.people: deque[int] = deque(maxlen=SLOTS)
        """How many were online, every ten seconds, oldest first."""

    @property
    def late_s(self) -> float:
        """How long somebody had to wait, at worst, for the server to turn to them within the last minute."""
        return max(self._late, default=0.0)

    async def run(self) -> None:
        next_look = trio.current_time()
        while True:
            started = trio.current_time()
            if started >= next_look:
                self.people.append(len(self._online))
                next_look = started + SLOT_S
            await trio.sleep(BEAT_S)
            self._late.append(max(0.0, trio.current_time() - started - BEAT_S))
