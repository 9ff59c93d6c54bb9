"""What two hellos lead to. Pure, and the same at both ends whoever asks."""

from __future__ import annotations

from dataclasses import dataclass

from p2pshare.errors import CloseCode, PeerFault
from p2pshare.wire.session import Hello


@dataclass(frozen=True, slots=True)
class Settled:
    """What both sides speak on this connection."""

    version: int
    capabilities: frozenset[str]


def settle(mine: Hello, theirs: Hello) -> Settled:
    """The highest version that both speak and the capabilities that both have. Raises `PeerFault`."""
    shared = set(mine.versions) & set(theirs.versions)
    if not shared:
        raise PeerFault(
            CloseCode.NO_COMMON_VERSION,
            f"No common protocol version: we speak {_listed(mine.versions)}, they speak"
            f" {_listed(theirs.versions)}. The side with the older program needs an update.",
        )
    return Settled(max(shared), frozenset(mine.capabilities) & frozenset(theirs.capabilities))


def _listed(versions: tuple[int, ...]) -> str:
    return ", ".join(str(version) for version in sorted(set(versions)))
