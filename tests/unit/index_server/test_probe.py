"""Where the server connects to when it tests a port, and where it never does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio

from index_server import probe
from index_server.probe import PortTests, port_problem
from p2pshare.addresses import Address
from p2pshare.identity import Identity
from p2pshare.transport.channel import Channel
from p2pshare.transport.endpoint import Endpoint
from p2pshare.transport.serve import Gate, serve
from p2pshare.wire.fields import Role

CLIENT = Identity.from_seed(b"c" * 32).node_id


class Nobody:
    """A network in which nobody takes connections; it remembers who was called."""

    def __init__(self) -> None:
        self.called: list[Address] = []

    async def connect(self, address: Address) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        self.called.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    async def listen(self, host: str | None, port: int) -> Sequence[trio.abc.Listener[trio.abc.Stream]]:
        return ()

    def remote(self, stream: trio.abc.Stream) -> Address | None:
        return None

    def port(self, listeners: Sequence[trio.abc.Listener[trio.abc.Stream]]) -> int:
        return 0


async def outcome_of(address: Address) -> tuple[str, list[Address]]:
    network = Nobody()
    endpoint = Endpoint.create(Identity.from_seed(b"s" * 32), Role.INDEX, network=network)
    return await port_problem(endpoint, address, CLIENT), network.called


async def test_what_does_not_answer_is_told_with_the_reason() -> None:
    address = Address("192.0.2.1", 4_000)
    problem, called = await outcome_of(address)
    assert "refused" in problem
    assert called == [address]


async def test_the_ports_of_a_system_are_never_called() -> None:
    problem, called = await outcome_of(Address("192.0.2.1", 1_023))
    assert "1024" in problem
    assert called == []


async def test_on_the_own_machine_any_port_will_do() -> None:
    address = Address("127.0.0.1", 80)
    assert (await outcome_of(address))[1] == [address]


class OwnKey:
    """A client that takes connections as long as it listens."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.me = Endpoint.create(Identity.from_seed(b"c" * 32))
        self.address = Address("127.0.0.1", 0)
        self.calls = 0
        self._serving = trio.CancelScope()
        self._nursery = nursery

    async def open(self) -> None:
        listeners = await self.me.network.listen("127.0.0.1", self.address.port)
        self.address = Address("127.0.0.1", self.me.network.port(listeners))
        await self._nursery.start(self._serve, listeners)

    def close(self) -> None:
        self._serving.cancel()

    async def _serve(
        self, listeners: Sequence[trio.abc.Listener[trio.abc.Stream]], task_status: trio.TaskStatus[None]
    ) -> None:
        async def attend(channel: Channel) -> None:
            self.calls += 1
            await channel.over.wait()

        with self._serving:
            await serve(self.me, listeners, attend, Gate(), task_status=task_status)


@asynccontextmanager
async def client_found() -> AsyncIterator[tuple[PortTests, OwnKey]]:
    """A client whose port was found open."""
    async with trio.open_nursery() as nursery:
        client = OwnKey(nursery)
        await client.open()
        tests = PortTests(Endpoint.create(Identity.from_seed(b"s" * 32), Role.INDEX), 1)
        assert await tests.problem(client.address, client.me.node, again=False) == ""
        yield tests, client
        nursery.cancel_scope.cancel()


async def test_who_comes_back_soon_is_not_called_again() -> None:
    async with client_found() as (tests, client):
        assert await tests.problem(client.address, client.me.node, again=False) == ""
        assert client.calls == 1


async def test_a_good_test_says_nothing_of_another_key_host_or_port() -> None:
    async with client_found() as (tests, client):
        stranger = Identity.from_seed(b"x" * 32).node_id
        assert "Somebody else" in await tests.problem(client.address, stranger, again=False)
        elsewhere = Address("127.0.0.2", client.address.port)
        assert "refused" in await tests.problem(elsewhere, client.me.node, again=False)


async def test_who_asks_again_is_tested_and_a_bad_test_undoes_the_good_one() -> None:
    async with client_found() as (tests, client):
        client.close()
        assert "refused" in await tests.problem(client.address, client.me.node, again=True)
        assert "refused" in await tests.problem(client.address, client.me.node, again=False)


async def test_a_good_test_is_forgotten_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "GOOD_FOR_S", 0.0)
    async with client_found() as (tests, client):
        assert await tests.problem(client.address, client.me.node, again=False) == ""
        assert client.calls == 2
