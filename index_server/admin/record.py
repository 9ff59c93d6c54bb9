"""Everything that is kept about one account, told page by page as lines of JSON; and its end.

Rule 1: nobody keeps a list of what that is. Every table that points to `account` is told, and its rows go
        with the account (ON DELETE CASCADE), so a new table is included by being declared.
Rule 2: others who are named in it are named by their keys, which the person knows already.
Rule 3: what moderators decided is kept by key, told, and outlives the account: else a ban would end by
        erasing and registering again.
"""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from index_server import store
from index_server.search.entry import tags_of
from p2pshare import limits
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import format_file_id
from p2pshare.identity import NodeId, format_node_id

PAGE_BYTES_MAX = limits.FRAME_BYTES_MAX // 2  # of lines; a message has room for more than these
POSITION_BYTES = 8
OFFERS = "offer"  # a million may point to one account: they have a reader of their own
DECIDED = ("rule", "moderation")

Told = tuple[int, dict[str, Any]]
"""The position behind it, and what is told."""
_Source = Callable[[sqlite3.Connection, int, int], Iterator[Told]]
"""(connection, account, position) -> what stands there and behind, perhaps not all of it."""


@dataclass(frozen=True)
class Page:
    """Some lines, and where the next ones begin; empty on the last page."""

    lines: tuple[str, ...]
    cursor: bytes


def page_of(connection: sqlite3.Connection, account: int, cursor: bytes) -> Page:
    """The next lines about an account. Raises `Refused` for a cursor that is none of these."""
    sources = _sources(connection)
    number, position = _read_cursor_untrusted(cursor)
    lines: list[str] = []
    size = 0
    while number < len(sources):
        told = None
        for behind, told in sources[number](connection, account, position):
            position = behind
            lines.append(json.dumps(told))
            size += len(lines[-1])
            if size > PAGE_BYTES_MAX or len(lines) == limits.RECORD_PAGE_MAX:
                return Page(tuple(lines), bytes([number]) + position.to_bytes(POSITION_BYTES, "big"))
        if told is None:  # nothing is left of this one
            number, position = number + 1, 0
    return Page(tuple(lines), b"")


def erase_account(connection: sqlite3.Connection, account: int) -> None:
    """With every row that points to it."""
    connection.execute("DELETE FROM account WHERE id = ?", (account,))


def pointers(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Every (table, column) that names an account."""
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return sorted(
        (table, row[3])
        for table in tables
        for row in connection.execute(f"PRAGMA foreign_key_list({table})")
        if row[2] == "account"
    )


def _sources(connection: sqlite3.Connection) -> list[_Source]:
    """The account itself first."""
    pointing = [partial(_rows, table, column) for table, column in pointers(connection) if table != OFFERS]
    return [
        partial(_rows, "account", "id"),
        *pointing,
        _offers,
        *(partial(_decided, name) for name in DECIDED),
    ]


def _rows(
    table: str, column: str, connection: sqlite3.Connection, account: int, position: int
) -> Iterator[Told]:
    others = {name for where, name in pointers(connection) if where == table} - {column}
    found = connection.execute(
        f"SELECT * FROM {table} WHERE {column} = ? LIMIT ? OFFSET ?",
        (account, limits.RECORD_PAGE_MAX, position),
    )
    names = [name for name, *_ in found.description]
    for behind, row in enumerate(found.fetchall(), start=position + 1):
        values = {
            name: _key_of(connection, value) if name in others else _readable(value)
            for name, value in zip(names, row, strict=True)
            if name != column
        }
        if table == "account":
            values["node"] = format_node_id(NodeId(row[names.index("node")]))
        yield behind, {"what": table, **values}


def _offers(connection: sqlite3.Connection, account: int, position: int) -> Iterator[Told]:
    for entry in store.offers_of(connection, account, position - 1, limits.RECORD_PAGE_MAX):
        yield (
            entry.offer + 1,
            {
                "what": OFFERS,
                "offer": entry.offer,
                "path": entry.path,
                "size": entry.size,
                "file": format_file_id(entry.file) if entry.file else None,
                "changed": entry.changed,
                "partial": entry.partial,
                "tags": {name: value for name, value in asdict(tags_of(entry.tags)).items() if value},
            },
        )


def _decided(table: str, connection: sqlite3.Connection, account: int, position: int) -> Iterator[Told]:
    """What moderators decided about the account, or the account as a moderator."""
    key = _key_of(connection, account)
    found = connection.execute(
        f"SELECT * FROM {table} WHERE ? IN (target, by) LIMIT ? OFFSET ?",
        (key, limits.RECORD_PAGE_MAX, position),
    )
    names = [name for name, *_ in found.description]
    for behind, row in enumerate(found.fetchall(), start=position + 1):
        yield behind, {"what": table, **dict(zip(names, row, strict=True))}


def _key_of(connection: sqlite3.Connection, account: object) -> str:
    [(node,)] = connection.execute("SELECT node FROM account WHERE id = ?", (account,))
    return format_node_id(NodeId(node))


def _readable(value: object) -> object:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _read_cursor_untrusted(cursor: bytes) -> tuple[int, int]:
    """(source, position). Raises `Refused`."""
    if not cursor:
        return 0, 0
    position = int.from_bytes(cursor[1:], "big")
    if len(cursor) != 1 + POSITION_BYTES or position >= 1 << 63:
        raise Refused(Reason.BAD_QUERY, "The cursor is not one of this server. Ask for the first page again.")
    return cursor[0], position
