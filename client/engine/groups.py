"""The groups that a person can put others into, and the units on who is in which."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum

from p2pshare.identity import NodeId


class Group(StrEnum):
    """How a person stands to somebody. Whoever was never put anywhere is one of everyone."""

    BLOCKED = "blocked"  # to them it is as if nothing were shared
    EVERYONE = "everyone"
    CONTACTS = "contacts"
    TRUSTED = "trusted"


SERVED = (Group.EVERYONE, Group.CONTACTS, Group.TRUSTED)  # who comes later is served first


@dataclass(frozen=True)
class Member:
    """Somebody who was put into a group."""

    node: NodeId
    nick: str
    group: Group


def put_into_group(connection: sqlite3.Connection, node: NodeId, nick: str, group: Group) -> None:
    """From now on they are in this group alone; an empty nick leaves the known one."""
    connection.execute(
        'INSERT INTO person(node, nick, "group") VALUES (?, ?, ?) ON CONFLICT(node) DO UPDATE SET'
        ' nick = iif(excluded.nick = \'\', nick, excluded.nick), "group" = excluded."group"',
        (node, nick, group.value),
    )


def members(connection: sqlite3.Connection) -> tuple[Member, ...]:
    """Everybody who is not merely one of everyone, by group and nick."""
    rows = connection.execute(
        'SELECT node, nick, "group" FROM person WHERE "group" != ? ORDER BY "group", nick, node',
        (Group.EVERYONE.value,),
    )
    return tuple(Member(NodeId(node), nick, Group(group)) for node, nick, group in rows)


def known_by_nick(connection: sqlite3.Connection, nick: str) -> tuple[NodeId, ...]:
    """Everybody of that nick with whom something was exchanged, or who is in a group."""
    rows = connection.execute("SELECT node FROM person WHERE nick = ?", (nick,))
    return tuple(NodeId(node) for (node,) in rows)
