"""Sessions on disk, between the stop of a server and its next start: whoever was online can resume.

They are written when the server stops in good order, and taken from the disk at the start. A server that was
killed has none, and its clients log in anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from index_server.online import Visitor
from p2pshare.addresses import Address


def keep_sessions(connection: sqlite3.Connection, visitors: Iterable[Visitor], unix_now: int) -> None:
    """Write down who is online."""
    connection.executemany(
        "INSERT OR REPLACE INTO session (account, token, host, host_port, port, reachable, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (one.account, one.token, one.observed.host, one.observed.port, one.port, one.reachable, unix_now)
            for one in visitors
        ],
    )


def take_sessions(connection: sqlite3.Connection, stopped_after: int) -> list[Visitor]:
    """Those who were online at the last stop, detached, unless that is long ago. They leave the disk."""
    rows = connection.execute(
        "SELECT account, node, nick, host, host_port, token, port, reachable, created_at"
        " FROM session JOIN account ON account.id = session.account"
        " WHERE at >= ?",
        (stopped_after,),
    ).fetchall()
    connection.execute("DELETE FROM session")
    return [
        Visitor(account, node, nick, None, Address(host, host_port), token, port, bool(reachable), created)
        for account, node, nick, host, host_port, token, port, reachable, created in rows
    ]
