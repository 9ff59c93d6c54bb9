from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from index_server import store
from index_server.credit import Credit, Exchanged
from p2pshare.database import Database, open_database
from p2pshare.errors import Reason, Refused
from p2pshare.identity import Identity, NodeId
from p2pshare.limits import GIB, RECEIPT_TOTAL_MAX
from p2pshare.receipts import Receipt, sign_receipt

ANNA, BERT, CARL, STRANGER = (Identity.from_seed(bytes([n]) * 32) for n in range(1, 5))
PAIRS_MAX = 5_000


@asynccontextmanager
async def accounts(pairs_max: int = PAIRS_MAX) -> AsyncIterator[tuple[Credit, Database]]:
    """Anna, Bert and Carl have one; they are numbers 1 to 3."""
    async with open_database(":memory:", store.MIGRATIONS, threads=False) as database:
        for name, who in (("anna", ANNA), ("bert", BERT), ("carl", CARL)):
            await database.write(store.add_account, who.node_id, name, name, 0)
        yield Credit(database, pairs_max=pairs_max), database


def receipt(giver: Identity, taker: Identity, total: int) -> Receipt:
    halves = [
        sign_receipt(each, giver=giver.node_id, taker=taker.node_id, total=total) for each in (taker, giver)
    ]
    return Receipt(giver.node_id, taker.node_id, total, *halves)


async def tell(credit: Credit, reporter: Identity, *receipts: Receipt) -> int:
    return await credit.report(reporter.node_id, [each.to_bytes() for each in receipts])


async def test_receipts_add_up_for_both_sides() -> None:
    async with accounts() as (credit, _):
        assert await credit.exchanged(1) == Exchanged()
        assert await tell(credit, ANNA, receipt(ANNA, BERT, 10), receipt(ANNA, CARL, 5)) == 2
        assert await tell(credit, BERT, receipt(BERT, ANNA, 3)) == 1
        assert await credit.exchanged(1) == Exchanged(15, 2, 3, 1)
        assert await credit.exchanged(2) == Exchanged(3, 1, 10, 1)
        assert await credit.exchanged(3) == Exchanged(0, 0, 5, 1)


async def test_telling_it_again_adds_nothing_whoever_tells_it() -> None:
    async with accounts() as (credit, _):
        assert await tell(credit, ANNA, receipt(ANNA, BERT, 10)) == 1
        assert await tell(credit, ANNA, receipt(ANNA, BERT, 10)) == 0
        assert await tell(credit, BERT, receipt(ANNA, BERT, 10), receipt(ANNA, BERT, 10)) == 0
        assert (await credit.exchanged(1)).given_bytes == 10


async def test_an_old_receipt_changes_nothing_and_a_newer_one_takes_its_place() -> None:
    async with accounts() as (credit, _):
        both = receipt(ANNA, BERT, 10), receipt(ANNA, BERT, 25)
        assert await tell(credit, ANNA, *both) == 2
        assert await tell(credit, ANNA, *both) == 0
        assert await credit.exchanged(1) == Exchanged(25, 1, 0, 0)


@pytest.mark.parametrize("half", ["taker_signature", "giver_signature"])
async def test_without_both_signatures_nothing_of_the_report_is_stored(half: str) -> None:
    async with accounts() as (credit, _):
        forged = replace(receipt(ANNA, BERT, 10), **{half: bytes(64)})
        with pytest.raises(Refused) as refused:
            await tell(credit, ANNA, receipt(ANNA, CARL, 5), forged)
        assert refused.value.reason is Reason.FAILED
        assert await credit.exchanged(1) == Exchanged()


async def test_a_forged_receipt_costs_no_signature_check_if_it_would_change_nothing() -> None:
    async with accounts() as (credit, _):
        await tell(credit, ANNA, receipt(ANNA, BERT, 10))
        forged = replace(receipt(ANNA, BERT, 10), giver_signature=bytes(64))
        assert await tell(credit, ANNA, forged) == 0


async def test_only_the_two_may_tell_it() -> None:
    async with accounts() as (credit, _):
        with pytest.raises(Refused, match="Only the two"):
            await tell(credit, CARL, receipt(ANNA, BERT, 10))


@pytest.mark.parametrize("data", [bytes(200), ANNA.node_id * 2 + bytes(136)], ids=["zeros", "of one person"])
async def test_what_is_no_receipt_is_refused_in_words(data: bytes) -> None:
    async with accounts() as (credit, _):
        with pytest.raises(Refused):
            await credit.report(ANNA.node_id, [data])


async def test_receipts_with_somebody_who_has_no_account_here_are_left_out() -> None:
    async with accounts() as (credit, _):
        assert await tell(credit, ANNA, receipt(ANNA, STRANGER, 10), receipt(STRANGER, ANNA, 10)) == 0
        assert await credit.exchanged(1) == Exchanged()


async def test_the_rows_of_one_account_are_bounded_and_those_that_are_there_grow_on() -> None:
    async with accounts(pairs_max=1) as (credit, _):
        assert await tell(credit, ANNA, receipt(ANNA, BERT, 10), receipt(ANNA, CARL, 99)) == 1
        assert await tell(credit, CARL, receipt(CARL, BERT, 7)) == 0, "Bert has taken from one already"
        assert await tell(credit, ANNA, receipt(ANNA, BERT, 20)) == 1
        assert await credit.exchanged(1) == Exchanged(20, 1, 0, 0)


async def test_the_largest_totals_still_add_up() -> None:
    def fill(connection: object) -> None:
        connection.executemany(  # type: ignore[attr-defined]
            "INSERT INTO account (node, nick, skeleton, created_at, seen_at, manifest, offers)"
            " VALUES (?, ?, ?, 0, 0, x'', 0)",
            [(NodeId(number.to_bytes(32, "big")), f"n{number}", f"n{number}") for number in range(8_000)],
        )
        connection.executemany(  # type: ignore[attr-defined]
            "INSERT INTO receipt (giver, taker, total) VALUES (1, ?, ?)",
            [(4 + number, RECEIPT_TOTAL_MAX) for number in range(8_000 - 1)],
        )

    async with accounts(pairs_max=8_000) as (credit, database):
        await database.write(fill)
        await tell(credit, ANNA, receipt(ANNA, BERT, GIB))
        exchanged = await credit.exchanged(1)
        assert exchanged.given_bytes == 7_999 * RECEIPT_TOTAL_MAX + GIB < 1 << 63
        assert exchanged.given_people == 8_000
