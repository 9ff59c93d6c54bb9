from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import trio
import trio.testing

from client.engine.credit.ledger import Ledger
from client.engine.credit.reporting import BATCH_S, MUCH_BYTES, REPORT_S, Reporting
from client.engine.library import MIGRATIONS
from client.engine.network.servers import Servers
from p2pshare.database import Database, open_database
from p2pshare.errors import Reason, Refused
from p2pshare.identity import Identity, NodeId
from p2pshare.limits import RECEIPTS_PER_REPORT
from p2pshare.receipts import Receipt, read_receipt_untrusted, sign_receipt
from p2pshare.wire.index import ReceiptsReported
from p2pshare.wire.schema import decode_untrusted, encode

ME = Identity.from_seed(bytes([1]) * 32)
OTHERS = [Identity.from_seed(bytes([n]) * 32) for n in range(2, 3 + RECEIPTS_PER_REPORT)]


class FakeServer:
    """Online, and takes reports unless it is busy."""

    def __init__(self) -> None:
        self.node = NodeId(b"s" * 32)
        self.reports: list[list[int]] = []
        self.busy = False

    def online(self) -> list[FakeServer]:
        return [self]

    async def ask(self, build: Callable[[int], Any]) -> ReceiptsReported:
        message: Any = decode_untrusted(encode(build(1)))
        self.reports.append([read_receipt_untrusted(each).total for each in message.receipts])
        await trio.lowlevel.checkpoint()
        if self.busy:
            raise Refused(Reason.TOO_MUCH)
        return ReceiptsReported(request=1, news=len(message.receipts))


@asynccontextmanager
async def reporting(
    server: FakeServer, wanted: Callable[[], bool] = lambda: True
) -> AsyncIterator[tuple[Ledger, Database]]:
    async with (
        open_database(":memory:", MIGRATIONS, threads=False) as database,
        trio.open_nursery() as nursery,
    ):
        ledger = Ledger(database, ME.node_id, lambda: 1.0)
        nursery.start_soon(Reporting(database, cast(Servers, server), wanted).run)
        yield ledger, database
        nursery.cancel_scope.cancel()


def receipt(taker: Identity, total: int) -> Receipt:
    halves = [sign_receipt(each, giver=ME.node_id, taker=taker.node_id, total=total) for each in (taker, ME)]
    return Receipt(ME.node_id, taker.node_id, total, *halves)


async def pass_time(clock: trio.testing.MockClock, seconds: float) -> None:
    for _ in range(round(seconds / BATCH_S)):
        await trio.testing.wait_all_tasks_blocked()
        clock.jump(BATCH_S)
        await trio.testing.wait_all_tasks_blocked()


async def test_the_newest_of_each_pair_is_told_once_and_again_when_it_grew(
    mock_clock: trio.testing.MockClock,
) -> None:
    server = FakeServer()
    async with reporting(server) as (ledger, _):
        await ledger.keep(receipt(OTHERS[0], 5))
        await ledger.keep(receipt(OTHERS[0], 7))
        await pass_time(mock_clock, 3 * REPORT_S)
        assert server.reports == [[7]]
        await ledger.keep(receipt(OTHERS[0], 9))
        await pass_time(mock_clock, REPORT_S)
        assert server.reports == [[7], [9]]


async def test_many_are_told_in_batches_with_a_pause_between_them(
    mock_clock: trio.testing.MockClock,
) -> None:
    server = FakeServer()
    async with reporting(server) as (ledger, _):
        for other in OTHERS:
            await ledger.keep(receipt(other, 5))
        await pass_time(mock_clock, BATCH_S)
        assert [len(report) for report in server.reports] == [RECEIPTS_PER_REPORT]
        await pass_time(mock_clock, BATCH_S)
        assert [len(report) for report in server.reports] == [RECEIPTS_PER_REPORT, 1]


async def test_what_a_server_would_not_take_is_told_again(mock_clock: trio.testing.MockClock) -> None:
    server = FakeServer()
    server.busy = True
    async with reporting(server) as (ledger, _):
        await ledger.keep(receipt(OTHERS[0], 5))
        await pass_time(mock_clock, BATCH_S)
        server.busy = False
        await pass_time(mock_clock, REPORT_S + BATCH_S)
        assert server.reports == [[5], [5]]


async def test_nothing_is_told_while_the_person_does_not_want_it(mock_clock: trio.testing.MockClock) -> None:
    server, wishes = FakeServer(), [False]
    async with reporting(server, lambda: wishes[0]) as (ledger, _):
        await ledger.keep(receipt(OTHERS[0], 5))
        await pass_time(mock_clock, REPORT_S)
        assert server.reports == []
        wishes[0] = True
        await pass_time(mock_clock, BATCH_S)
        assert server.reports == [[5]]


async def test_what_we_took_is_told_soon_while_it_is_much(mock_clock: trio.testing.MockClock) -> None:
    # from two such reports a server tells how fast the giver is
    server = FakeServer()
    giver = OTHERS[0]

    def taken(total: int) -> Receipt:
        halves = [
            sign_receipt(each, giver=giver.node_id, taker=ME.node_id, total=total) for each in (ME, giver)
        ]
        return Receipt(giver.node_id, ME.node_id, total, *halves)

    async with reporting(server) as (ledger, _):
        await pass_time(mock_clock, 2 * BATCH_S)
        await ledger.keep(taken(MUCH_BYTES))
        await pass_time(mock_clock, BATCH_S)
        first = len(server.reports)
        await ledger.keep(taken(3 * MUCH_BYTES))
        await pass_time(mock_clock, BATCH_S)
        assert server.reports[first:] == [[3 * MUCH_BYTES]]
        await ledger.keep(receipt(OTHERS[1], 9 * MUCH_BYTES))
        await pass_time(mock_clock, 2 * BATCH_S)
        assert len(server.reports) == first + 1, "of what we gave, the taker tells"
