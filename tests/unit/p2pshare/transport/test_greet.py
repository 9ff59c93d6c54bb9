"""The beginning of a connection. Where it matters what the other end does, it is played by hand."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from p2pshare import limits
from p2pshare.errors import CloseCode, Disconnected, PeerFault
from p2pshare.session.events import Closed, MessageReceived
from p2pshare.session.session import Session
from p2pshare.session.states import Party
from p2pshare.transport.greet import FAREWELL_S, Greeted, greet, say_farewell
from p2pshare.wire.peer import Knock
from p2pshare.wire.session import Close
from tests.loopback import loopback
from tests.session_pair import ALICE, BOB, admitted, drain, session


def alice() -> Session:
    return session(Party.DIALER, ALICE, now=trio.current_time())


def bob() -> Session:
    return session(Party.ACCEPTOR, BOB, now=trio.current_time())


async def greet_as_bob(stream: trio.abc.Stream) -> Greeted:
    return await greet(stream, bob(), remote=None, dialed=False)


async def test_both_learn_who_the_other_is() -> None:
    near, far = memory_stream_pair()
    ends: list[Greeted] = []

    async def accept() -> None:
        ends.append(await greet_as_bob(far))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        dialed = await greet(near, alice(), remote=None, dialed=True)
    (accepted,) = ends
    assert (dialed.done.peer, accepted.done.peer) == (BOB.node_id, ALICE.node_id)
    assert (dialed.dialed, accepted.dialed) == (True, False)
    assert dialed.events == accepted.events == []


async def test_what_comes_together_with_the_end_of_the_handshake_is_kept() -> None:
    near, far = memory_stream_pair()
    knock, ends = Knock(request=1, ticket=b""), []

    async def accept() -> None:
        ends.append(await greet_as_bob(far))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        dialer = alice()
        await near.send_all(drain(dialer))
        dialer.receive_data(await near.receive_some(), trio.current_time())
        dialer.send(knock)
        await near.send_all(drain(dialer))
    assert ends[0].events == [MessageReceived(knock, None)]


async def test_somebody_who_hangs_up_in_the_middle_is_no_peer() -> None:
    near, far = memory_stream_pair()
    await near.send_all(drain(alice()))
    await near.send_stream.aclose()
    with pytest.raises(Disconnected, match="hung up"):
        await greet_as_bob(far)


async def test_a_stream_that_is_closed_is_a_lost_connection() -> None:
    for broken in (0, 1):
        streams = memory_stream_pair()
        await streams[broken].aclose()
        with pytest.raises(Disconnected):
            await greet(streams[0], alice(), remote=None, dialed=True)


async def test_somebody_who_says_nothing_is_given_up_in_time(mock_clock: MockClock) -> None:
    near, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(Disconnected, match="did not finish the handshake within 10 s"):
                await greet_as_bob(far)

        nursery.start_soon(wait)
        await near.send_all(drain(alice())[:-1])
        mock_clock.jump(limits.HANDSHAKE_TIMEOUT_S - 1)
        await wait_all_tasks_blocked()
        assert nursery.child_tasks
        mock_clock.jump(1)


async def test_a_refused_handshake_is_a_fault() -> None:
    near, far = memory_stream_pair()
    await near.send_all(b"GET / HTTP/1.1\r\n\r\n" * 2_000)
    with pytest.raises(PeerFault) as caught:
        await greet_as_bob(far)
    assert caught.value.code is CloseCode.BAD_HANDSHAKE


async def test_a_farewell_is_said_in_full_if_somebody_hears_it() -> None:
    near, far = memory_stream_pair()
    pair = admitted()
    pair.alice.send(Close(code=CloseCode.GOING_AWAY, text="Good night."))
    await say_farewell(near, pair.alice)
    events = pair.bob.receive_data(await far.receive_some(), 0.0)
    assert events == [Closed(CloseCode.GOING_AWAY, "Good night.")]


async def test_a_farewell_waits_for_nobody_and_never_fails(mock_clock: MockClock) -> None:
    pair = admitted()
    pair.alice.send(Close(code=CloseCode.BYE, text=""))
    async with loopback() as (near, _), trio.open_nursery() as nursery:
        nursery.start_soon(near.send_all, bytes(24 * limits.MIB))
        await wait_all_tasks_blocked()
        await say_farewell(near, pair.alice)  # the stream is in use
        nursery.cancel_scope.cancel()
    async with loopback() as (near, _), trio.open_nursery() as nursery:
        with trio.CancelScope() as full:
            async with trio.open_nursery() as filling:
                filling.start_soon(near.send_all, bytes(24 * limits.MIB))
                await wait_all_tasks_blocked()
                full.cancel()
        pair.bob.send(Close(code=CloseCode.BYE, text=""))
        nursery.start_soon(say_farewell, near, pair.bob)
        await wait_all_tasks_blocked()
        assert nursery.child_tasks
        mock_clock.jump(FAREWELL_S)
    near, _ = memory_stream_pair()
    await near.aclose()
    pair = admitted()
    pair.alice.send(Close(code=CloseCode.BYE, text=""))
    await say_farewell(near, pair.alice)
