from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from index_server import store
from index_server.admin.record import erase_account, page_of, pointers
from index_server.search.entry import entry_untrusted
from index_server.store import ManifestChange
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId, format_node_id
from p2pshare.limits import RECORD_PAGE_MAX
from p2pshare.wire.fields import Offer, Tags
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest, offer_hash

ANNA, BERT = NodeId(b"a" * 32), NodeId(b"b" * 32)
OFFERS = RECORD_PAGE_MAX + 7


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(":memory:", isolation_level=None)
    for script in store.MIGRATIONS:
        opened.executescript(script)
    opened.execute("PRAGMA foreign_keys = ON")
    yield opened
    opened.close()


@pytest.fixture
def anna(connection: sqlite3.Connection) -> int:
    """She offers much, has given Bert something, came in by a code, and was banned once."""
    number = store.add_account(connection, ANNA, "anna", "anna", 100).number
    store.add_account(connection, BERT, "bert", "bert", 100)
    connection.execute("INSERT INTO receipt (giver, taker, total) VALUES (1, 2, 500)")
    connection.execute("INSERT INTO invited (account, code) VALUES (1, 'choir')")
    connection.execute(
        "INSERT INTO moderation (action, subject, target, by, at, until, role, reason, appeal)"
        " VALUES (1, 1, ?, 'operator', 5, 6, 0, 'rude', '')",
        (format_node_id(ANNA),),
    )
    offers = [Offer(offer=n, path=f"Band/{n}.mp3", size=n) for n in range(OFFERS - 1)]
    offers.append(
        Offer(offer=OFFERS, path="x.flac", size=1, file=FileId(b"f" * 32), tags=Tags(artist="Björk"))
    )
    result = change_digest(EMPTY_MANIFEST, added=map(offer_hash, offers))
    change = ManifestChange(EMPTY_MANIFEST, result, (), tuple(map(entry_untrusted, offers)), False)
    store.change_manifest(connection, number, change, 10_000)
    return number


def told(connection: sqlite3.Connection, account: int) -> list[dict[str, Any]]:
    lines: list[str] = []
    cursor = b""
    for _ in range(20):
        page = page_of(connection, account, cursor)
        assert len(page.lines) <= RECORD_PAGE_MAX
        lines += page.lines
        cursor = page.cursor
        if not cursor:
            return [json.loads(line) for line in lines]
    raise AssertionError("the record has no end")


def test_everything_about_an_account_is_told_once(connection: sqlite3.Connection, anna: int) -> None:
    lines = told(connection, anna)
    assert lines[0]["what"] == "account"
    assert (lines[0]["nick"], lines[0]["node"]) == ("anna", format_node_id(ANNA))
    by_what: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        by_what.setdefault(line["what"], []).append(line)
    assert by_what["receipt"] == [{"what": "receipt", "taker": format_node_id(BERT), "total": 500}]
    assert by_what["invited"] == [{"what": "invited", "code": "choir"}]
    assert [line["reason"] for line in by_what["moderation"]] == ["rude"]
    offers = by_what["offer"]
    assert [line["offer"] for line in offers] == [*range(OFFERS - 1), OFFERS]
    assert offers[-1]["tags"] == {"artist": "Björk"}
    assert offers[0]["path"] == "Band/0.mp3"


def test_the_receipts_of_a_taker_are_told_too(connection: sqlite3.Connection, anna: int) -> None:
    assert {"what": "receipt", "giver": format_node_id(ANNA), "total": 500} in told(connection, anna + 1)


def test_a_cursor_from_elsewhere_is_refused(connection: sqlite3.Connection, anna: int) -> None:
    for cursor in (b"x", b"\x00" * 8, b"\x00" + b"\xff" * 8, b"\x00" * 64):
        with pytest.raises(Refused) as caught:
            page_of(connection, anna, cursor)
        assert caught.value.reason is Reason.BAD_QUERY
    assert page_of(connection, anna, b"\xff" + bytes(8)).lines == ()


def test_erasing_takes_everything_along_but_what_moderators_decided(
    connection: sqlite3.Connection, anna: int
) -> None:
    erase_account(connection, anna)
    for table, column in pointers(connection):
        [(left,)] = connection.execute(f"SELECT count(*) FROM {table} WHERE {column} = ?", (anna,))
        assert (table, left) == (table, 0)
    assert store.account_by_node(connection, ANNA) is None
    assert store.account_by_node(connection, BERT) is not None
    assert connection.execute("SELECT count(*) FROM moderation").fetchone() == (1,)


def test_every_row_that_points_to_an_account_goes_with_it(connection: sqlite3.Connection) -> None:
    for table, column in pointers(connection):
        actions = {
            row[3]: row[6]
            for row in connection.execute(f"PRAGMA foreign_key_list({table})")
            if row[2] == "account"
        }
        assert (table, actions[column]) == (table, "CASCADE")
