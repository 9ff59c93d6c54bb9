"""Dialling, serving and channels over lines that are slow, silent, cut and closed."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from p2pshare import limits
from p2pshare.addresses import Address
from p2pshare.errors import CloseCode, Disconnected, PeerFault, Reason
from p2pshare.hashing import FileId
from p2pshare.identity import Identity
from p2pshare.session.session import Session
from p2pshare.session.states import Party
from p2pshare.transport.channel import Channel
from p2pshare.transport.dial import CONNECT_TIMEOUT_S, dial
from p2pshare.transport.endpoint import Endpoint
from p2pshare.transport.greet import greet
from p2pshare.transport.serve import Gate, Handler, serve
from p2pshare.wire.peer import Admitted, Data, Fetch, FileOpened, Have, Knock, OpenFile
from p2pshare.wire.session import Cancel
from tests.sim.cancelling import Cut, cancellations
from tests.sim.network import SimInternet, SimNetwork
from tests.sim.scheduler import simulate

FILE = FileId(bytes(32))
PARTS = 5
SEEDS = range(5)


def endpoint(name: str, network: SimNetwork, chance: random.Random) -> Endpoint:
    identity = Identity.from_seed(name.encode().ljust(32, b"."))
    return Endpoint.create(identity, network=network, random_bytes=chance.randbytes)


async def serve_files(channel: Channel) -> None:
    """Let everybody in, open any file (its size is the offer number), answer a fetch in parts."""
    async for incoming in channel.incoming():
        message = incoming.message
        if isinstance(message, Knock):
            await channel.send(Admitted(request=message.request))
        elif isinstance(message, OpenFile) and message.offer == 0:
            await channel.refuse(message.request, Reason.NO_SUCH_FILE)
        elif isinstance(message, OpenFile):
            await channel.send(opened(message))
        elif isinstance(message, Fetch):
            for part in range(PARTS):
                payload = bytes([message.first]) * limits.KIB
                more = part < PARTS - 1
                await channel.send(
                    Data(
                        request=message.request,
                        piece=message.first,
                        offset=part * limits.KIB,
                        size=len(payload),
                        more=more,
                    ),
                    payload,
                )
        else:
            assert isinstance(message, Cancel | Have)


def opened(message: OpenFile) -> FileOpened:
    return FileOpened(
        request=message.request,
        file=FILE,
        size=message.offer,
        piece_size=limits.PIECE_BYTES_MIN,
        pieces=None,
        position=0,
        wait_s=0,
    )


class Scene:
    """Alice and Bob, who serves."""

    def __init__(self, internet: SimInternet, chance: random.Random, line: float) -> None:
        self.internet = internet
        self.chance = chance
        self.alice = endpoint("alice", internet.host("alice", up=line), chance)
        self.bob = endpoint("bob", internet.host("bob", up=line), chance)
        self.address = Address("0", 1)
        self.gate = Gate()

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[Channel]:
        async with dial(self.alice, [self.address], self.bob.node) as channel:
            await channel.ask(Knock(request=channel.next_request(), ticket=b""))
            yield channel


def play(
    act: Callable[[Scene], Awaitable[None]],
    seed: int = 1,
    *,
    handler: Handler = serve_files,
    line: float = float("inf"),
) -> None:
    """Bob serves with `handler` while `act` runs; afterwards nothing may be left of any connection."""

    async def run(chance: random.Random) -> None:
        async with SimInternet(chance) as internet, trio.open_nursery() as nursery:
            scene = Scene(internet, chance, line)
            listeners = await scene.bob.network.listen(None, 0)
            scene.address = Address(internet.hosts["bob"].address, scene.bob.network.port(listeners))
            await nursery.start(serve, scene.bob, listeners, handler, scene.gate)
            await act(scene)
            await trio.sleep(2 * limits.SILENT_AFTER_S)
            left = {name: len(host.streams) for name, host in internet.hosts.items() if host.streams}
            assert left == {}
            assert scene.gate.total == 0
            nursery.cancel_scope.cancel()

    simulate(run, seed)


@asynccontextmanager
async def raw_session(scene: Scene) -> AsyncIterator[tuple[Session, trio.abc.Stream]]:
    """What somebody has who does not use our channel: the keys, and the bytes."""
    stream = await scene.alice.network.connect(scene.address)
    session = Session(
        Party.DIALER,
        scene.alice.static,
        scene.alice.hello,
        now=trio.current_time(),
        ephemeral=scene.chance.randbytes(limits.KEY_BYTES),
    )
    await greet(stream, session, remote=scene.address, dialed=True)
    yield session, stream
    await stream.aclose()


async def open_file(channel: Channel, offer: int) -> FileOpened:
    answer = await channel.ask(OpenFile(request=channel.next_request(), file=None, offer=offer))
    assert isinstance(answer, FileOpened)
    return answer


async def fetch(channel: Channel, piece: int) -> bytes:
    data = b""
    question = Fetch(request=channel.next_request(), file=FILE, first=piece)
    async with channel.request(question) as answers:
        async for answer in answers:
            assert answer.payload is not None
            data += answer.payload
    return data


@pytest.mark.parametrize("seed", SEEDS)
def test_many_questions_at_once_each_get_their_own_answer(seed: int) -> None:
    async def act(scene: Scene) -> None:
        async with scene.admitted() as channel, trio.open_nursery() as nursery:

            async def check(number: int) -> None:
                assert (await open_file(channel, number)).size == number
                assert await fetch(channel, number) == bytes([number]) * PARTS * limits.KIB

            for number in range(1, 3 * limits.REQUESTS_OPEN_MAX):
                nursery.start_soon(check, number)

    play(act, seed, line=100 * limits.KIB)


def test_the_first_address_that_answers_wins_over_one_that_swallows_everything() -> None:
    async def act(scene: Scene) -> None:
        scene.internet.host("nobody")
        scene.internet.closed_from_outside.add("nobody")
        addresses = [Address(scene.internet.hosts["nobody"].address, 1), scene.address]
        began = trio.current_time()
        async with dial(scene.alice, addresses, scene.bob.node) as channel:
            assert channel.remote == scene.address
            assert trio.current_time() - began < 1

    play(act)


def test_an_address_that_swallows_everything_is_given_up_in_time() -> None:
    async def act(scene: Scene) -> None:
        scene.internet.closed_from_outside.add("bob")
        began = trio.current_time()
        with pytest.raises(Disconnected, match="did not answer"):
            async with dial(scene.alice, [scene.address], scene.bob.node):
                raise AssertionError("connected")
        assert trio.current_time() - began < CONNECT_TIMEOUT_S + 1

    play(act)


def test_somebody_else_at_the_address_is_not_the_one_we_wanted() -> None:
    async def act(scene: Scene) -> None:
        stranger = Identity.from_seed(b"x" * 32).node_id
        with pytest.raises(PeerFault, match="Somebody else answered"):
            async with dial(scene.alice, [scene.address], stranger):
                raise AssertionError("connected")

    play(act)


def test_a_stranger_who_says_nothing_is_shown_out() -> None:
    async def act(scene: Scene) -> None:
        stream = await scene.internet.hosts["alice"].connect(scene.address)
        began = trio.current_time()
        assert await stream.receive_some() == b""
        assert limits.HANDSHAKE_TIMEOUT_S <= trio.current_time() - began < limits.HANDSHAKE_TIMEOUT_S + 2
        await stream.aclose()

    play(act)


def test_a_stranger_who_answers_one_byte_a_minute_is_shown_out() -> None:
    async def act(scene: Scene) -> None:
        stream = await scene.internet.hosts["alice"].connect(scene.address)
        with pytest.raises(trio.BrokenResourceError), trio.fail_after(4 * limits.HANDSHAKE_TIMEOUT_S):
            while True:
                await stream.send_all(b"\0")
                await trio.sleep(limits.HANDSHAKE_TIMEOUT_S / 3)
        await stream.aclose()

    play(act)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_line_that_goes_silent_ends_whoever_waits_on_it(seed: int) -> None:
    async def act(scene: Scene) -> None:
        async with scene.admitted() as channel:
            scene.internet.silence("alice", "bob")
            began = trio.current_time()
            with pytest.raises(Disconnected) as caught:
                await open_file(channel, 1)
            assert caught.value.code is CloseCode.SILENT
            assert trio.current_time() - began < limits.SILENT_AFTER_S + 2
        scene.internet.mend("alice", "bob")

    play(act, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cut_wakes_everybody_who_waits_on_the_connection(seed: int) -> None:
    async def act(scene: Scene) -> None:
        async with scene.admitted() as channel, trio.open_nursery() as nursery:

            async def wait() -> None:
                with pytest.raises(Disconnected):
                    while True:
                        await fetch(channel, 1)

            for _ in range(2 * limits.REQUESTS_OPEN_MAX):
                nursery.start_soon(wait)
            await trio.sleep(scene.chance.random())
            scene.internet.cut("alice", "bob")
        scene.internet.mend("alice", "bob")

    play(act, seed, line=1 * limits.MIB)


def test_an_idle_connection_lives_on_pings() -> None:
    async def act(scene: Scene) -> None:
        async with scene.admitted() as channel:
            await trio.sleep(20 * limits.SILENT_AFTER_S)
            assert (await open_file(channel, 3)).size == 3

    play(act)


def test_a_connection_that_carries_data_slowly_but_steadily_is_not_taken_for_silent() -> None:
    async def act(scene: Scene) -> None:
        async with scene.admitted() as channel:
            for piece in range(10):
                assert await fetch(channel, piece)

    play(act, line=200)  # bytes a second: 5 KiB take 26 s


async def admit_and_tell_everything(channel: Channel) -> None:
    """Notices without end, as fast as they can be said."""
    async for incoming in channel.incoming():
        if isinstance(incoming.message, Knock):
            await channel.send(Admitted(request=incoming.message.request))
            break
    notice = Have(file=FILE, pieces=tuple(range(60_000, 60_512)))
    while channel.ending is None:
        for _ in range(100):
            channel.post(notice)
        await trio.sleep(0.1)


def test_notices_that_nobody_reads_end_the_connection_at_both_ends() -> None:
    ended: list[CloseCode | None] = []

    async def tell(channel: Channel) -> None:
        await admit_and_tell_everything(channel)
        assert channel.ending is not None
        ended.append(channel.ending.code)

    async def act(scene: Scene) -> None:
        async with scene.admitted() as channel:  # but nobody takes what is incoming
            with trio.fail_after(3 * limits.SILENT_AFTER_S):
                await channel.over.wait()

    play(act, handler=tell)
    assert ended == [CloseCode.TOO_SLOW]


def test_a_channel_can_be_closed_while_notices_wait_that_nobody_took() -> None:
    async def act(scene: Scene) -> None:
        async with scene.admitted():
            await trio.sleep(5)

    play(act, handler=admit_and_tell_everything)


def test_somebody_who_asks_and_asks_but_never_reads_is_shown_out() -> None:
    async def act(scene: Scene) -> None:
        async with raw_session(scene) as (session, stream):
            session.send(Knock(request=1, ticket=b""))
            await stream.send_all(session.data_to_send(limits.MIB))
            while not session.receive_data(await stream.receive_some(), trio.current_time()):
                pass
            for number in range(2, 2_000):
                session.send(Fetch(request=number, file=FILE, first=1))
            with pytest.raises(trio.BrokenResourceError), trio.fail_after(3 * limits.SILENT_AFTER_S):
                while True:
                    session.send(Fetch(request=1, file=FILE, first=1))
                    await stream.send_all(session.data_to_send(limits.MIB))
                    await trio.sleep(1)

    play(act, line=100 * limits.KIB)


# --- cancelled at every checkpoint --------------------------------------------------------------------------


async def ask_twice(channel: Channel) -> None:
    await open_file(channel, 1)
    await open_file(channel, 2)


async def fetch_some(channel: Channel) -> None:
    await fetch(channel, 1)


async def leave_early(channel: Channel) -> None:
    question = Fetch(request=channel.next_request(), file=FILE, first=1)
    async with channel.request(question) as answers:
        async for _ in answers:
            return


async def send_much(channel: Channel) -> None:
    many = Have(file=FILE, pieces=tuple(range(60_000, 60_512)))
    for _ in range(3 * limits.OUTBOX_HIGH_WATER_BYTES // (2 * 3 * len(many.pieces))):
        await channel.send(many)


@pytest.mark.parametrize("act", [ask_twice, fetch_some, leave_early, send_much])
def test_whoever_is_cancelled_anywhere_leaves_the_channel_as_good_as_new(
    act: Callable[[Channel], Awaitable[None]],
) -> None:
    async def use(scene: Scene, cut: Cut) -> None:
        async with scene.admitted() as channel:
            async with cut:
                await act(channel)
            async with trio.open_nursery() as nursery:  # every request slot is free again
                for number in range(1, limits.REQUESTS_OPEN_MAX + 1):
                    nursery.start_soon(open_file, channel, number)
            assert await fetch(channel, 7) == bytes([7]) * PARTS * limits.KIB
            assert channel.ending is None
            assert not channel._waiting

    for cut in cancellations():
        play(lambda scene, cut=cut: use(scene, cut))
        if cut.survived:
            break


def test_whoever_is_cancelled_while_dialling_leaves_nothing_open() -> None:
    async def use(scene: Scene, cut: Cut) -> None:
        async with cut:
            async with scene.admitted() as channel:
                await open_file(channel, 1)

    for cut in cancellations():
        play(lambda scene, cut=cut: use(scene, cut))
        if cut.survived:
            break
