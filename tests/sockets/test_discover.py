"""Two programs on one machine find each other, on loopback only."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
import trio
import zeroconf

from p2pshare.addresses import Address
from p2pshare.identity import Identity
from p2pshare.transport.discover import Found, Kind, Lost, announce, look_for

LOOPBACK = ["127.0.0.1"]
ANNA = Identity.from_seed(os.urandom(32)).node_id
BERT = Identity.from_seed(os.urandom(32)).node_id


async def news_of_ours(sightings: AsyncIterator[Found | Lost]) -> Found | Lost:
    """The next news of Anna or Bert: other programs may be about on the machine that runs the tests."""
    async for sighting in sightings:
        if sighting.node in (ANNA, BERT):
            return sighting
    raise AssertionError("The news never end.")


@pytest.fixture(autouse=True, scope="module")
def multicast() -> None:
    try:
        zeroconf.Zeroconf(LOOPBACK).close()
    except OSError as error:
        pytest.skip(f"multicast on loopback is not possible here: {error}")


async def news(sightings: AsyncIterator[Found | Lost]) -> Found | Lost:
    """The next of ours: whoever else is on this machine may announce itself meanwhile."""
    while (one := await anext(sightings)).node not in (ANNA, BERT):
        pass
    return one


async def test_a_server_is_found_among_peers_and_its_goodbye_is_seen() -> None:
    with trio.fail_after(20):
        async with (
            look_for(Kind.INDEX, LOOPBACK) as servers,
            announce(Kind.PEER, ANNA, 4001, "anna", LOOPBACK),
        ):
            async with announce(Kind.INDEX, BERT, 4002, "bert's index", LOOPBACK):
                assert await news_of_ours(servers) == Found(
                    BERT, "bert's index", (Address("127.0.0.1", 4002),)
                )
            assert await news_of_ours(servers) == Lost(BERT)


async def test_junk_of_a_stranger_is_skipped_and_the_next_is_found() -> None:
    with trio.fail_after(20):
        stranger = await trio.to_thread.run_sync(lambda: zeroconf.Zeroconf(LOOPBACK))
        try:
            junk = zeroconf.ServiceInfo(
                Kind.PEER.value,
                f"junk.{Kind.PEER.value}",
                port=4001,
                properties={b"key": b"\xff", b"name": "\x1b[2J\u202e"},
                parsed_addresses=["127.0.0.1"],
            )
            await trio.to_thread.run_sync(stranger.register_service, junk)
            async with (
                look_for(Kind.PEER, LOOPBACK) as sightings,
                announce(Kind.PEER, BERT, 4002, "bert", LOOPBACK),
            ):
                assert await news_of_ours(sightings) == Found(BERT, "bert", (Address("127.0.0.1", 4002),))
        finally:
            await trio.to_thread.run_sync(stranger.close)


async def test_the_same_key_twice_is_lost_with_the_last_one_only() -> None:
    with trio.fail_after(20):
        async with look_for(Kind.PEER, LOOPBACK) as sightings:
            async with announce(Kind.PEER, ANNA, 4001, "anna", LOOPBACK):
                assert isinstance(await news_of_ours(sightings), Found)
                async with announce(Kind.PEER, ANNA, 4002, "anna", LOOPBACK):
                    assert await news_of_ours(sightings) == Found(ANNA, "anna", (Address("127.0.0.1", 4002),))
            assert await news_of_ours(sightings) == Lost(ANNA)


async def test_cancelling_the_block_says_goodbye_too() -> None:
    async def be_there() -> None:
        async with announce(Kind.PEER, ANNA, 4001, "anna", LOOPBACK):
            await trio.sleep_forever()

    with trio.fail_after(20):
        async with look_for(Kind.PEER, LOOPBACK) as sightings:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(be_there)
                assert isinstance(await news_of_ours(sightings), Found)
                nursery.cancel_scope.cancel()
            assert await news_of_ours(sightings) == Lost(ANNA)
