"""Being connected to: every connection gets a handshake with a time limit and a handler of its own.

One connection that fails, whatever way, ends alone.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext

import trio

from p2pshare.addresses import Address
from p2pshare.errors import CloseCode, Disconnected, PeerFault, Refused
from p2pshare.limits import COME_AGAIN_S_MAX, HANDSHAKE_BYTES_MAX, KEY_BYTES
from p2pshare.session.greeting import come_again
from p2pshare.session.session import Session
from p2pshare.session.states import Party
from p2pshare.transport.admission import Admission
from p2pshare.transport.channel import Channel, run_channel
from p2pshare.transport.endpoint import Endpoint
from p2pshare.transport.greet import Greeted, greet

REFUSE_WITHIN_S = 1.0
REFUSING_MAX = 2_000  # connections that are being turned away at the same time; others hear nothing
MISTAKE = "The other side made a mistake of its own. Try again later."

log = logging.getLogger("p2pshare.serve")

Handler = Callable[[Channel], Awaitable[None]]
Attend = Callable[[Greeted, trio.Nursery], Awaitable[None]]
"""The nursery lasts as long as the serving."""


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

    async def attend(greeted: Greeted, _: trio.Nursery) -> None:
        async with run_channel(greeted) as channel:
            try:
                await handler(channel)
            except (PeerFault, Disconnected, Refused):
                raise
            except Exception:
                await channel.aclose(CloseCode.INTERNAL, MISTAKE)
                raise

    await serve_greeted(endpoint, listeners, attend, gate, task_status=task_status)


async def serve_greeted(
    endpoint: Endpoint,
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
    attend: Attend,
    gate: Gate,
    admission: Admission | None = None,
    accepting: trio.CancelScope | None = None,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """The same, for one who runs its channels itself: `attend` is given what the handshake led to.

    Once `accepting` is cancelled nobody new is taken, and the listeners are closed.
    """
    refusing = trio.CapacityLimiter(REFUSING_MAX)

    async def take(stream: trio.abc.Stream) -> None:
        remote = endpoint.network.remote(stream)
        network = network_of(remote.host) if remote is not None else ""
        if not gate.enter(network):
            await _turn_away(stream, COME_AGAIN_S_MAX, refusing)
            return
        try:
            if admission is not None and (after_s := admission.enter(trio.current_time())):
                await _turn_away(stream, after_s, refusing)
                return
            # No name is kept for what the handshake led to: whoever attends keeps what it needs of that.
            await attend(await _greet(endpoint, stream, remote, admission), nursery)
        except (Disconnected, PeerFault, Refused) as error:
            log.debug("connection from %s ended: %s", remote, error)
        except Exception:
            log.exception("connection from %s failed by our own mistake", remote)
        finally:
            gate.leave(network)
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        task_status.started()
        with accepting or nullcontext():
            await trio.serve_listeners(take, list(listeners), handler_nursery=nursery)


async def _greet(
    endpoint: Endpoint, stream: trio.abc.Stream, remote: Address | None, admission: Admission | None
) -> Greeted:
    session = Session(
        Party.ACCEPTOR,
        endpoint.static,
        endpoint.hello,
        now=trio.current_time(),
        ephemeral=endpoint.random_bytes(KEY_BYTES),
        buffers=endpoint.buffers,
    )
    try:
        return await greet(stream, session, remote=remote, dialed=False)
    finally:
        if admission is not None:
            admission.leave()


async def _turn_away(stream: trio.abc.Stream, after_s: int, refusing: trio.CapacityLimiter) -> None:
    """Tell them to come again later, if that costs next to nothing; never a handshake."""
    try:
        refusing.acquire_nowait()
    except trio.WouldBlock:
        await trio.aclose_forcefully(stream)
        return
    try:
        with trio.move_on_after(REFUSE_WITHIN_S):
            # Their first words are read before ours: many systems forget what was sent to them when a
            # connection is closed on something unread.
            await stream.receive_some(HANDSHAKE_BYTES_MAX)
            await stream.send_all(come_again(after_s))
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    finally:
        refusing.release()
        await trio.aclose_forcefully(stream)
