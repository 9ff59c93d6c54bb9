"""Can a client be connected to from outside? The server tries, and so learns it first-hand.

Rule 1: it connects to the address that the client's own connection comes from, and nowhere else, so that
        nobody can aim it at a third party.
Rule 2: it says nothing there but the handshake, and believes only the client's own key.
"""

from __future__ import annotations

from collections import OrderedDict

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
GOOD_FOR_S = 600.0  # people whose program starts anew, or who lose a line for a while, are back by then
GOOD_MAX = 20_000  # some 8 MB; beyond, the oldest are forgotten


class PortTests:
    """Tests of everybody's ports. A good one is remembered for a while, for those who leave and come back."""

    def __init__(self, endpoint: Endpoint, at_once: int) -> None:
        self._endpoint = endpoint
        self._room = trio.CapacityLimiter(at_once)
        self._good: OrderedDict[tuple[NodeId, Address], float] = OrderedDict()  # the oldest first

    async def problem(self, address: Address, client: NodeId, *, again: bool) -> str:
        """As `port_problem`. `again`: the client asks for another test, so nothing is remembered."""
        self._forget_old()
        if not again and (client, address) in self._good:
            return ""
        self._good.pop((client, address), None)
        async with self._room:
            problem = await port_problem(self._endpoint, address, client)
        if not problem:
            self._good[client, address] = trio.current_time()
            self._good.move_to_end((client, address))
        return problem

    def _forget_old(self) -> None:
        """None too many, and none too old."""
        since = trio.current_time() - GOOD_FOR_S
        while self._good and (len(self._good) >= GOOD_MAX or next(iter(self._good.values())) < since):
            self._good.popitem(last=False)


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
