"""An index server that announces itself is found without an invite, on loopback only."""

from __future__ import annotations

import os

import pytest
import trio
import zeroconf

from client.engine.network import nearby
from client.engine.network.nearby import nearby_servers
from p2pshare.addresses import Address
from p2pshare.identity import Identity
from p2pshare.links import Invite
from p2pshare.transport.discover import Kind, announce

LOOPBACK = ["127.0.0.1"]
SERVER = Identity.from_seed(os.urandom(32)).node_id


@pytest.fixture(autouse=True, scope="module")
def multicast() -> None:
    try:
        zeroconf.Zeroconf(LOOPBACK).close()
    except OSError as error:
        pytest.skip(f"multicast on loopback is not possible here: {error}")


async def test_what_is_found_is_an_invite() -> None:
    with trio.fail_after(20):
        async with announce(Kind.INDEX, SERVER, 4000, "home", LOOPBACK):
            found = await nearby_servers(LOOPBACK)
    assert Invite(SERVER, (Address("127.0.0.1", 4000),), "home") in found


async def test_where_nobody_answers_the_wait_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearby, "ANSWER_S", 0.1)
    with trio.fail_after(10):
        assert SERVER not in {invite.server for invite in await nearby_servers(LOOPBACK)}
