"""What a download needs of the engine around it."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from client.engine.beneath import Stamp
from client.engine.network.peers import Peers
from client.engine.offload import Offload
from p2pshare.database import Database
from p2pshare.hashing import FileId, PieceHashes
from p2pshare.identity import NodeId
from p2pshare.wire.fields import Source


@dataclass(frozen=True)
class Surroundings:
    """The same for all downloads."""

    database: Database
    offload: Offload
    peers: Peers
    find_sources: Callable[[FileId], Awaitable[list[tuple[NodeId, Source]]]]
    adopt: Callable[[Path, PieceHashes], Awaitable[Stamp | None]]
    """Called with the finished file; its stamp if it should be served from where it is."""
    throttle: Callable[[int], Awaitable[None]]
    """Waits until so many bytes may arrive."""
    unix_now: Callable[[], float]
    chance: random.Random
