"""What the server keeps on disk: one SQLite file, its tables, and the units of work on them.

A unit is a plain function that gets a connection and does all of one question or one change (see
p2pshare/database). Refusals are raised from inside: then the whole change is undone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from index_server.catalogue import Gone
from index_server.entry import Entry
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest

MIGRATIONS = (
    """
    -- One row for each key that registered. `skeleton` is equal for nicks that look alike; times are in Unix
    -- seconds; `manifest` is the digest of all offers of the account, `offers` how many there are.
    CREATE TABLE account (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        node BLOB NOT NULL UNIQUE,
        nick TEXT NOT NULL UNIQUE,
        skeleton TEXT NOT NULL UNIQUE,
        created_at INTEGER NOT NULL,
        seen_at INTEGER NOT NULL,
        manifest BLOB NOT NULL,
        offers INTEGER NOT NULL
    );
    -- What accounts offer, online or not: the fields of an `Entry`. `file` is NULL while not hashed yet.
    CREATE TABLE offer (
        account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
        offer INTEGER NOT NULL,
        file BLOB,
        path TEXT NOT NULL,
        size INTEGER NOT NULL,
        changed INTEGER NOT NULL,
        partial INTEGER NOT NULL,
        tags BLOB NOT NULL,
        hash BLOB NOT NULL,
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


# --- accounts --------------------------------------------------------------------------------------------

_ACCOUNT = "SELECT id, node, nick, manifest, offers FROM account"


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


def change_manifest(
    connection: sqlite3.Connection, account: int, change: ManifestChange, offers_max: int
) -> Changed:
    """Apply a change whole, or raise `Refused` and change nothing."""
    [(digest, count)] = connection.execute("SELECT manifest, offers FROM account WHERE id = ?", (account,))
    if change.reset:
        connection.execute("DELETE FROM offer WHERE account = ?", (account,))
        digest, count = EMPTY_MANIFEST, 0
    if digest != change.base:
        raise Refused(
            Reason.MANIFEST_MISMATCH,
            "The list kept here is not the one that the change starts from. Publish everything anew.",
        )
    going = _rows(connection, account, {*change.removed, *(entry.offer for entry in change.added)})
    connection.executemany(
        "DELETE FROM offer WHERE account = ? AND offer = ?", [(account, offer) for offer, _, _ in going]
    )
    connection.executemany(
        "INSERT INTO offer (account, offer, file, path, size, changed, partial, tags, hash)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(account, *entry) for entry in change.added],
    )
    digest = change_digest(
        digest, removed=[hash16 for _, _, hash16 in going], added=[entry.hash for entry in change.added]
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
    connection.execute("UPDATE account SET manifest = ?, offers = ? WHERE id = ?", (digest, count, account))
    return Changed(tuple(Gone(offer, file) for offer, file, _ in going), count)


def accounts_with_offers(connection: sqlite3.Connection) -> list[int]:
    """The numbers of all accounts that offer something."""
    return [number for (number,) in connection.execute("SELECT id FROM account WHERE offers > 0 ORDER BY id")]


def offers_of(connection: sqlite3.Connection, account: int, after: int, limit: int) -> list[Entry]:
    """The next offers of an account by number, those above `after`."""
    rows = connection.execute(
        "SELECT offer, file, path, size, changed, partial, tags, hash FROM offer"
        " WHERE account = ? AND offer > ? ORDER BY offer LIMIT ?",
        (account, after, limit),
    )
    return [Entry(*row)._replace(partial=bool(row[5])) for row in rows]


def _rows(
    connection: sqlite3.Connection, account: int, offers: Iterable[int]
) -> list[tuple[int, FileId | None, bytes]]:
    """(offer, file, hash) of those that exist."""
    statement = "SELECT offer, file, hash FROM offer WHERE account = ? AND offer = ?"
    rows = [connection.execute(statement, (account, offer)).fetchone() for offer in offers]
    return [row for row in rows if row is not None]
