"""Puts what is known of people's waiting and quotas into the library, and takes it out again at the start."""

from __future__ import annotations

import logging
import sqlite3

from client.engine.network.waiting import Waiting, keep_tickets
from client.engine.uploads.patrons import Changes, Patrons, keep
from p2pshare.database import Database
from p2pshare.errors import LocalTrouble
from p2pshare.identity import NodeId

log = logging.getLogger(__name__)


class Remembering:
    """`load` it before anybody comes, `write` every few seconds and at the end."""

    def __init__(self, database: Database, patrons: Patrons, waiting: Waiting) -> None:
        self._database = database
        self._patrons = patrons
        self._waiting = waiting

    async def load(self, unix_now: float) -> None:
        await self._database.write(self._load, unix_now)

    def _load(self, connection: sqlite3.Connection, unix_now: float) -> None:
        self._patrons.load(connection)
        self._waiting.load(connection, unix_now)

    async def write(self, unix_now: float) -> None:
        """If the disk takes nothing now, another time."""
        changes, tickets = self._patrons.take_changes(), self._waiting.take_changes()
        if not (changes.served or changes.sent or tickets):
            return
        try:
            await self._database.write(_keep, changes, tickets, unix_now)
        except BaseException as error:
            self._patrons.put_back(changes)
            self._waiting.put_back(tickets)
            if not isinstance(error, LocalTrouble):
                raise
            log.warning("who waited and what was sent cannot be written just now: %s", error)


def _keep(
    connection: sqlite3.Connection, changes: Changes, tickets: dict[NodeId, bytes], unix_now: float
) -> None:
    keep(connection, changes)
    keep_tickets(connection, tickets, unix_now)
