"""What a source tells of one file: that it holds more of it, and how many pieces it gives in turns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from client.engine.downloads.plan import Plan
from client.engine.network.peers import PeerLink
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId


class Hearing:
    """On one connection. What is told before the source has joined the plan is kept until then."""

    def __init__(self, link: PeerLink, node: NodeId, arrange: Callable[[], None]) -> None:
        """`arrange` is called when more may be asked for."""
        self.joined = False
        self.in_turns = False
        """They give the file in turns."""
        self._link = link
        self._node = node
        self._arrange = arrange
        self._plan: Plan | None = None
        self._early: list[Callable[[], None]] = []
        self._file: FileId | None = None

    def listen(self, file: FileId) -> None:
        self._file = file
        self._link.haves[file], self._link.turns[file] = self._has, self._allows

    def join(self, plan: Plan, *, in_turns: bool) -> None:
        """The source stands in the plan now."""
        self._plan, self.joined, self.in_turns = plan, True, in_turns
        if in_turns:
            plan.source_allows(self._node, 0)
        early, self._early = self._early, []
        for hear in early:
            hear()

    def leave(self) -> None:
        """No more of this file."""
        self.joined = False
        if self._file is not None:
            self._link.haves.pop(self._file, None)
            self._link.turns.pop(self._file, None)

    def _has(self, pieces: tuple[int, ...]) -> None:
        if self._plan is None:
            self._early.append(partial(self._has, pieces))
        else:
            self._plan.source_has(self._node, pieces)
            self._arrange()

    def _allows(self, pieces: int) -> None:
        if self._plan is None:
            self._early.append(partial(self._allows, pieces))
        elif self.in_turns:
            self._plan.source_allows(self._node, pieces)
            self._arrange()
