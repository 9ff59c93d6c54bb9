"""Two channels over streams in memory: what the rest of the program relies on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from p2pshare import limits
from p2pshare.errors import CloseCode, Disconnected, PeerFault, Reason, Refused
from p2pshare.hashing import FileId
from p2pshare.identity import Identity
from p2pshare.session.session import Session
from p2pshare.session.states import Party
from p2pshare.transport.channel import Channel, Greeted, greet, run_channel
from p2pshare.transport.endpoint import Endpoint
from p2pshare.wire.peer import Admitted, Data, Fetch, FileOpened, Have, Knock, OpenFile, QueueMoved
from p2pshare.wire.session import Cancel

FILE = FileId(bytes(32))


def endpoint(number: int) -> Endpoint:
    return Endpoint.create(Identity.from_seed(bytes([number]) * 32))


async def greeted_pair() -> tuple[Greeted, Greeted]:
    ends: dict[Party, Greeted] = {}
    streams = trio.testing.memory_stream_pair()

    async def one(me: Endpoint, party: Party, stream: trio.abc.Stream) -> None:
        session = Session(party, me.static, me.hello, now=trio.current_time(), ephemeral=me.random_bytes(32))
        ends[party] = await greet(stream, session, remote=None, dialed=party is Party.DIALER)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one, endpoint(1), Party.DIALER, streams[0])
        nursery.start_soon(one, endpoint(2), Party.ACCEPTOR, streams[1])
    return ends[Party.DIALER], ends[Party.ACCEPTOR]


@asynccontextmanager
async def channels() -> AsyncIterator[tuple[Channel, Channel]]:
    """Alice, who dialled and was admitted, and Bob."""
    dialer, acceptor = await greeted_pair()
    async with run_channel(dialer) as alice, run_channel(acceptor) as bob:
        async with trio.open_nursery() as nursery:

            async def admit() -> None:
                knock = await heard(bob)
                assert isinstance(knock, Knock)
                await bob.send(Admitted(request=knock.request))

            nursery.start_soon(admit)
            await alice.ask(Knock(request=alice.next_request(), ticket=b""))
        yield alice, bob


async def heard(channel: Channel) -> object:
    async for incoming in channel.incoming():
        return incoming.message
    raise AssertionError("The connection ended.")


async def test_each_side_learns_the_proven_identity_of_the_other() -> None:
    async with channels() as (alice, bob):
        assert alice.peer == endpoint(2).node
        assert bob.peer == endpoint(1).node


async def test_answers_reach_whoever_asked_in_whatever_order_they_come() -> None:
    async with channels() as (alice, bob), trio.open_nursery() as nursery:
        opened: dict[int, FileOpened] = {}

        async def ask(offer: int) -> None:
            message = OpenFile(request=alice.next_request(), file=None, offer=offer)
            opened[offer] = await alice.ask(message)

        nursery.start_soon(ask, 1)
        nursery.start_soon(ask, 2)
        asked = [await heard(bob), await heard(bob)]
        for question in reversed(asked):
            assert isinstance(question, OpenFile)
            await bob.send(
                FileOpened(
                    request=question.request,
                    file=FILE,
                    size=question.offer,
                    piece_size=limits.PIECE_BYTES_MIN,
                    pieces=None,
                    position=0,
                    wait_s=0,
                )
            )
        while len(opened) < 2:
            await trio.testing.wait_all_tasks_blocked()
        assert {offer: answer.size for offer, answer in opened.items()} == {1: 1, 2: 2}


async def test_a_request_with_many_answers_carries_payloads_to_the_byte() -> None:
    parts = [bytes([n]) * (limits.DATA_BYTES_MAX - n) for n in range(4)]
    async with channels() as (alice, bob), trio.open_nursery() as nursery:

        async def serve() -> None:
            fetch = await heard(bob)
            assert isinstance(fetch, Fetch)
            for n, part in enumerate(parts):
                more = n < len(parts) - 1
                data = Data(request=fetch.request, piece=n, offset=0, size=len(part), more=more)
                await bob.send(data, part)

        nursery.start_soon(serve)
        async with alice.request(Fetch(request=alice.next_request(), file=FILE, first=0, count=4)) as answers:
            arrived = [bytes(answer.payload or b"") async for answer in answers]
        assert arrived == parts


async def test_leaving_a_request_early_cancels_it_and_late_answers_hurt_nobody() -> None:
    async with channels() as (alice, bob):
        async with alice.request(Fetch(request=alice.next_request(), file=FILE, first=0)):
            fetch = await heard(bob)
        assert isinstance(fetch, Fetch)
        cancel = await heard(bob)
        assert cancel == Cancel(request=fetch.request)
        late = Data(request=fetch.request, piece=0, offset=0, size=3, more=True)
        await bob.send(late, b"too")
        await bob.refuse(fetch.request, Reason.CANCELLED)
        await bob.send(QueueMoved(position=3, wait_s=9))
        assert await heard(alice) == QueueMoved(position=3, wait_s=9)


async def test_a_refusal_is_raised_with_its_sentence() -> None:
    async with channels() as (alice, bob), trio.open_nursery() as nursery:

        async def refuse() -> None:
            question = await heard(bob)
            assert isinstance(question, OpenFile)
            await bob.refuse(question.request, Reason.NO_SUCH_FILE, "Gone since yesterday.")

        nursery.start_soon(refuse)
        with pytest.raises(Refused, match="Gone since yesterday"):
            await alice.ask(OpenFile(request=alice.next_request(), file=FILE))


async def test_an_answer_nobody_asked_for_ends_the_connection() -> None:
    async with channels() as (alice, bob):
        await bob.send(Data(request=77, piece=0, offset=0, size=1, more=False), b"x")
        await bob.over.wait()
        assert bob.ending is not None and bob.ending.code is CloseCode.WRONG_ORDER
        with pytest.raises(Disconnected):
            await alice.send(Have(file=FILE, pieces=(1,)))


async def test_an_answer_of_the_wrong_kind_ends_the_connection() -> None:
    async with channels() as (alice, bob), trio.open_nursery() as nursery:

        async def answer_wrongly() -> None:
            question = await heard(bob)
            assert isinstance(question, OpenFile)
            await bob.send(Data(request=question.request, piece=0, offset=0, size=1, more=False), b"x")

        nursery.start_soon(answer_wrongly)
        with pytest.raises(Disconnected, match="answers nothing that was asked"):
            await alice.ask(OpenFile(request=alice.next_request(), file=FILE))


async def test_whoever_waits_is_woken_when_the_other_side_goes() -> None:
    dialer, acceptor = await greeted_pair()
    async with run_channel(dialer) as alice, trio.open_nursery() as nursery:
        woken = []

        async def wait() -> None:
            with pytest.raises(Disconnected):
                await alice.ask(Knock(request=alice.next_request(), ticket=b""))
            woken.append("ask")

        async def listen() -> None:
            async for _ in alice.incoming():
                raise AssertionError("nothing was said")
            woken.append("incoming")

        nursery.start_soon(wait)
        nursery.start_soon(listen)
        await trio.testing.wait_all_tasks_blocked()
        async with run_channel(acceptor) as bob:
            await bob.aclose(CloseCode.GOING_AWAY, "Good night.")
        await alice.over.wait()
        assert alice.ending is not None and alice.ending.code is CloseCode.GOING_AWAY
        assert str(alice.ending) == "Good night."
    assert sorted(woken) == ["ask", "incoming"]


async def test_cancelling_whoever_sends_leaves_the_connection_whole() -> None:
    big = bytes(limits.DATA_BYTES_MAX)
    async with channels() as (alice, bob):
        async with alice.request(Fetch(request=alice.next_request(), file=FILE, first=0, count=9)) as answers:
            fetch = await heard(bob)
            assert isinstance(fetch, Fetch)
            async with trio.open_nursery() as nursery:

                async def send_much() -> None:
                    for n in range(8):
                        data = Data(request=fetch.request, piece=n, offset=0, size=len(big), more=True)
                        await bob.send(data, big)

                nursery.start_soon(send_much)
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
            last = Data(request=fetch.request, piece=8, offset=0, size=4, more=False)
            await bob.send(last, b"last")
            arrived = [answer async for answer in answers]
        assert bytes(arrived[-1].payload or b"") == b"last"


async def test_a_fault_that_leaves_the_block_is_told_to_the_other_side() -> None:
    dialer, acceptor = await greeted_pair()
    async with run_channel(acceptor) as bob:
        with pytest.raises(PeerFault):
            async with run_channel(dialer):
                raise PeerFault(CloseCode.BAD_DATA, "A piece did not match.")
        await bob.over.wait()
        assert bob.ending is not None and bob.ending.code is CloseCode.BAD_DATA


async def test_notices_nobody_reads_end_the_connection_instead_of_filling_memory() -> None:
    async with channels() as (_alice, bob):
        notice = Have(file=FILE, pieces=tuple(range(limits.HAVES_PER_MESSAGE)))
        while bob.ending is None:
            bob.post(notice)
        assert bob.ending.code is CloseCode.TOO_SLOW


async def test_silence_is_noticed(mock_clock: trio.testing.MockClock) -> None:
    dialer, acceptor = await greeted_pair()
    async with run_channel(dialer) as alice:
        mock_clock.jump(limits.PING_AFTER_S + 1)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(limits.SILENT_AFTER_S + 1)
        await alice.over.wait()
        assert alice.ending is not None and alice.ending.code is CloseCode.SILENT
    await acceptor.stream.aclose()
