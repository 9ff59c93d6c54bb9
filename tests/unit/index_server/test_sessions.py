"""Who was online when the server stopped."""

from __future__ import annotations

import sqlite3

import pytest

from index_server.online import Visitor
from index_server.sessions import keep_sessions, take_sessions
from index_server.store import MIGRATIONS, add_account
from p2pshare.addresses import Address
from p2pshare.identity import NodeId

STOP = 1_000


@pytest.fixture
def connection() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(MIGRATIONS[0])
    return connection


def visitor(connection: sqlite3.Connection, nick: str, port: int | None) -> Visitor:
    node = NodeId(nick.encode().ljust(32))
    account = add_account(connection, node, nick, nick, STOP)
    address, token = Address("192.0.2.1", 50_000), nick.encode().ljust(16)
    return Visitor(account.number, node, nick, None, address, token, port, port is not None, STOP)


def test_everybody_is_back_as_they_were(connection: sqlite3.Connection) -> None:
    alice, bob = visitor(connection, "alice", 4_000), visitor(connection, "bob", None)
    keep_sessions(connection, [alice, bob], STOP)
    back = {one.nick: one for one in take_sessions(connection, STOP - 60)}
    for one in (alice, bob):
        again = back[one.nick]
        assert (again.account, again.node, again.token) == (one.account, one.node, one.token)
        assert (again.observed, again.port, again.reachable) == (one.observed, one.port, one.reachable)
        assert again.registered_at == STOP
        assert again.channel is None


def test_they_are_taken_once(connection: sqlite3.Connection) -> None:
    keep_sessions(connection, [visitor(connection, "alice", 1)], STOP)
    assert len(take_sessions(connection, STOP)) == 1
    assert take_sessions(connection, STOP) == []


def test_nobody_is_online_after_a_long_pause(connection: sqlite3.Connection) -> None:
    keep_sessions(connection, [visitor(connection, "alice", 1)], STOP)
    assert take_sessions(connection, STOP + 1) == []
    assert take_sessions(connection, 0) == []
