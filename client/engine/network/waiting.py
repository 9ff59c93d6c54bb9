"""Our places in the queues of others: the tickets they signed, to be shown whenever we come back.

Kept in the library every few seconds and at the end.
"""

from __future__ import annotations

import sqlite3

from p2pshare.identity import NodeId
from p2pshare.limits import QUEUE_TICKET_LIFETIME_S


class Waiting:
    """The newest ticket of each uploader."""

    def __init__(self) -> None:
        self._tickets: dict[NodeId, bytes] = {}
        self._changed: set[NodeId] = set()

    def ticket(self, uploader: NodeId) -> bytes:
        """To be shown to them; empty if there is none."""
        return self._tickets.get(uploader, b"")

    def keep(self, uploader: NodeId, ticket: bytes) -> None:
        """They gave us one; an empty one says that the one before is still good."""
        if ticket and ticket != self._tickets.get(uploader):
            self._tickets[uploader] = ticket
            self._changed.add(uploader)

    def load(self, connection: sqlite3.Connection, unix_now: float) -> None:
        """What is not too old. A unit of the database."""
        oldest = unix_now - QUEUE_TICKET_LIFETIME_S
        connection.execute("DELETE FROM queue_ticket WHERE kept_at < ?", (oldest,))
        rows = connection.execute("SELECT uploader, ticket FROM queue_ticket")
        self._tickets = {NodeId(uploader): ticket for uploader, ticket in rows}

    def take_changes(self) -> dict[NodeId, bytes]:
        """What `keep_tickets` should keep, once."""
        changes = {uploader: self._tickets[uploader] for uploader in self._changed}
        self._changed.clear()
        return changes

    def put_back(self, changes: dict[NodeId, bytes]) -> None:
        """They could not be kept; another time."""
        self._changed.update(changes)


def keep_tickets(connection: sqlite3.Connection, changes: dict[NodeId, bytes], unix_now: float) -> None:
    """A unit of the database."""
    connection.executemany(
        "INSERT INTO queue_ticket(uploader, ticket, kept_at) VALUES (?, ?, ?)"
        " ON CONFLICT(uploader) DO UPDATE SET ticket = excluded.ticket, kept_at = excluded.kept_at",
        [(uploader, ticket, unix_now) for uploader, ticket in changes.items()],
    )
