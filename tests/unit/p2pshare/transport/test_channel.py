"""Two channels over streams in memory, or real ones: what the rest of the program relies on."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from p2pshare import limits
from p2pshare.errors import CloseCode, Disconnected, PeerFault, Reason, Refused
from p2pshare.hashing import FileId
from p2pshare.identity import Identity
from p2pshare.limits import MIB
from p2pshare.session.session import Session
from p2pshare.session.states import Party
from p2pshare.transport.answers import Incoming
from p2pshare.transport.channel import LOOK_S, Channel, run_channel
from p2pshare.transport.endpoint import Endpoint
from p2pshare.transport.greet import Greeted, greet
from p2pshare.wire.peer import Admitted, Data, Fetch, FileOpened, Have, Knock, OpenFile, QueueMoved
from p2pshare.wire.session import Cancel
from tests.loopback import loopback

FILE = FileId(bytes(32))
Streams = tuple[trio.abc.Stream, trio.abc.Stream]


def endpoint(number: int) -> Endpoint:
    return Endpoint.create(Identity.from_seed(bytes([number]) * 32))


async def greeted_pair(streams: Streams | None = None) -> tuple[Greeted, Greeted]:
    ends: dict[Party, Greeted] = {}
    streams = streams or trio.testing.memory_stream_pair()

    async def one(me: Endpoint, party: Party, stream: trio.abc.Stream) -> None:
        session = Session(party, me.static, me.hello, now=trio.current_time(), ephemeral=me.random_bytes(32))
        ends[party] = await greet(stream, session, remote=None, dialed=party is Party.DIALER)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one, endpoint(1), Party.DIALER, streams[0])
        nursery.start_soon(one, endpoint(2), Party.ACCEPTOR, streams[1])
    return ends[Party.DIALER], ends[Party.ACCEPTOR]


@asynccontextmanager
async def channels(streams: Streams | None = None) -> AsyncIterator[tuple[Channel, Channel]]:
    """Alice, who dialled and was admitted, and Bob."""
    dialer, acceptor = await greeted_pair(streams)
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


# --- answers taken by the task that reads ----------------------------------------------------------------


def fetch(channel: Channel, count: int = 4) -> Fetch:
    return Fetch(request=channel.next_request(), file=FILE, first=0, count=count)


async def give(channel: Channel, parts: list[bytes], *, first: int = 0, more: bool = False) -> None:
    """Answer the next request with these parts."""
    question = await heard(channel)
    assert isinstance(question, Fetch)
    for number, payload in enumerate(parts, start=first):
        goes_on = more or number < first + len(parts) - 1
        await channel.send(
            Data(request=question.request, piece=number, offset=0, size=len(payload), more=goes_on), payload
        )


async def test_answers_that_are_taken_do_not_reach_the_iteration() -> None:
    parts = [bytes([n]) * (100_000 + n) for n in range(4)]
    async with channels() as (alice, bob), trio.open_nursery() as nursery:
        taken: list[bytes] = []

        def take(answer: Incoming) -> bool:
            taken.append(bytes(answer.payload or b""))
            return True

        nursery.start_soon(give, bob, parts)
        async with alice.request(fetch(alice), take) as answers:
            assert [answer async for answer in answers] == []
        assert taken == parts
        await bob.send(QueueMoved(position=3, wait_s=9))
        assert await heard(alice) == QueueMoved(position=3, wait_s=9)
    assert alice.ending is not None and alice.ending.code is CloseCode.BYE


async def test_whoever_only_takes_some_iterates_over_the_others_in_order() -> None:
    parts = [bytes([n]) for n in range(40)]
    async with channels() as (alice, bob), trio.open_nursery() as nursery:
        seen: list[bytes] = []

        def take(answer: Incoming) -> bool:
            if random.Random(len(seen)).random() < 0.5:
                return False
            seen.append(bytes(answer.payload or b""))
            return True

        nursery.start_soon(give, bob, parts)
        async with alice.request(fetch(alice), take) as answers:
            async for answer in answers:
                await trio.lowlevel.checkpoint()
                seen.append(bytes(answer.payload or b""))
        assert seen == parts


async def test_a_fault_found_while_taking_ends_the_connection_and_is_told() -> None:
    async with channels() as (alice, bob), trio.open_nursery() as nursery:

        def judge(answer: Incoming) -> bool:
            raise PeerFault(CloseCode.BAD_DATA, "A piece did not match.")

        nursery.start_soon(give, bob, [b"bad"])
        with pytest.raises(Disconnected, match="A piece did not match") as caught:
            async with alice.request(fetch(alice), judge) as answers:
                await anext(answers)
        assert caught.value.code is CloseCode.BAD_DATA
        await bob.over.wait()
        assert bob.ending is not None and bob.ending.code is CloseCode.BAD_DATA


async def test_a_refusal_in_the_middle_of_what_is_taken_is_raised() -> None:
    async with channels() as (alice, bob), trio.open_nursery() as nursery:

        async def give_up() -> None:
            await give(bob, [b"one"], more=True)
            await bob.refuse(alice._last_request, Reason.NO_SLOT)

        nursery.start_soon(give_up)
        with pytest.raises(Refused) as caught:
            async with alice.request(fetch(alice), lambda answer: True) as answers:
                await anext(answers)
        assert caught.value.reason is Reason.NO_SLOT
        assert alice.ending is None


async def test_what_arrived_together_with_the_end_of_the_connection_is_let_go_of() -> None:
    """Whoever takes the first answer may thereby end it, and the second is there already."""
    async with channels() as (alice, bob), trio.open_nursery() as nursery:
        taken: list[Incoming] = []

        def take(answer: Incoming) -> bool:
            taken.append(answer)
            while alice.ending is None:
                alice.post(Have(file=FILE, pieces=tuple(range(limits.HAVES_PER_MESSAGE))))
            return len(taken) == 1

        async def ask() -> None:
            with pytest.raises(Disconnected, match="does not read"):
                async with alice.request(fetch(alice), take) as answers:
                    await anext(answers)

        nursery.start_soon(ask)
        question = await heard(bob)
        assert isinstance(question, Fetch)
        for piece in range(3):  # in one record
            data = Data(request=question.request, piece=piece, offset=0, size=1, more=True)
            bob._session.send(data, b"x")
        bob._start_writing()
    assert len(taken) == 1


# --- over real connections -------------------------------------------------------------------------------


async def test_what_connections_carry_at_once_is_never_mixed() -> None:
    """They all read into the same memory."""
    got: dict[int, list[bytes]] = {}
    parts = {
        number: [random.Random(f"{number} {n}").randbytes(300_000 + 77_777 * n) for n in range(9)]
        for number in range(3)
    }

    async def carry(number: int) -> None:
        async with loopback() as streams, channels(streams) as (alice, bob), trio.open_nursery() as nursery:
            nursery.start_soon(give, bob, parts[number])
            async with alice.request(fetch(alice, 9)) as answers:
                got[number] = [bytes(answer.payload or b"") async for answer in answers]

    async with trio.open_nursery() as nursery:
        for number in parts:
            nursery.start_soon(carry, number)
    assert got == parts


async def test_a_word_passes_between_the_parts_of_something_long() -> None:
    async with loopback() as streams, channels(streams) as (alice, bob), trio.open_nursery() as nursery:
        passed: list[int] = []

        async def pour() -> None:
            question = await heard(bob)
            assert isinstance(question, Fetch)
            for piece in range(256):
                data = Data(request=question.request, piece=piece, offset=0, size=MIB, more=piece < 255)
                await bob.send(data, bytes(MIB))
                if piece == 20:
                    bob.post(QueueMoved(position=3, wait_s=9))

        async def listen() -> None:
            assert await heard(alice) == QueueMoved(position=3, wait_s=9)
            passed.append(arrived)

        nursery.start_soon(pour)
        nursery.start_soon(listen)
        arrived = 0
        async with alice.request(fetch(alice, 256)) as answers:
            async for _ in answers:
                arrived += 1
        assert passed[0] <= 24


async def test_an_end_in_the_middle_of_a_payload_is_noticed_by_both() -> None:
    async with loopback() as (near, far):
        async with channels((near, far)) as (alice, bob), trio.open_nursery() as nursery:

            async def pour() -> None:
                with pytest.raises(Disconnected):
                    await give(bob, [bytes(MIB)] * 60)

            nursery.start_soon(pour)
            with pytest.raises(Disconnected):
                async with alice.request(fetch(alice, 60)) as answers:
                    async for _ in answers:
                        await trio.aclose_forcefully(near)
            await bob.over.wait()


@pytest.mark.parametrize("over", ["memory", "tcp"])
async def test_bytes_that_never_make_a_record_are_silence_however_many_come(
    mock_clock: trio.testing.MockClock, over: str
) -> None:
    async with loopback() as tcp:
        await check_that_crumbs_are_silence(mock_clock, tcp if over == "tcp" else None)


async def check_that_crumbs_are_silence(mock_clock: trio.testing.MockClock, streams: Streams | None) -> None:
    dialer, acceptor = await greeted_pair(streams)
    async with run_channel(dialer) as alice:
        await acceptor.stream.send_all(b"\xff\xff")  # the length of the longest record
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(limits.SILENT_AFTER_S - 10 * LOOK_S)
        for _ in range(40):
            mock_clock.jump(LOOK_S / 2)
            await trio.testing.wait_all_tasks_blocked()
            if alice.ending is None:
                await acceptor.stream.send_all(b"x")
            await trio.testing.wait_all_tasks_blocked()
        assert alice.ending is not None and alice.ending.code is CloseCode.SILENT
    await acceptor.stream.aclose()


async def test_whoever_only_receives_says_that_they_are_there(mock_clock: trio.testing.MockClock) -> None:
    """However steadily something comes: the other side hears nothing but that."""
    async with channels() as (alice, bob):
        began = trio.current_time()
        heard_at = bob._session._heard_at
        while bob._session._heard_at == heard_at:
            await bob.send(Have(file=FILE, pieces=(1,)))
            await heard(alice)
            mock_clock.jump(LOOK_S / 2)
            await trio.testing.wait_all_tasks_blocked()
            assert trio.current_time() - began < limits.PING_AFTER_S + 1


async def test_a_payload_that_trickles_in_is_no_silence(mock_clock: trio.testing.MockClock) -> None:
    """Its reader sleeps until much is there, and that takes longer than silence is borne."""
    async with loopback() as streams, channels(streams) as (alice, bob), trio.open_nursery() as nursery:
        bob._writing = trio.CancelScope()  # bob's bytes are carried by hand from here on
        got: list[int] = []

        async def ask() -> None:
            async with alice.request(fetch(alice, 2)) as answers:
                async for answer in answers:
                    got.append(len(answer.payload or b""))

        nursery.start_soon(ask)
        question = await heard(bob)
        assert isinstance(question, Fetch)
        for piece in range(2):
            data = Data(request=question.request, piece=piece, offset=0, size=MIB, more=not piece)
            bob._session.send(data, bytes(MIB))
        wire = bytes(bob._session.data_to_send(4 * MIB))
        fast = 1_400_000  # so much comes at once
        for start in range(0, fast, 100_000):
            await streams[1].send_all(wire[start : start + 100_000])
            await trio.testing.wait_all_tasks_blocked()
        for start in range(fast, fast + 500_000, 100_000):  # more than a record each time
            await streams[1].send_all(wire[start : start + 100_000])
            mock_clock.jump(limits.SILENT_AFTER_S - 1)
            await trio.testing.wait_all_tasks_blocked()
            assert alice.ending is None
        nursery.start_soon(streams[1].send_all, wire[fast + 500_000 :])
        while len(got) < 2:
            await trio.testing.wait_all_tasks_blocked()
        assert got == [MIB, MIB]
        bob._writing = None
