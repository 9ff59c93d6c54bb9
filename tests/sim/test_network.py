"""The simulated internet keeps every promise of the real one that the rest of the tests rely on."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from p2pshare.addresses import Address
from p2pshare.errors import LocalTrouble
from tests.sim.network import BUFFER_BYTES, WINDOW_BYTES, SimInternet, SimNetwork, SimStream
from tests.sim.scheduler import simulate

MIB = 1024 * 1024

Scene = Callable[[SimInternet, SimNetwork, SimNetwork], Awaitable[None]]


def between_two(scene: Scene, seed: int = 1, *, up: float = float("inf")) -> None:
    async def run(chance: random.Random) -> None:
        async with SimInternet(chance) as internet:
            await scene(internet, internet.host("alice", up=up), internet.host("bob"))

    simulate(run, seed)


async def connected(alice: SimNetwork, bob: SimNetwork) -> tuple[SimStream, SimStream]:
    (listener,) = await bob.listen(None, 0)
    near = await alice.connect(Address(bob.address, listener.port))
    far = await listener.accept()
    await listener.aclose()
    return near, far


async def read_all(stream: SimStream) -> bytes:
    data = b""
    async for chunk in stream:
        data += chunk
    return data


def test_a_stream_is_what_trio_calls_a_stream() -> None:
    async def scene(internet: SimInternet, alice: SimNetwork, bob: SimNetwork) -> None:
        async def make() -> tuple[SimStream, SimStream]:
            return await connected(alice, bob)

        async def make_clogged() -> tuple[SimStream, SimStream]:
            streams = await connected(alice, bob)
            for stream in streams:
                await stream.send_all(bytes(WINDOW_BYTES + BUFFER_BYTES))
            await trio.sleep(1)
            return streams

        await trio.testing.check_two_way_stream(make, make_clogged)

    between_two(scene)


def test_bytes_arrive_in_order_however_they_are_cut() -> None:
    sent = random.Random(5).randbytes(3 * MIB)

    async def scene(internet: SimInternet, alice: SimNetwork, bob: SimNetwork) -> None:
        near, far = await connected(alice, bob)
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                await near.send_all(sent)
                await near.aclose()

            nursery.start_soon(send)
            assert await read_all(far) == sent

    for seed in range(5):
        between_two(scene, seed)


def test_a_line_has_a_rate_that_its_connections_share() -> None:
    async def scene(internet: SimInternet, alice: SimNetwork, bob: SimNetwork) -> None:
        pairs = [await connected(alice, bob) for _ in range(3)]
        ended: list[float] = []

        async def send(stream: SimStream) -> None:
            await stream.send_all(bytes(MIB))
            await stream.aclose()

        async def read(stream: SimStream) -> None:
            assert len(await read_all(stream)) == MIB
            ended.append(trio.current_time())

        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for near, far in pairs:
                nursery.start_soon(send, near)
                nursery.start_soon(read, far)
        assert 2.7 < min(ended) - began <= max(ended) - began < 3.1

    between_two(scene, up=1 * MIB)


def test_a_reader_who_does_not_read_stops_the_writer() -> None:
    async def scene(internet: SimInternet, alice: SimNetwork, bob: SimNetwork) -> None:
        near, far = await connected(alice, bob)
        with trio.move_on_after(1000) as scope:
            await near.send_all(bytes(MIB))
        assert scope.cancelled_caught
        with trio.fail_after(1):
            while (await far.receive_some()) and near._outgoing.room() < BUFFER_BYTES:
                pass

    between_two(scene)


def test_a_cut_resets_both_ends_and_refuses_new_connections() -> None:
    async def scene(internet: SimInternet, alice: SimNetwork, bob: SimNetwork) -> None:
        (listener,) = await bob.listen(None, 0)
        address = Address(bob.address, listener.port)
        near, far = await alice.connect(address), await listener.accept()
        internet.cut("alice", "bob")
        for stream in (near, far):
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()
            with pytest.raises(trio.BrokenResourceError):
                await stream.send_all(b"x")
        with pytest.raises(OSError, match="No route"):
            await alice.connect(address)
        internet.mend("alice", "bob")
        await alice.connect(address)

    between_two(scene)


def test_silence_swallows_everything_and_tells_nobody() -> None:
    async def scene(internet: SimInternet, alice: SimNetwork, bob: SimNetwork) -> None:
        near, far = await connected(alice, bob)
        internet.silence("alice", "bob")
        await near.send_all(b"hello")
        with trio.move_on_after(1000) as scope:
            await far.receive_some()
        assert scope.cancelled_caught
        internet.mend("alice", "bob")
        assert await far.receive_some() == b"hello"  # sent again, as TCP does

    between_two(scene)


def test_a_program_that_is_killed_leaves_resets_and_closed_ports() -> None:
    async def scene(internet: SimInternet, alice: SimNetwork, bob: SimNetwork) -> None:
        (listener,) = await bob.listen(None, 0)
        near, _ = await alice.connect(Address(bob.address, listener.port)), await listener.accept()
        bob.crash()
        with pytest.raises(trio.BrokenResourceError):
            await near.receive_some()
        with pytest.raises(OSError, match="refused"):
            await alice.connect(Address(bob.address, listener.port))

    between_two(scene)


def test_nobody_gets_in_through_a_firewall_but_out_is_open() -> None:
    async def scene(internet: SimInternet, alice: SimNetwork, bob: SimNetwork) -> None:
        internet.closed_from_outside.add("bob")
        with trio.move_on_after(1000) as scope:
            await connected(alice, bob)
        assert scope.cancelled_caught
        await connected(bob, alice)

    between_two(scene)


def test_a_port_is_taken_once() -> None:
    async def scene(internet: SimInternet, alice: SimNetwork, bob: SimNetwork) -> None:
        (listener,) = await bob.listen(None, 0)
        with pytest.raises(LocalTrouble, match="in use"):
            await bob.listen(None, listener.port)
        await listener.aclose()
        await bob.listen(None, listener.port)

    between_two(scene)


def test_nobody_hears_that_a_program_was_killed_while_the_line_is_silent() -> None:
    async def scene(internet: SimInternet, alice: SimNetwork, bob: SimNetwork) -> None:
        near, _ = await connected(alice, bob)
        internet.silence("alice", "bob")
        bob.crash()
        with trio.move_on_after(1000) as scope:
            await near.receive_some()
        assert scope.cancelled_caught
        internet.mend("alice", "bob")
        with pytest.raises(trio.BrokenResourceError):
            await near.receive_some()

    between_two(scene)
