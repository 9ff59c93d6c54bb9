from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from client.engine.credit.ledger import Ledger, Totals
from client.engine.credit.weight import NOTHING, Flow
from client.engine.library import MIGRATIONS
from client.engine.people import totals
from p2pshare.database import Database, open_database
from p2pshare.errors import LocalTrouble
from p2pshare.identity import Identity
from p2pshare.receipts import Receipt, sign_receipt

ME, ANNA, BERT = (Identity.from_seed(bytes([n]) * 32) for n in range(1, 4))


@asynccontextmanager
async def library() -> AsyncIterator[Database]:
    async with open_database(":memory:", MIGRATIONS, threads=False) as database:
        yield database


async def loaded(database: Database) -> Ledger:
    ledger = Ledger(database, ME.node_id, lambda: 1.0)
    await ledger.load()
    return ledger


def receipt(giver: Identity, taker: Identity, total: int) -> Receipt:
    halves = [
        sign_receipt(each, giver=giver.node_id, taker=taker.node_id, total=total) for each in (taker, giver)
    ]
    return Receipt(giver.node_id, taker.node_id, total, *halves)


async def test_what_is_counted_is_known_at_once_and_after_a_restart_once_it_is_written() -> None:
    async with library() as database:
        ledger = await loaded(database)
        ledger.gave(ANNA.node_id, "anna", 10)
        ledger.gave(ANNA.node_id, "", 5)
        ledger.took(ANNA.node_id, "anna", 7)
        assert (ledger.given(ANNA.node_id), ledger.taken(ANNA.node_id)) == (Flow(15), Flow(7))
        assert (await loaded(database)).people() == set()
        await ledger.write()
        await ledger.write()
        again = await loaded(database)
        assert (again.given(ANNA.node_id), again.taken(ANNA.node_id)) == (Flow(15), Flow(7))
        assert again.given(BERT.node_id) == NOTHING
        exchanged = await database.read(totals)
        assert (exchanged.sent_bytes, exchanged.received_bytes) == (15, 7)


async def test_a_disk_that_takes_nothing_loses_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    async with library() as database:
        ledger = await loaded(database)
        ledger.gave(ANNA.node_id, "anna", 10)

        async def full(*arguments: object) -> None:
            raise LocalTrouble("The disk is full.")

        with monkeypatch.context() as patch:
            patch.setattr(database, "write", full)
            await ledger.write()
        ledger.gave(ANNA.node_id, "anna", 1)
        await ledger.write()
        assert (await loaded(database)).given(ANNA.node_id) == Flow(11)


async def test_only_the_newest_receipt_is_kept_in_whatever_order_they_come() -> None:
    async with library() as database:
        ledger = await loaded(database)
        ledger.took(ANNA.node_id, "anna", 100)
        newest = receipt(ANNA, ME, 90)
        for each in (receipt(ANNA, ME, 50), newest, receipt(ANNA, ME, 50), newest):
            await ledger.keep(each)
        assert ledger.taken(ANNA.node_id) == Flow(100, 90)
        assert await ledger.receipt(ANNA.node_id, given=False) == newest.to_bytes()
        assert await ledger.receipt(ANNA.node_id, given=True) == b""
        await ledger.write()
        assert (await loaded(database)).taken(ANNA.node_id) == Flow(100, 90)


async def test_the_two_directions_do_not_touch_each_other() -> None:
    async with library() as database:
        ledger = await loaded(database)
        await ledger.keep(receipt(ANNA, ME, 50))
        await ledger.keep(receipt(ME, ANNA, 20))
        assert (ledger.taken(ANNA.node_id).signed, ledger.given(ANNA.node_id).signed) == (50, 20)
        assert ledger.totals() == Totals(20, 1, 50, 1)


async def test_a_taker_whose_library_is_of_an_earlier_day_counts_on_from_what_they_signed() -> None:
    async with library() as database:
        ledger = await loaded(database)
        ledger.took(ANNA.node_id, "anna", 5)
        await ledger.keep(receipt(ANNA, ME, 90))
        ledger.took(ANNA.node_id, "anna", 10)
        assert ledger.taken(ANNA.node_id) == Flow(100, 90)
        await ledger.write()
        assert (await loaded(database)).taken(ANNA.node_id) == Flow(100, 90)


async def test_a_giver_whose_library_is_of_an_earlier_day_adds_what_was_given_in_between() -> None:
    async with library() as database:
        ledger = await loaded(database)
        ledger.gave(ANNA.node_id, "anna", 5)  # since then
        await ledger.keep(receipt(ME, ANNA, 3))
        shown = receipt(ME, ANNA, 93)
        await ledger.keep(shown, lost=True)
        await ledger.keep(shown, lost=True)
        assert ledger.given(ANNA.node_id) == Flow(95, 93)
        await ledger.write()
        assert (await loaded(database)).given(ANNA.node_id) == Flow(95, 93)


async def test_both_numbers_in_the_library_only_grow() -> None:
    def rows(connection: sqlite3.Connection) -> list[tuple[int, int]]:
        return connection.execute("SELECT counted, signed FROM credit").fetchall()

    async with library() as database:
        ledger = await loaded(database)
        seen = [(0, 0)]
        for total in (3, 9, 6, 12, 1):
            ledger.took(ANNA.node_id, "anna", 1)
            await ledger.keep(receipt(ANNA, ME, total))
            await ledger.write()
            seen += await database.read(rows)
        assert seen == sorted(seen)
        assert seen[-1][1] == 12
