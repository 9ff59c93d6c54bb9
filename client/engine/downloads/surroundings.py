"""What a download needs of the engine around it."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from client.engine.beneath import Stamp
from client.engine.distrust import Distrust
from client.engine.network.peers import Peers
from client.engine.offload import Offload
from p2pshare.database import Database
from p2pshare.hashing import FileId, PieceHashes
from p2pshare.identity import NodeId
from p2pshare.wire.fields import Source


class Throttle(Protocol):
    """The limits of what may arrive."""

    async def __call__(self, person: NodeId, size: int, waiting: Callable[[], None] = ..., /) -> None:
        """So many bytes came from somebody: wait as long as no more may come. `waiting` is called every few
        seconds of that."""


@dataclass(frozen=True)
class Surroundings:
    """The same for all downloads."""

    database: Database
    offload: Offload
    peers: Peers
    find_sources: Callable[[FileId], Awaitable[list[tuple[NodeId, Source]]]]
    adopt: Callable[[Path, PieceHashes], Awaitable[Stamp | None]]
    """Called with the finished file; its stamp if it should be served from where it is."""
    adopt_all: Callable[[list[tuple[str, Stamp, PieceHashes]]], Awaitable[list[Stamp | None]]]
    """The same for many small files at once, by their paths and what they were when they were written."""
    throttle: Throttle
    unthrottled: Callable[[], bool]
    """Whether nobody has to wait there at the moment."""
    took: Callable[[NodeId, str, int], None]
    """Told of every verified byte: from whom (and their nick), how many."""
    distrust: Distrust
    unix_now: Callable[[], float]
    chance: random.Random
