"""What was exchanged with whom: the units on the `person` table of the library."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from p2pshare.identity import NodeId


@dataclass(frozen=True)
class Totals:
    """Everything since the profile was made."""

    sent_bytes: int
    received_bytes: int
    people_served: int


def count_exchange(
    connection: sqlite3.Connection,
    node: NodeId,
    nick: str,
    *,
    sent: int = 0,
    received: int = 0,
    unix_now: float,
) -> None:
    """Add bytes that were sent to or received from somebody; an empty nick leaves the known one."""
    connection.execute(
        "INSERT INTO person(node, nick, sent_bytes, received_bytes, last_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT(node) DO UPDATE SET nick = iif(excluded.nick = '', nick, excluded.nick),"
        " sent_bytes = sent_bytes + excluded.sent_bytes, received_bytes = received_bytes"
        " + excluded.received_bytes, last_at = excluded.last_at",
        (node, nick, sent, received, unix_now),
    )


def totals(connection: sqlite3.Connection) -> Totals:
    """Of all people."""
    row = connection.execute(
        "SELECT coalesce(sum(sent_bytes), 0), coalesce(sum(received_bytes), 0), count(*)"
        " FILTER (WHERE sent_bytes > 0) FROM person"
    ).fetchone()
    return Totals(*row)
