"""The rules on disk: what holds now, and a log of everything that was ever done, which only grows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from p2pshare.errors import BadMessage
from p2pshare.identity import parse_node_id_untrusted
from p2pshare.wire.fields import Rule, RuleAction, RuleList, ServerRole, Subject

_COLUMNS = "subject, target, by, at, until, role, reason, appeal"


def all_rules(connection: sqlite3.Connection) -> list[tuple[RuleList, Rule]]:
    """What holds, and what did when the server last looked."""
    rows = connection.execute(f"SELECT list, action, {_COLUMNS} FROM rule")
    return [(RuleList(row[0]), _rule(0, *row[1:])) for row in rows]


def keep_rule(connection: sqlite3.Connection, where: RuleList, rule: Rule) -> Rule:
    """It holds from now on, in place of one with the same target. Returns it as it stands in the log."""
    connection.execute(
        f"INSERT OR REPLACE INTO rule (list, action, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (int(where), *_row(rule)),
    )
    return _note(connection, rule)


def drop_rule(connection: sqlite3.Connection, where: RuleList, rule: Rule) -> Rule:
    """The rule with this target holds no longer. Returns what was done as it stands in the log."""
    forget_rules(connection, where, (rule,))
    return _note(connection, rule)


def forget_rules(connection: sqlite3.Connection, where: RuleList, rules: Iterable[Rule]) -> None:
    """Their time is up. Nobody did anything, so the log says nothing."""
    connection.executemany(
        "DELETE FROM rule WHERE list = ? AND subject = ? AND target = ?",
        [(int(where), int(rule.subject), rule.target) for rule in rules],
    )


def log_page(connection: sqlite3.Connection, after: int, limit: int) -> tuple[int, list[Rule]]:
    """(how many lines there are, some of them), newest first."""
    [(total,)] = connection.execute("SELECT count(*) FROM moderation")
    rows = connection.execute(
        f"SELECT id, action, {_COLUMNS} FROM moderation ORDER BY id DESC LIMIT ? OFFSET ?", (limit, after)
    )
    return total, [_rule(*row) for row in rows]


def with_nicks(connection: sqlite3.Connection, rules: Iterable[Rule]) -> list[Rule]:
    """The same rules, with the nicks that their accounts have now."""
    return [
        replace(
            rule,
            nick=_nick(connection, rule.target) if rule.subject is Subject.ACCOUNT else "",
            by_nick=_nick(connection, rule.by),
        )
        for rule in rules
    ]


def _note(connection: sqlite3.Connection, rule: Rule) -> Rule:
    cursor = connection.execute(
        f"INSERT INTO moderation (action, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", _row(rule)
    )
    assert cursor.lastrowid is not None
    return with_nicks(connection, [replace(rule, number=cursor.lastrowid)])[0]


def _row(rule: Rule) -> tuple[int | str, ...]:
    return (
        int(rule.action),
        int(rule.subject),
        rule.target,
        rule.by,
        rule.at,
        rule.until,
        int(rule.role),
        rule.reason,
        rule.appeal,
    )


def _rule(number: int, action: int, subject: int, target: str, by: str, *rest: Any) -> Rule:
    at, until, role, reason, appeal = rest
    return Rule(
        number=number,
        action=RuleAction(action),
        subject=Subject(subject),
        target=target,
        nick="",
        by=by,
        by_nick="",
        at=at,
        until=until,
        role=ServerRole(role),
        reason=reason,
        appeal=appeal,
    )


def _nick(connection: sqlite3.Connection, key: str) -> str:
    try:
        node = parse_node_id_untrusted(key)
    except BadMessage:  # the operator has no key
        return ""
    row = connection.execute("SELECT nick FROM account WHERE node = ?", (node,)).fetchone()
    return "" if row is None else str(row[0])
