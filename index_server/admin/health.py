"""What is wrong with the server, in sentences that say what to do. PURE."""

from __future__ import annotations

from dataclasses import dataclass

NEARLY = 0.9  # of a limit that this much is used
LATE_S = 0.5
DISK_BYTES_MIN = 1 << 30


@dataclass(frozen=True)
class Signs:
    """What can be seen from outside."""

    filled: bool
    """Everything on disk can be found."""
    online: int
    connections_max: int
    files_open: int
    files_open_max: int
    """0 where there is no limit, or none is known."""
    late_s: float
    disk_free_bytes: int


def problems(signs: Signs) -> tuple[str, ...]:
    """The worst first; empty if all is well."""
    found = []
    if signs.disk_free_bytes < DISK_BYTES_MIN:
        free = signs.disk_free_bytes // (1 << 20)
        found.append(
            f"The disk has {free:,} MB left. Free some space: on a full disk nobody can register or offer."
        )
    if signs.files_open_max and signs.files_open > NEARLY * signs.files_open_max:
        found.append(
            f"{signs.files_open:,} of {signs.files_open_max:,} open files are used. Raise the limit of the"
            " system."
        )
    if signs.online > NEARLY * signs.connections_max:
        found.append(
            f"{signs.online:,} of {signs.connections_max:,} connections are used. Raise connections.total."
        )
    if signs.late_s > LATE_S:
        found.append(
            f"Somebody had to wait {signs.late_s:.1f} s for the processor within the last minute: the machine"
            " is too busy, with this or with something else."
        )
    if not signs.filled:
        found.append("What people offer is being read from disk; until then searches find part of it.")
    return tuple(found)
