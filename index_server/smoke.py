"""The smoke test: a real server on loopback, and a real client that registers, offers a file and finds it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import trio

from index_server.config import load_config
from index_server.server import DATABASE_FILE, open_server, server_identity
from p2pshare.addresses import Address
from p2pshare.errors import LocalTrouble
from p2pshare.hashing import FileId
from p2pshare.identity import Identity
from p2pshare.limits import KEY_BYTES
from p2pshare.transport.channel import Channel
from p2pshare.transport.dial import dial
from p2pshare.transport.endpoint import Endpoint
from p2pshare.wire import index
from p2pshare.wire.fields import Offer, Role
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest, offer_hash

TIME_LIMIT_S = 30
SETTINGS = {"server.hosts": "127.0.0.1", "server.port": "0", "server.announce": "false"}


async def smoke(say: Callable[[str], None]) -> None:
    """Raises `LocalTrouble` if anything does not work."""
    with tempfile.TemporaryDirectory() as name, trio.move_on_after(TIME_LIMIT_S) as patience:
        folder = Path(name)
        endpoint = Endpoint.create(server_identity(folder), Role.INDEX, agent="p2pshare-index")
        async with open_server(load_config(None, {}, SETTINGS), endpoint, folder / DATABASE_FILE) as server:
            say(f"A server listens on 127.0.0.1, port {server.port}.")
            client = Endpoint.create(
                Identity.from_seed(os.urandom(KEY_BYTES)), agent="p2pshare-index smoke test"
            )
            async with dial(client, [Address("127.0.0.1", server.port)], endpoint.node) as channel:
                await _try_everything(channel, say)
    if patience.cancelled_caught:
        raise LocalTrouble(f"The server did not answer within {TIME_LIMIT_S} s.")


async def _try_everything(channel: Channel, say: Callable[[str], None]) -> None:
    await channel.ask(index.Register(request=channel.next_request(), nick="smoke.test"))
    await channel.ask(index.Login(request=channel.next_request()))
    say("A client has registered and logged in.")
    offer = Offer(offer=1, path="Music/Smoke on the Water.flac", size=1, file=FileId(bytes(KEY_BYTES)))
    result = change_digest(EMPTY_MANIFEST, added=[offer_hash(offer)])
    await channel.ask(
        index.Publish(
            request=channel.next_request(), base=EMPTY_MANIFEST, result=result, removed=(), added=(offer,)
        )
    )
    say("It offers a file.")
    hits = await channel.ask(index.Search(request=channel.next_request(), query='"smoke on" -purple'))
    if [hit.path for hit in hits.hits] != [offer.path]:
        raise LocalTrouble("A search did not find the file that was offered.")
    say("A search finds it.")
