"""Index servers are told how long one waits for an upload slot here, so that searchers know where to go."""

from __future__ import annotations

from collections.abc import Callable

import trio

from client.engine.network.servers import Servers
from p2pshare.identity import NodeId
from p2pshare.wire.index import Slots

LOOK_S = 5.0  # SLOTS_PER_MINUTE as seconds between two
NEWS = 2  # a wait that is so many times longer or shorter than what was told is told again


class SlotsTold:
    """`run` beside everything."""

    def __init__(self, servers: Servers, wait_s: Callable[[], int]) -> None:
        """`wait_s`: how long somebody new would wait; 0 if a slot is free."""
        self._servers = servers
        self._wait_s = wait_s
        self._told: dict[NodeId, tuple[int, int]] = {}  # by server: the login, and what was told since then

    async def run(self) -> None:
        """For ever."""
        while True:
            wait_s = self._wait_s()
            for link in self._servers.online():
                login, told_s = self._told.get(link.node, (0, 0))
                if login != link.logins or is_news(told_s, wait_s):
                    link.tell(Slots(wait_s=wait_s))
                    self._told[link.node] = link.logins, wait_s
            await trio.sleep(LOOK_S)


def is_news(told_s: int, wait_s: int) -> bool:
    """Whether it makes a difference to somebody who has to choose."""
    return (wait_s == 0) != (told_s == 0) or not told_s <= wait_s * NEWS <= told_s * NEWS * NEWS
