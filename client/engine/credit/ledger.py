"""What went to and came from each person, by our own count and by receipt: in memory, and in the library.

Counts are kept in memory and written now and then, so a crash loses some seconds of them; a receipt is
written before anybody is told of it. Both only ever grow.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from client.engine.credit.weight import NOTHING, Flow, weight
from client.engine.people import count_exchange
from p2pshare.database import Database
from p2pshare.errors import LocalTrouble
from p2pshare.identity import NodeId
from p2pshare.receipts import Receipt

log = logging.getLogger(__name__)


@dataclass
class _News:
    """Counted, and not written yet."""

    nick: str = ""
    given: int = 0
    taken: int = 0


@dataclass(frozen=True)
class Totals:
    """Over all people, in bytes that both signed for."""

    given: int
    given_people: int
    taken: int
    taken_people: int


class Ledger:
    """The flows between us and everybody. `load` it first."""

    def __init__(self, database: Database, me: NodeId, unix_now: Callable[[], float]) -> None:
        self._database = database
        self._me = me
        self._unix_now = unix_now
        self._given: dict[NodeId, Flow] = {}  # by us to them
        self._taken: dict[NodeId, Flow] = {}  # by them to us
        self._news: dict[NodeId, _News] = {}

    async def load(self) -> None:
        for person, given, flow in await self._database.read(_flows):
            (self._given if given else self._taken)[person] = flow

    # --- counting -----------------------------------------------------------------------------------

    def gave(self, person: NodeId, nick: str, size: int) -> None:
        """So many bytes were sent to them."""
        self._given[person] = _more(self.given(person), size)
        news = self._news_of(person, nick)
        news.given += size

    def took(self, person: NodeId, nick: str, size: int) -> None:
        """So many bytes came from them that are what they should be, and were not here before."""
        self._taken[person] = _more(self.taken(person), size)
        news = self._news_of(person, nick)
        news.taken += size

    def _news_of(self, person: NodeId, nick: str) -> _News:
        news = self._news.setdefault(person, _News())
        news.nick = nick or news.nick
        return news

    async def write(self) -> None:
        """Put what was counted so far into the library; if the disk takes nothing now, another time."""
        news, self._news = self._news, {}
        if not news:
            return
        try:
            await self._database.write(_add, news, self._unix_now())
        except BaseException as error:
            for person, one in news.items():  # for the next time
                again = self._news_of(person, one.nick)
                again.given += one.given
                again.taken += one.taken
            if not isinstance(error, LocalTrouble):
                raise
            log.warning("what was exchanged with people cannot be written just now: %s", error)

    # --- receipts -----------------------------------------------------------------------------------

    async def keep(self, receipt: Receipt, *, lost: bool = False) -> None:
        """A receipt that both have signed, one of them us. An older one than is here changes nothing.

        `lost`: they showed it to us; so our library is of an earlier day, and what we gave in between is
        missing in our count.
        """
        giving = receipt.giver == self._me
        person = receipt.taker if giving else receipt.giver
        flows = self._given if giving else self._taken
        counted = flows.get(person, NOTHING).counted
        missing = await self._database.write(_keep, person, giving, receipt, counted, lost)
        flow = flows.get(person, NOTHING)  # more may have been counted meanwhile
        flows[person] = Flow(flow.counted + missing, max(flow.signed, receipt.total))

    async def receipt(self, person: NodeId, *, given: bool) -> bytes:
        """The newest one that both signed; empty if there is none."""
        return await self._database.read(_receipt, person, given)

    # --- what is known ------------------------------------------------------------------------------

    def given(self, person: NodeId) -> Flow:
        """By us to them."""
        return self._given.get(person, NOTHING)

    def taken(self, person: NodeId) -> Flow:
        """By us from them."""
        return self._taken.get(person, NOTHING)

    def weight(self, person: NodeId) -> float:
        """Their priority with us: 1 for a stranger, at most 4."""
        return weight(given=self.given(person), taken=self.taken(person))

    def people(self) -> set[NodeId]:
        """With whom anything was exchanged; an empty file is nothing."""
        flows = (*self._given.items(), *self._taken.items())
        return {person for person, flow in flows if flow != NOTHING}

    def totals(self) -> Totals:
        given = [flow.signed for flow in self._given.values() if flow.signed]
        taken = [flow.signed for flow in self._taken.values() if flow.signed]
        return Totals(sum(given), len(given), sum(taken), len(taken))


def _more(flow: Flow, size: int) -> Flow:
    return Flow(flow.counted + size, flow.signed)


# --- units on the library ---------------------------------------------------------------------------------


def _flows(connection: sqlite3.Connection) -> list[tuple[NodeId, bool, Flow]]:
    rows = connection.execute("SELECT person, given, counted, signed FROM credit")
    return [(NodeId(person), bool(given), Flow(counted, signed)) for person, given, counted, signed in rows]


def _add(connection: sqlite3.Connection, news: dict[NodeId, _News], unix_now: float) -> None:
    for person, one in news.items():
        count_exchange(connection, person, one.nick, sent=one.given, received=one.taken, unix_now=unix_now)
        for given, size in ((True, one.given), (False, one.taken)):
            if size:
                connection.execute(
                    "INSERT INTO credit(person, given, counted) VALUES (?, ?, ?)"
                    " ON CONFLICT(person, given) DO UPDATE SET counted = counted + excluded.counted",
                    (person, given, size),
                )


def _keep(
    connection: sqlite3.Connection, person: NodeId, given: bool, receipt: Receipt, counted: int, lost: bool
) -> int:
    """Returns by how much the count was too low."""
    connection.execute(
        "INSERT INTO credit(person, given) VALUES (?, ?) ON CONFLICT DO NOTHING", (person, given)
    )
    [(signed,)] = connection.execute(
        "SELECT signed FROM credit WHERE person = ? AND given = ?", (person, given)
    )
    if receipt.total <= signed:
        return 0
    if not given:
        missing = max(0, receipt.total - counted)  # what we signed for, we had counted
    else:
        missing = receipt.total - signed if lost else 0
    connection.execute(
        "UPDATE credit SET signed = ?, receipt = ?, counted = counted + ? WHERE person = ? AND given = ?",
        (receipt.total, receipt.to_bytes(), missing, person, given),
    )
    return missing


def _receipt(connection: sqlite3.Connection, person: NodeId, given: bool) -> bytes:
    row = connection.execute(
        "SELECT receipt FROM credit WHERE person = ? AND given = ?", (person, given)
    ).fetchone()
    return row[0] or b"" if row is not None else b""
