"""What the engine takes from the machine it runs on. A simulation gives it another machine."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from client.engine.offload import Offload, Threads
from p2pshare.transport.network import TCP, Network


@dataclass(frozen=True)
class Machine:
    """The real one by default."""

    network: Network = TCP
    offload: Offload = field(default_factory=Threads)
    database_threads: bool = True
    watch_folders: bool = True
    lan_interfaces: tuple[str, ...] | None = None
    """Addresses to find people on; None for every one of the machine."""
    random_bytes: Callable[[int], bytes] = os.urandom
    chance: random.Random = field(default_factory=random.SystemRandom)
    unix_now: Callable[[], float] = time.time
    local_time: Callable[[float], datetime] = datetime.fromtimestamp
    """The clock on the wall at a Unix time, without a time zone."""
