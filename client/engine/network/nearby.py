"""Index servers on the local network, as invites."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from p2pshare.identity import NodeId
from p2pshare.links import Invite
from p2pshare.transport.discover import Found, Kind, look_for

ANSWER_S = 2.5  # zeroconf asks three times within this
OTHERS_S = 0.5  # where one answered, others do so soon


async def nearby_servers(interfaces: Sequence[str] | None = None) -> tuple[Invite, ...]:
    """Those that answer within ANSWER_S. Raises LocalTrouble if the network does not let us ask."""
    found: dict[NodeId, Invite] = {}
    with trio.move_on_after(ANSWER_S) as patience:
        async with look_for(Kind.INDEX, interfaces) as sightings:
            async for sighting in sightings:
                if isinstance(sighting, Found):
                    found[sighting.node] = Invite(sighting.node, sighting.addresses, sighting.name)
                    patience.deadline = min(patience.deadline, trio.current_time() + OTHERS_S)
    return tuple(found.values())
