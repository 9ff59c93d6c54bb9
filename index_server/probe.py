"""Can a client be connected to from outside? The server tries, and so learns it first-hand.

Rule 1: it connects to the address that the client's own connection comes from, and nowhere else, so that
        nobody can aim it at a third party.
Rule 2: it says nothing there but the handshake, and believes only the client's own key.
"""

from __future__ import annotations

import trio

from p2pshare.addresses import Address, is_loopback
from p2pshare.errors import Disconnected, PeerFault
from p2pshare.identity import NodeId
from p2pshare.limits import PORT_TEST_TIMEOUT_S
from p2pshare.transport.dial import dial
from p2pshare.transport.endpoint import Endpoint

PORT_MIN = (
    1_024  # below are the services of a system, which no client runs and nobody should make us knock at
)


async def port_problem(endpoint: Endpoint, address: Address, client: NodeId) -> str:
    """Empty if `client` answers at `address`, else what went wrong, in one sentence fit to show."""
    if address.port < PORT_MIN and not is_loopback(address.host):
        return f"Ports below {PORT_MIN} are not tested. Choose a higher one."
    try:
        with trio.fail_after(PORT_TEST_TIMEOUT_S):
            async with dial(endpoint, [address], client):
                return ""
    except trio.TooSlowError:
        return f"{address} did not answer in {PORT_TEST_TIMEOUT_S} s. A firewall or router may be in the way."
    except (Disconnected, PeerFault) as error:
        return f"The test failed: {error}"
