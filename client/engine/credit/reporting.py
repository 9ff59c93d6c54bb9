"""Telling index servers the receipts of those who met there, so that anybody can look up who gives."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import trio

from client.engine.network.servers import ServerLink, Servers
from p2pshare.database import Database
from p2pshare.errors import Disconnected, LocalTrouble, Refused
from p2pshare.identity import NodeId
from p2pshare.limits import MIB, RECEIPTS_PER_REPORT
from p2pshare.wire.index import ReportReceipts

REPORT_S = 900.0  # the newest of each pair, and nobody waits for them
BATCH_S = 60.0  # between two reports while there is more to tell
MUCH_BYTES = 64 * MIB  # of one pair, told at once: a server tells from two such reports how fast it went


class Reporting:
    """`run` beside everything."""

    def __init__(self, database: Database, servers: Servers, wanted: Callable[[], bool]) -> None:
        """`wanted`: whether the person lets us tell."""
        self._database = database
        self._servers = servers
        self._wanted = wanted

    async def run(self) -> None:
        """For ever."""
        rested_s: dict[NodeId, float] = {}  # since everything was told
        while True:
            await trio.sleep(BATCH_S)
            for link in self._servers.online() if self._wanted() else ():
                rested_s[link.node] = rested_s.get(link.node, REPORT_S) + BATCH_S
                soon = rested_s[link.node] >= REPORT_S or await self._database.read(_much_is_news, link.node)
                if soon and not await self._report(link):
                    rested_s[link.node] = 0.0

    async def _report(self, link: ServerLink) -> bool:
        """One batch; whether there may be more."""
        rows = await self._database.read(_unreported, link.node, RECEIPTS_PER_REPORT)
        if not rows:
            return False
        try:
            receipts = tuple(receipt for _, _, _, receipt in rows)
            await link.ask(lambda request: ReportReceipts(request=request, receipts=receipts))
            await self._database.write(_note_reported, link.node, rows)
        except (Disconnected, Refused, LocalTrouble):
            return False
        return len(rows) == RECEIPTS_PER_REPORT


_Row = tuple[NodeId, bool, int, bytes]  # person, given, signed, receipt


def _unreported(connection: sqlite3.Connection, server: NodeId, limit: int) -> list[_Row]:
    """Receipts that the server was not told, or in an older state."""
    return connection.execute(
        "SELECT credit.person, credit.given, credit.signed, credit.receipt FROM credit"
        " LEFT JOIN receipt_reported AS told"
        " ON told.server = ? AND told.person = credit.person AND told.given = credit.given"
        " WHERE credit.signed > coalesce(told.signed, 0) ORDER BY credit.person, credit.given LIMIT ?",
        (server, limit),
    ).fetchall()


def _much_is_news(connection: sqlite3.Connection, server: NodeId) -> bool:
    """What we took; of what we gave, the takers tell when it was."""
    rows = connection.execute(
        "SELECT 1 FROM credit LEFT JOIN receipt_reported AS told"
        " ON told.server = ? AND told.person = credit.person AND told.given = credit.given"
        " WHERE credit.given = 0 AND credit.signed > coalesce(told.signed, 0) + ? LIMIT 1",
        (server, MUCH_BYTES),
    )
    return rows.fetchone() is not None


def _note_reported(connection: sqlite3.Connection, server: NodeId, rows: list[_Row]) -> None:
    connection.executemany(
        "INSERT INTO receipt_reported(server, person, given, signed) VALUES (?, ?, ?, ?)"
        " ON CONFLICT(server, person, given) DO UPDATE SET signed = excluded.signed",
        [(server, person, given, signed) for person, given, signed, _ in rows],
    )
