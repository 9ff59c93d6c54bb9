"""The door for players: a port on this machine that nobody else can reach."""

from __future__ import annotations

import logging

import trio

from client.engine.playback.talk import Find, Talk
from p2pshare.transport.network import Network

HOST = "127.0.0.1"  # never another one: whoever knows an address may read the file
TALKS_MAX = 64  # connections; a browser opens six

log = logging.getLogger(__name__)


class Door:
    """Opened when the first file is played."""

    def __init__(self, network: Network, nursery: trio.Nursery, find: Find) -> None:
        self.port = 0
        self._network = network
        self._nursery = nursery
        self._find = find
        self._hosts: frozenset[str] = frozenset()
        self._opening = trio.Lock()
        self._talks: dict[Talk, trio.CancelScope] = {}

    async def open(self) -> None:
        """Raises `LocalTrouble`."""
        async with self._opening:
            if self.port:
                return
            listeners = await self._network.listen(HOST, 0)
            self.port = self._network.port(listeners)
            self._hosts = frozenset({f"{HOST}:{self.port}", f"localhost:{self.port}"})
            self._nursery.start_soon(trio.serve_listeners, self._welcome, list(listeners))

    async def _welcome(self, stream: trio.abc.Stream) -> None:
        async with stream:
            if len(self._talks) >= TALKS_MAX and not self._make_room():
                return
            talk = Talk(stream, self._hosts, self._find)
            with trio.CancelScope() as scope:
                self._talks[talk] = scope
                try:
                    await talk.run()
                except Exception:  # of one connection; the engine and the other players go on
                    log.exception("A connection of a player failed.")
                finally:
                    del self._talks[talk]

    def _make_room(self) -> bool:
        """Strangers leave, the first one first: they may be there only to keep players out."""
        for talk, scope in self._talks.items():
            if not talk.welcome and not scope.cancel_called:
                scope.cancel()
                return True
        return False
