"""What the server keeps on disk: one SQLite file, its tables, and the units of work on them.

A unit is a plain function that gets a connection and does all of one question or one change (see
p2pshare/database). Refusals are raised from inside: then the whole change is undone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from index_server.search.catalogue import Gone
from index_server.search.entry import Entry, entry_of
from p2pshare.errors import Reason, Refused
from p2pshare.identity import NodeId
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest

ROWS_AT_ONCE = 500  # in one statement; SQLite takes 32,766 values

MIGRATIONS = (
    """
    -- One row for each key that registered. `skeleton` is equal for nicks that look alike; times are in Unix
    -- seconds; `manifest` is the digest of all offers of the account, `offers` how many there are, `changes`
    -- how often they were changed.
    CREATE TABLE account (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        node BLOB NOT NULL UNIQUE,
        nick TEXT NOT NULL UNIQUE,
        skeleton TEXT NOT NULL UNIQUE,
        created_at INTEGER NOT NULL,
        seen_at INTEGER NOT NULL,
        manifest BLOB NOT NULL,
        offers INTEGER NOT NULL,
        changes INTEGER NOT NULL DEFAULT 0
    );
    -- What accounts offer, online or not: `packed` is the offer as in a publish message (search/entry.py).
    CREATE TABLE offer (
        account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
        offer INTEGER NOT NULL,
        packed BLOB NOT NULL,
        PRIMARY KEY (account, offer)
    ) WITHOUT ROWID;
    -- What one account gave another, in bytes, by the newest receipt that both signed (credit.py).
    CREATE TABLE receipt (
        giver INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
        taker INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
        total INTEGER NOT NULL,
        PRIMARY KEY (giver, taker)
    ) WITHOUT ROWID;
    CREATE INDEX receipt_by_taker ON receipt (taker, total);
    -- Who was online when the server stopped (sessions.py). Empty while it runs.
    CREATE TABLE session (
        account INTEGER PRIMARY KEY REFERENCES account ON DELETE CASCADE,
        token BLOB NOT NULL,
        host TEXT NOT NULL,
        host_port INTEGER NOT NULL,
        port INTEGER,
        reachable INTEGER NOT NULL,
        at INTEGER NOT NULL
    );
    -- Bans, what is hidden, roles: the fields of a `Rule`, and in which list it stands (rules/records.py).
    -- Accounts are named by key, and need not exist.
    CREATE TABLE rule (
        list INTEGER NOT NULL,
        action INTEGER NOT NULL,
        subject INTEGER NOT NULL,
        target TEXT NOT NULL,
        by TEXT NOT NULL,
        at INTEGER NOT NULL,
        until INTEGER NOT NULL,
        role INTEGER NOT NULL,
        reason TEXT NOT NULL,
        appeal TEXT NOT NULL,
        PRIMARY KEY (list, subject, target)
    ) WITHOUT ROWID;
    -- Everything that moderators ever did. It only grows.
    CREATE TABLE moderation (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        action INTEGER NOT NULL,
        subject INTEGER NOT NULL,
        target TEXT NOT NULL,
        by TEXT NOT NULL,
        at INTEGER NOT NULL,
        until INTEGER NOT NULL,
        role INTEGER NOT NULL,
        reason TEXT NOT NULL,
        appeal TEXT NOT NULL
    );
    CREATE TRIGGER moderation_stays BEFORE UPDATE ON moderation
        BEGIN SELECT RAISE(ABORT, 'the log of moderators only grows'); END;
    CREATE TRIGGER moderation_is_kept BEFORE DELETE ON moderation
        BEGIN SELECT RAISE(ABORT, 'the log of moderators only grows'); END;
    -- What the operator chose while the server ran (admin/): it holds instead of the settings.
    CREATE TABLE chosen (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE announcement (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, text TEXT NOT NULL);
    -- Codes that let people register, and who came in by which. `expires_at` is 0 for never.
    CREATE TABLE invite (
        code TEXT PRIMARY KEY,
        note TEXT NOT NULL,
        uses_left INTEGER NOT NULL,
        used INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE invited (
        account INTEGER PRIMARY KEY REFERENCES account ON DELETE CASCADE,
        code TEXT NOT NULL
    );
    -- What accounts wish for (wishes/): `wish` is the owner's number for it, `found` how many were found.
    CREATE TABLE wish (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
        wish INTEGER NOT NULL,
        query TEXT NOT NULL,
        found INTEGER NOT NULL,
        UNIQUE (account, wish)
    );
    -- What was found for a wish, told or not. `key` is the file (mailbox.py), `account` and `offer` are
    -- where it was offered last.
    CREATE TABLE wish_hit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        wish INTEGER NOT NULL REFERENCES wish ON DELETE CASCADE,
        key BLOB NOT NULL,
        account INTEGER NOT NULL,
        offer INTEGER NOT NULL,
        told INTEGER NOT NULL,
        UNIQUE (wish, key)
    );
    CREATE INDEX wish_hit_untold ON wish_hit (wish) WHERE told = 0;
    """,
)


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who registered. `number` is what the rest of the server calls them."""

    number: int
    node: NodeId
    nick: str
    manifest: bytes
    offers: int
    seen_at: int
    """When it was last here, in Unix seconds."""
    created_at: int
    """When it registered, in Unix seconds."""


# --- accounts --------------------------------------------------------------------------------------------

_ACCOUNT = "SELECT id, node, nick, manifest, offers, seen_at, created_at FROM account"


def account_by_node(connection: sqlite3.Connection, node: NodeId) -> Account | None:
    return _account(connection.execute(f"{_ACCOUNT} WHERE node = ?", (node,)).fetchone())


def account_by_skeleton(connection: sqlite3.Connection, skeleton: str) -> Account | None:
    return _account(connection.execute(f"{_ACCOUNT} WHERE skeleton = ?", (skeleton,)).fetchone())


def add_account(
    connection: sqlite3.Connection, node: NodeId, nick: str, skeleton: str, unix_now: int
) -> Account:
    """The account of this key: a new one, or that which it has already. Raises `Refused(NICK_TAKEN)`."""
    # Asking twice is no mistake: the answer may have been lost. The nick that is kept is told.
    if (existing := account_by_node(connection, node)) is not None:
        return existing
    _check_free(connection, skeleton, node)
    connection.execute(
        "INSERT INTO account (node, nick, skeleton, created_at, seen_at, manifest, offers)"
        " VALUES (?, ?, ?, ?, ?, ?, 0)",
        (node, nick, skeleton, unix_now, unix_now, EMPTY_MANIFEST),
    )
    added = account_by_node(connection, node)
    assert added is not None
    return added


def rename_account(connection: sqlite3.Connection, node: NodeId, nick: str, skeleton: str) -> None:
    """Raises `Refused(NICK_TAKEN)`. One may take a nick that looks like one's own."""
    _check_free(connection, skeleton, node)
    connection.execute("UPDATE account SET nick = ?, skeleton = ? WHERE node = ?", (nick, skeleton, node))


def note_seen(connection: sqlite3.Connection, account: int, unix_now: int) -> None:
    """The account was online until now."""
    connection.execute("UPDATE account SET seen_at = ? WHERE id = ?", (unix_now, account))


def _check_free(connection: sqlite3.Connection, skeleton: str, node: NodeId) -> None:
    owner = account_by_skeleton(connection, skeleton)
    if owner is not None and owner.node != node:
        text = "That nick, or one that looks like it, belongs to somebody else here. Choose another."
        raise Refused(Reason.NICK_TAKEN, text)


def _account(row: Sequence[object] | None) -> Account | None:
    return None if row is None else Account(*row)  # type: ignore[arg-type]


# --- choices of the operator -----------------------------------------------------------------------------


def chosen(connection: sqlite3.Connection, name: str) -> str | None:
    row = connection.execute("SELECT value FROM chosen WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def choose(connection: sqlite3.Connection, name: str, value: str | None) -> None:
    """None: whatever the settings say."""
    connection.execute("DELETE FROM chosen WHERE name = ?", (name,))
    if value is not None:
        connection.execute("INSERT INTO chosen (name, value) VALUES (?, ?)", (name, value))


# --- offers ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ManifestChange:
    """A publish message whose offers passed the checks."""

    base: bytes
    result: bytes
    removed: tuple[int, ...]
    added: tuple[Entry, ...]
    reset: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change did, as far as the catalogue must know."""

    gone: tuple[Gone, ...]
    """Offers that were removed or replaced one by one; a reset removed all others, too."""
    offers: int
    stamp: bytes
    """Of the list that came of it."""


def change_manifest(
    connection: sqlite3.Connection, account: int, change: ManifestChange, offers_max: int
) -> Changed:
    """Apply a change whole, or raise `Refused` and change nothing."""
    [(digest, count, changes)] = connection.execute(
        "SELECT manifest, offers, changes FROM account WHERE id = ?", (account,)
    )
    if change.reset:
        connection.execute("DELETE FROM offer WHERE account = ?", (account,))
        digest, count = EMPTY_MANIFEST, 0
    if digest != change.base:
        raise Refused(
            Reason.MANIFEST_MISMATCH,
            "The list kept here is not the one that the change starts from. Publish everything anew.",
        )
    going: list[Entry] = []
    if count:
        going = _take(connection, account, [*{*change.removed, *(entry.offer for entry in change.added)}])
    _put(connection, account, change.added)
    digest = change_digest(
        digest, removed=[entry.hash for entry in going], added=[entry.hash for entry in change.added]
    )
    if digest != change.result:
        raise Refused(
            Reason.MANIFEST_MISMATCH,
            "The change does not lead to the list that it names. Publish everything anew.",
        )
    count += len(change.added) - len(going)
    if count > offers_max:
        raise Refused(
            Reason.TOO_MUCH, f"An account here may offer {offers_max:,} files; these were {count:,}."
        )
    connection.execute(
        "UPDATE account SET manifest = ?, offers = ?, changes = ? WHERE id = ?",
        (digest, count, changes + 1, account),
    )
    gone = tuple(Gone(entry.offer, entry.file) for entry in going)
    return Changed(gone, count, _stamp(digest, changes + 1))


def accounts_with_offers(connection: sqlite3.Connection) -> dict[int, bytes]:
    """The stamps of the lists of all accounts that offer something, by number."""
    rows = connection.execute("SELECT id, manifest, changes FROM account WHERE offers > 0 ORDER BY id")
    return {account: _stamp(digest, changes) for account, digest, changes in rows}


def offers_of(connection: sqlite3.Connection, account: int, after: int, limit: int) -> list[Entry]:
    """The next offers of an account by number, those above `after`."""
    rows = connection.execute(
        "SELECT packed FROM offer WHERE account = ? AND offer > ? ORDER BY offer LIMIT ?",
        (account, after, limit),
    )
    return [entry_of(packed) for (packed,) in rows.fetchall()]


# One statement for many rows: between two steps of a statement SQLite lets other threads run, and on a busy
# server it takes milliseconds to come back from each.


def _take(connection: sqlite3.Connection, account: int, offers: Sequence[int]) -> list[Entry]:
    """Delete those that exist, and return them."""
    taken: list[Entry] = []
    for start in range(0, len(offers), ROWS_AT_ONCE):
        numbers = offers[start : start + ROWS_AT_ONCE]
        which = f"FROM offer WHERE account = ? AND offer IN ({','.join('?' * len(numbers))})"
        found = connection.execute(f"SELECT packed {which}", (account, *numbers)).fetchall()
        if found:
            connection.execute(f"DELETE {which}", (account, *numbers))
            taken += [entry_of(packed) for (packed,) in found]
    return taken


def _put(connection: sqlite3.Connection, account: int, entries: Sequence[Entry]) -> None:
    for start in range(0, len(entries), ROWS_AT_ONCE):
        some = entries[start : start + ROWS_AT_ONCE]
        values: list[object] = []
        for entry in some:
            values += (account, entry.offer, entry.packed)
        rows = ",".join(["(?,?,?)"] * len(some))
        connection.execute(f"INSERT INTO offer (account, offer, packed) VALUES {rows}", values)


def _stamp(digest: bytes, changes: int) -> bytes:
    """Differs for any two lists that an account ever had. Digests alone can be made equal on purpose; counts
    alone are equal again after a backup was put back."""
    return digest + changes.to_bytes(8, "big")
