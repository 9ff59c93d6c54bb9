"""What a connection leaves behind in a server: nothing that only the garbage collector would find."""

from __future__ import annotations

import gc

import trio
import trio.testing

from index_server.visits import Visit
from p2pshare.transport.quiet import QuietChannel
from p2pshare.wire import index
from tests.sockets.test_index_server import house
from tests.sockets.test_online import lose


def connections() -> list[object]:
    return [each for each in gc.get_objects() if isinstance(each, (QuietChannel, Visit))]


async def test_a_connection_that_is_over_is_gone_without_the_garbage_collector() -> None:
    async with house(connections__grace="0.01 s") as here:
        before = len(connections())  # those of other tests: nothing is collected meanwhile
        gc.disable()
        try:
            for nick in ("alice", "bob", "carol"):
                async with here.person(nick) as person:
                    await person.ask(index.LookUp, nick=nick)
                    if nick == "carol":
                        await lose(person)
            assert here.server is not None
            while len(connections()) > before:
                await trio.testing.wait_all_tasks_blocked(0.01)
        finally:
            gc.enable()
