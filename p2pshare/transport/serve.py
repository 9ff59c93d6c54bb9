"""Being connected to: every connection gets a handshake with a time limit and a handler of its own.

One connection that fails, whatever way, ends alone.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Awaitable, Callable, Sequence

import trio

from p2pshare.addresses import Address
from p2pshare.errors import CloseCode, Disconnected, PeerFault, Refused
from p2pshare.limits import KEY_BYTES
from p2pshare.session.session import Session
from p2pshare.session.states import Party
from p2pshare.transport.channel import Channel, run_channel
from p2pshare.transport.endpoint import Endpoint
from p2pshare.transport.greet import greet

log = logging.getLogger("p2pshare.serve")

Handler = Callable[[Channel], Awaitable[None]]


class Gate:
    """Who may come in at all: counts connections, in total and for each address. Pure."""

    def __init__(self, *, total_max: int = 10_000, per_address_max: int = 64) -> None:
        """`per_address_max` leaves room for a household or an office behind one address."""
        self.total = 0
        self._total_max = total_max
        self._per_address_max = per_address_max
        self._of: dict[str, int] = {}

    def enter(self, host: str) -> bool:
        """Whether one more connection from there is welcome; if so it counts until `leave`."""
        if self.total >= self._total_max or self._of.get(host, 0) >= self._per_address_max:
            return False
        self.total += 1
        self._of[host] = self._of.get(host, 0) + 1
        return True

    def leave(self, host: str) -> None:
        """A connection that entered is gone."""
        self.total -= 1
        self._of[host] -= 1
        if not self._of[host]:
            del self._of[host]


def network_of(host: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that one IPv6 subscriber is given."""
    if ":" not in host:
        return host
    return str(ipaddress.IPv6Network((host, 64), strict=False))


async def serve(
    endpoint: Endpoint,
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
    handler: Handler,
    gate: Gate,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Take connections until cancelled. The handler runs inside the channel and ends it by returning."""

    async def take(stream: trio.abc.Stream) -> None:
        remote = endpoint.network.remote(stream)
        network = network_of(remote.host) if remote is not None else ""
        if not gate.enter(network):
            # No word of farewell: it would cost a handshake, which is what somebody who floods us wants.
            await trio.aclose_forcefully(stream)
            return
        try:
            await _attend(endpoint, stream, remote, handler)
        except (Disconnected, PeerFault, Refused) as error:
            log.debug("connection from %s ended: %s", remote, error)
        except Exception:
            log.exception("connection from %s failed by our own mistake", remote)
        finally:
            gate.leave(network)
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        task_status.started()
        await trio.serve_listeners(take, list(listeners), handler_nursery=nursery)


async def _attend(
    endpoint: Endpoint, stream: trio.abc.Stream, remote: Address | None, handler: Handler
) -> None:
    session = Session(
        Party.ACCEPTOR,
        endpoint.static,
        endpoint.hello,
        now=trio.current_time(),
        ephemeral=endpoint.random_bytes(KEY_BYTES),
        buffers=endpoint.buffers,
    )
    greeted = await greet(stream, session, remote=remote, dialed=False)
    async with run_channel(greeted) as channel:
        try:
            await handler(channel)
        except (PeerFault, Disconnected, Refused):
            raise
        except Exception:
            await channel.aclose(
                CloseCode.INTERNAL, "The other side made a mistake of its own. Try again later."
            )
            raise
