"""Dialling and serving over real sockets on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from p2pshare.addresses import Address
from p2pshare.errors import Disconnected, PeerFault
from p2pshare.identity import Identity
from p2pshare.transport.channel import Channel
from p2pshare.transport.dial import dial
from p2pshare.transport.endpoint import Endpoint
from p2pshare.transport.serve import Gate, serve
from p2pshare.wire.peer import Admitted, Knock

ALICE = Endpoint.create(Identity.from_seed(b"a" * 32))
BOB = Endpoint.create(Identity.from_seed(b"b" * 32))


async def admit(channel: Channel) -> None:
    """Let everybody in who knocks, until they go."""
    async for incoming in channel.incoming():
        if isinstance(incoming.message, Knock):
            await channel.send(Admitted(request=incoming.message.request))


async def fall_over(channel: Channel) -> None:
    raise RuntimeError("a mistake of our own")


@asynccontextmanager
async def bob_serves(handler: object = admit, gate: Gate | None = None) -> AsyncIterator[Address]:
    listeners = await BOB.network.listen("127.0.0.1", 0)
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, BOB, listeners, handler, gate or Gate())
        yield Address("127.0.0.1", BOB.network.port(listeners))
        nursery.cancel_scope.cancel()


async def closed_port() -> Address:
    listeners = await BOB.network.listen("127.0.0.1", 0)
    address = Address("127.0.0.1", BOB.network.port(listeners))
    for listener in listeners:
        await listener.aclose()
    return address


async def knock_at(address: Address) -> None:
    async with dial(ALICE, [address], BOB.node) as channel:
        await channel.ask(Knock(request=channel.next_request(), ticket=b""))


async def test_the_first_good_address_wins_and_a_dead_one_costs_nothing() -> None:
    async with bob_serves() as address, dial(ALICE, [await closed_port(), address], BOB.node) as channel:
        assert channel.remote == address
        answer = await channel.ask(Knock(request=channel.next_request(), ticket=b""))
        assert isinstance(answer, Admitted)


async def test_somebody_else_at_the_address_is_told_from_the_one_we_want() -> None:
    stranger = Identity.from_seed(b"s" * 32).node_id
    async with bob_serves() as address:
        with pytest.raises(PeerFault, match="Somebody else answered"):
            async with dial(ALICE, [address], stranger):
                pass


async def test_every_address_that_failed_is_named() -> None:
    first, second = await closed_port(), await closed_port()
    with pytest.raises(Disconnected) as caught:
        async with dial(ALICE, [first, second], BOB.node):
            pass
    assert str(first) in str(caught.value) and str(second) in str(caught.value)


async def test_a_program_does_not_talk_to_itself() -> None:
    async with bob_serves() as address:
        with pytest.raises(PeerFault, match="itself"):
            async with dial(BOB, [address], None):
                pass


async def test_garbage_and_a_port_scan_leave_the_listener_alone() -> None:
    async with bob_serves() as address:
        for words in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00\x20" + bytes(32), b"\xff" * 9_000):
            stream = await trio.open_tcp_stream(address.host, address.port)
            if words:
                await stream.send_all(words)
            await stream.aclose()
        await knock_at(address)


async def test_a_handler_that_fails_ends_its_own_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    async with bob_serves(fall_over) as address:
        for _ in range(2):
            async with dial(ALICE, [address], BOB.node) as channel:
                await channel.over.wait()
                assert channel.ending is not None and "mistake" in str(channel.ending)
        await trio.testing.wait_all_tasks_blocked()  # they say so first, and note it then
    assert caplog.text.count("our own mistake") == 2


async def test_one_address_cannot_take_every_place() -> None:
    async with bob_serves(gate=Gate(per_address_max=1)) as address:
        async with dial(ALICE, [address], BOB.node):
            with pytest.raises(Disconnected):
                await knock_at(address)
        with trio.fail_after(5):
            while True:  # the place is free once the server has seen the end of the first connection
                try:
                    await knock_at(address)
                    break
                except Disconnected:
                    await trio.lowlevel.checkpoint()


async def test_ipv6_and_ipv4_listen_on_the_same_port() -> None:
    listeners = await BOB.network.listen(None, 0)
    ports = {
        listener.socket.getsockname()[1]
        for listener in listeners
        if isinstance(listener, trio.SocketListener)
    }
    assert ports == {BOB.network.port(listeners)}
    for listener in listeners:
        await listener.aclose()
