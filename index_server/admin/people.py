"""Who has an account here, as the operator sees it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from index_server.online import Visitor
from p2pshare.identity import NodeId, format_node_id
from p2pshare.names import nick_skeleton


@dataclass(frozen=True)
class PersonView:
    """One account."""

    nick: str
    node: str
    """The key, in text form."""
    created_at: int
    seen_at: int
    """Unix times."""
    offers: int
    invite: str
    """The code they came in by; empty if there was none."""
    online: bool = False
    address: str = ""
    """Where they are connected from."""
    reachable: bool = False


_PERSON = (
    "SELECT nick, node, created_at, seen_at, offers, ifnull(code, '')"
    " FROM account LEFT JOIN invited ON invited.account = account.id"
)


def count_people(connection: sqlite3.Connection) -> int:
    [(count,)] = connection.execute("SELECT count(*) FROM account")
    return int(count)


def newest_people(connection: sqlite3.Connection, limit: int) -> list[PersonView]:
    """Those who were seen last, first."""
    rows = connection.execute(f"{_PERSON} ORDER BY seen_at DESC, id DESC LIMIT ?", (limit,))
    return [_view(row) for row in rows]


def people_like(connection: sqlite3.Connection, part: str, limit: int) -> list[PersonView]:
    """Those whose nicks contain this, or something that looks like it."""
    rows = connection.execute(
        f"{_PERSON} WHERE instr(skeleton, ?) ORDER BY nick LIMIT ?", (nick_skeleton(part), limit)
    )
    return [_view(row) for row in rows]


def person_of(connection: sqlite3.Connection, account: int) -> PersonView:
    return _view(connection.execute(f"{_PERSON} WHERE id = ?", (account,)).fetchone())


def with_presence(person: PersonView, visitor: Visitor | None) -> PersonView:
    if visitor is None:
        return person
    address = str(visitor.observed)
    return replace(person, online=True, address=address, reachable=visitor.reachable)


def _view(row: Sequence[object]) -> PersonView:
    nick, node, *rest = row
    return PersonView(nick, format_node_id(NodeId(node)), *rest)  # type: ignore[arg-type]
