"""Servers hear of our slots when it makes a difference, and not more often."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

from client.engine.network.slots_told import LOOK_S, SlotsTold, is_news
from p2pshare.limits import SLOTS_PER_MINUTE

if TYPE_CHECKING:
    from trio.testing import MockClock

    from client.engine.network.servers import Servers
    from p2pshare.wire.index import Slots


@pytest.mark.parametrize(
    ("told_s", "wait_s", "news"),
    [
        (0, 0, False),
        (0, 1, True),
        (5, 0, True),
        (60, 60, False),
        (60, 119, False),
        (60, 121, True),
        (60, 29, True),
    ],
)
def test_a_free_slot_and_a_wait_twice_or_half_as_long_are_news(told_s: int, wait_s: int, news: bool) -> None:
    assert is_news(told_s, wait_s) is news


class FakeServer:
    """Online, and the only one."""

    def __init__(self) -> None:
        self.node = b"s" * 32
        self.logins = 1
        self.heard: list[int] = []

    def online(self) -> list[FakeServer]:
        return [self]

    def tell(self, message: Slots) -> None:
        self.heard.append(message.wait_s)


async def test_it_is_told_at_each_login_and_when_it_changes(mock_clock: MockClock) -> None:
    server, wait_s = FakeServer(), 0

    async def pass_time() -> None:
        for _ in range(3):
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(LOOK_S)
        await trio.testing.wait_all_tasks_blocked()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(SlotsTold(cast("Servers", server), lambda: wait_s).run)
        await pass_time()
        assert server.heard == [0]
        wait_s = 90
        await pass_time()
        assert server.heard == [0, 90]
        server.logins += 1
        await pass_time()
        assert server.heard == [0, 90, 90]
        nursery.cancel_scope.cancel()
    assert SLOTS_PER_MINUTE * LOOK_S >= 60, "a client never goes beyond what a server takes"
