"""Where the server connects to when it tests a port, and where it never does."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from index_server.probe import port_problem
from p2pshare.addresses import Address
from p2pshare.identity import Identity
from p2pshare.transport.endpoint import Endpoint
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
