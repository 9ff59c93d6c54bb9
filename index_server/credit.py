"""What people gave each other, as receipts say that both signed. A receipt is counted once, however often and
by whomever it is told; it is the newest total of its pair that counts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio

from p2pshare.database import Database
from p2pshare.errors import BadMessage, Reason, Refused
from p2pshare.identity import NodeId
from p2pshare.receipts import Receipt, read_receipt_untrusted


@dataclass(frozen=True, slots=True)
class Exchanged:
    """Over all receipts of an account."""

    given_bytes: int = 0
    given_people: int = 0
    taken_bytes: int = 0
    taken_people: int = 0


class Credit:
    """The receipts of this server's accounts."""

    def __init__(
        self,
        database: Database,
        *,
        pairs_max: int,
        on_news: Callable[[NodeId, Receipt], None] = lambda reporter, receipt: None,
    ) -> None:
        """`pairs_max`: to how many people, and from how many, the receipts of one account are kept. `on_news`
        hears who told a receipt that has a larger total than was known, and both signatures."""
        self._database = database
        self._on_news = on_news
        self._pairs_max = pairs_max

    async def report(self, reporter: NodeId, receipts: Sequence[bytes]) -> int:
        """Store what is news among them; how many those are. Raises `Refused`: one of them is no receipt, or
        not of the reporter.
        """
        told = [self._cut(reporter, receipt) for receipt in receipts]
        known = await self._database.read(known_totals, told)
        news = []
        for receipt, total in zip(told, known, strict=True):
            if total is None or total >= receipt.total:
                continue  # of somebody without an account here, or nothing new: no need to look closer
            await trio.lowlevel.checkpoint()  # let others in between two checks
            if not receipt.signed_by_both():
                raise Refused(Reason.FAILED, "A signature of a receipt is wrong.")
            news.append(receipt)
            self._on_news(reporter, receipt)
        if news:
            return await self._database.write(store_receipts, news, self._pairs_max)
        return 0

    async def exchanged(self, account: int) -> Exchanged:
        return await self._database.read(exchanged, account)

    def _cut(self, reporter: NodeId, data: bytes) -> Receipt:
        try:
            receipt = read_receipt_untrusted(data)
        except BadMessage as error:
            raise Refused(Reason.FAILED, error.text) from None
        if reporter not in (receipt.giver, receipt.taker):
            raise Refused(Reason.FAILED, "Only the two people of a receipt may tell it.")
        return receipt


# --- units ------------------------------------------------------------------------------------------------


def known_totals(connection: sqlite3.Connection, receipts: Sequence[Receipt]) -> list[int | None]:
    """What is stored of each pair, in the same order; None if one of the two has no account."""
    totals: list[int | None] = []
    for receipt in receipts:
        row = connection.execute(
            "SELECT coalesce(receipt.total, 0) FROM account AS giver JOIN account AS taker"
            " LEFT JOIN receipt ON receipt.giver = giver.id AND receipt.taker = taker.id"
            " WHERE giver.node = ? AND taker.node = ?",
            (receipt.giver, receipt.taker),
        ).fetchone()
        totals.append(None if row is None else row[0])
    return totals


def store_receipts(connection: sqlite3.Connection, receipts: Sequence[Receipt], pairs_max: int) -> int:
    """Keep the larger total of each pair; returns how many changed. Both signatures were found right."""
    changed = 0
    for receipt in receipts:
        row = connection.execute(
            "SELECT giver.id, taker.id, receipt.total FROM account AS giver JOIN account AS taker"
            " LEFT JOIN receipt ON receipt.giver = giver.id AND receipt.taker = taker.id"
            " WHERE giver.node = ? AND taker.node = ?",
            (receipt.giver, receipt.taker),
        ).fetchone()
        if row is None:
            continue
        giver, taker, total = row
        if total is None and _is_full(connection, giver, taker, pairs_max):
            continue
        connection.execute(
            "INSERT INTO receipt (giver, taker, total) VALUES (?, ?, ?)"
            " ON CONFLICT (giver, taker) DO UPDATE SET total = max(total, excluded.total)",
            (giver, taker, receipt.total),
        )
        changed += total is None or receipt.total > total
    return changed


def exchanged(connection: sqlite3.Connection, account: int) -> Exchanged:
    """The sums of an account."""
    given = connection.execute(
        "SELECT coalesce(sum(total), 0), count(*) FROM receipt WHERE giver = ?", (account,)
    ).fetchone()
    taken = connection.execute(
        "SELECT coalesce(sum(total), 0), count(*) FROM receipt WHERE taker = ?", (account,)
    ).fetchone()
    return Exchanged(*given, *taken)


def _is_full(connection: sqlite3.Connection, giver: int, taker: int, pairs_max: int) -> bool:
    # Dropping the smallest instead would let it be told, and counted, again.
    [(given,)] = connection.execute("SELECT count(*) FROM receipt WHERE giver = ?", (giver,))
    [(taken,)] = connection.execute("SELECT count(*) FROM receipt WHERE taker = ?", (taker,))
    return bool(given >= pairs_max or taken >= pairs_max)
