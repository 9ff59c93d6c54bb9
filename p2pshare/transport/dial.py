"""Connecting: several addresses are tried side by side, and the first good one wins.

Good means that the handshake is done and the expected key answered: an address is only ever a hint.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from p2pshare.addresses import Address
from p2pshare.errors import CloseCode, Disconnected, PeerFault
from p2pshare.identity import NodeId
from p2pshare.limits import KEY_BYTES
from p2pshare.session.session import Session
from p2pshare.session.states import Party
from p2pshare.transport.channel import Channel, run_channel
from p2pshare.transport.endpoint import Endpoint
from p2pshare.transport.greet import Greeted, greet

STAGGER_S = 0.25  # the head start of one address before the next is tried (RFC 8305)
CONNECT_TIMEOUT_S = 8.0  # an address that takes longer to accept a connection is of no use
SELF = "That is this program itself, reached over the network."


@asynccontextmanager
async def dial(
    endpoint: Endpoint, addresses: Sequence[Address], expected: NodeId | None
) -> AsyncIterator[Channel]:
    """A channel to `expected` (None: whoever is there) at the first address that works.

    Raises `Disconnected` with one sentence for every address that failed, or `PeerFault` if somebody answered
    who does not keep to the protocol and no other address is better.
    """
    async with run_channel(await connect(endpoint, addresses, expected)) as channel:
        yield channel


async def connect(endpoint: Endpoint, addresses: Sequence[Address], expected: NodeId | None) -> Greeted:
    """The handshake part of `dial`: a stream with a known peer and no task on it."""
    if not addresses:
        raise Disconnected("No address is known to connect to.")
    winners: list[Greeted] = []
    failures: list[Exception] = []

    async def attempt(address: Address, give_way: trio.Event) -> None:
        try:
            greeted = await _greet_at(endpoint, address, expected)
        except (Disconnected, PeerFault) as error:
            failures.append(error)
            give_way.set()
            return
        if winners:
            await trio.aclose_forcefully(greeted.stream)
            return
        winners.append(greeted)
        nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            for address in addresses:
                give_way = trio.Event()
                nursery.start_soon(attempt, address, give_way)
                with trio.move_on_after(STAGGER_S):
                    await give_way.wait()
    except BaseException:  # our caller was cancelled in the very moment of success
        for winner in winners:
            await trio.aclose_forcefully(winner.stream)
        raise
    if winners:
        return winners[0]
    faults = [error for error in failures if isinstance(error, PeerFault)]
    text = " ".join(dict.fromkeys(str(error) for error in failures))
    if faults:
        raise PeerFault(faults[0].code, text)
    told = [error for error in failures if isinstance(error, Disconnected) and error.code is not None]
    raise Disconnected(
        text, told[0].code if told else None, max((error.retry_after_s for error in told), default=0)
    )


async def _greet_at(endpoint: Endpoint, address: Address, expected: NodeId | None) -> Greeted:
    stream: trio.abc.Stream | None = None
    try:
        with trio.fail_after(CONNECT_TIMEOUT_S):
            stream = await endpoint.network.connect(address)
        session = Session(
            Party.DIALER,
            endpoint.static,
            endpoint.hello,
            now=trio.current_time(),
            ephemeral=endpoint.random_bytes(KEY_BYTES),
            buffers=endpoint.buffers,
            expected=expected,
        )
        greeted = await greet(stream, session, remote=address, dialed=True)
        if greeted.done.peer == endpoint.node:
            raise PeerFault(CloseCode.BAD_HANDSHAKE, SELF)
    except trio.TooSlowError:
        raise Disconnected(f"{address} did not answer within {CONNECT_TIMEOUT_S:.0f} s.") from None
    except OSError as error:
        raise Disconnected(f"{address} cannot be reached: {_reason(error)}.") from error
    except Disconnected as error:
        raise Disconnected(f"{address}: {error}", error.code, error.retry_after_s) from error
    except PeerFault as error:
        raise PeerFault(error.code, f"{address}: {error.text}") from error
    else:
        stream = None
        return greeted
    finally:
        if stream is not None:
            await trio.aclose_forcefully(stream)


def _reason(error: OSError) -> str:
    """What the system says, without the words that trio puts around it."""
    cause: BaseException = error
    while isinstance(cause.__cause__, BaseExceptionGroup):  # what each address of a name said
        cause = cause.__cause__.exceptions[0]
    if isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
        return os.strerror(cause.errno).lower()
    return str(getattr(cause, "strerror", None) or cause).lower()
