"""What is on disk about wishes: which there are, what was found for each, and whether its owner has it.

Every file that was found stays noted for as long as the wish is kept, by its *key*: the file id, or account
and number of the offer while its owner has not hashed it. So it is told once, whoever offers it again. What
is told is read from the catalogue at that moment: a hit is a few bytes, and says what is true.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from index_server import store
from p2pshare import limits
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import FileId

UNTOLD_MAX = 1_000  # hits that wait for one account; what comes then is not noted, so a later offer may count


class Kept(NamedTuple):
    """A wish as its row says."""

    number: int
    """The server's."""
    account: int
    wish: int
    """The wisher's number."""
    query: str
    found: int


class Match(NamedTuple):
    """An offer that a wish is about."""

    wish: int
    account: int
    """Who offers it."""
    offer: int
    file: FileId | None


class Noted(NamedTuple):
    """What came of matches."""

    wishers: frozenset[int]
    """Accounts that something waits for now."""
    full: tuple[int, ...]
    """Wishes that have found all they may find."""


class Untold(NamedTuple):
    """A hit that waits for its wisher."""

    number: int
    account: int
    """The wisher."""
    wish: int
    """The wisher's number."""
    holder: int
    offer: int
    file: FileId | None

    @property
    def key(self) -> FileId | tuple[int, int]:
        """Of its document in the catalogue."""
        return self.file or (self.holder, self.offer)


# --- wishes ----------------------------------------------------------------------------------------------


def all_wishes(connection: sqlite3.Connection, after: int, limit: int) -> list[Kept]:
    """The next wishes by number, those above `after`."""
    rows = connection.execute(
        "SELECT id, account, wish, query, found FROM wish WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
    )
    return [Kept(*row) for row in rows]


def wishes_of(connection: sqlite3.Connection, account: int) -> list[Kept]:
    """What one account wishes for, the oldest first."""
    rows = connection.execute(
        "SELECT id, account, wish, query, found FROM wish WHERE account = ? ORDER BY id", (account,)
    )
    return [Kept(*row) for row in rows]


def change_wishes(
    connection: sqlite3.Connection,
    account: int,
    dropped: Iterable[int],
    added: tuple[int, str] | None,
    wishes_max: int,
) -> tuple[list[Kept], list[Kept]]:
    """Drop wishes by the wisher's numbers, and keep another one: its number and query.

    Returns those that are gone, and all that are left. A wish of the same number is replaced if its query
    is another one, and left alone if not: asking twice is no mistake. Raises `Refused`.
    """
    before = wishes_of(connection, account)
    going = set(dropped)
    if added is not None and any(kept.wish == added[0] and kept.query != added[1] for kept in before):
        going.add(added[0])
    gone = [kept for kept in before if kept.wish in going]
    connection.executemany("DELETE FROM wish WHERE id = ?", [(kept.number,) for kept in gone])
    if added is not None and added[0] not in {kept.wish for kept in before if kept not in gone}:
        if len(before) - len(gone) >= wishes_max:
            text = f"An account here may keep {wishes_max:,} wishes. Remove one first."
            raise Refused(Reason.TOO_MUCH, text)
        connection.execute(
            "INSERT INTO wish (account, wish, query, found) VALUES (?, ?, ?, 0)", (account, *added)
        )
    return gone, wishes_of(connection, account)


# --- what was found --------------------------------------------------------------------------------------


def note_matches(connection: sqlite3.Connection, matches: Iterable[Match]) -> Noted:
    """Note what was not found before."""
    wishers: set[int] = set()
    full: list[int] = []
    waiting: Counter[int] = Counter()
    for match in matches:
        row = connection.execute("SELECT account, found FROM wish WHERE id = ?", (match.wish,)).fetchone()
        if row is None:
            continue  # dropped meanwhile
        account, found = row
        known = _known(connection, match)
        if known is not None:
            if not known:  # it waits still: now for somebody else who has it, too
                wishers.add(account)
            continue
        if account not in waiting:
            waiting[account] = _untold_count(connection, account)
        if found >= limits.WISH_FOUND_MAX or waiting[account] >= UNTOLD_MAX:
            continue
        connection.execute(
            "INSERT INTO wish_hit (wish, key, account, offer, told) VALUES (?, ?, ?, ?, 0)",
            (match.wish, key_of(match), match.account, match.offer),
        )
        connection.execute("UPDATE wish SET found = found + 1 WHERE id = ?", (match.wish,))
        waiting[account] += 1
        wishers.add(account)
        if found + 1 == limits.WISH_FOUND_MAX:
            full.append(match.wish)
    return Noted(frozenset(wishers), tuple(full))


def _known(connection: sqlite3.Connection, match: Match) -> int | None:
    """Whether this file was told (1) or waits (0) for the wish; None if it was not found before."""
    unhashed = key_of(match._replace(file=None))
    for key in dict.fromkeys((key_of(match), unhashed)):
        # Whoever offers it last is the likeliest to be there when it is asked for.
        row = connection.execute(
            "UPDATE wish_hit SET key = ?, account = ?, offer = ? WHERE wish = ? AND key = ? RETURNING told",
            (key_of(match), match.account, match.offer, match.wish, key),
        ).fetchone()
        if row is not None:
            if key != unhashed:  # an offer that turns out to be a file found before is no hit of its own
                connection.execute("DELETE FROM wish_hit WHERE wish = ? AND key = ?", (match.wish, unhashed))
            return int(row[0])
    return None


def key_of(match: Match) -> bytes:
    """What makes it the same file when it is offered again."""
    return match.file or match.account.to_bytes(8, "big") + match.offer.to_bytes(4, "big")


# --- telling ---------------------------------------------------------------------------------------------


def wishers_with_mail(connection: sqlite3.Connection) -> list[int]:
    """Accounts that something waits for."""
    rows = connection.execute(
        "SELECT DISTINCT wish.account FROM wish_hit JOIN wish ON wish.id = wish_hit.wish WHERE told = 0"
    )
    return [account for (account,) in rows]


def untold_of(connection: sqlite3.Connection, accounts: Iterable[int]) -> list[Untold]:
    """Everything that waits for some accounts, the oldest first."""
    found: list[Untold] = []
    for account in accounts:
        rows = connection.execute(
            "SELECT wish_hit.id, wish.account, wish.wish, wish_hit.account, offer, key"
            " FROM wish JOIN wish_hit ON wish_hit.wish = wish.id AND told = 0"
            " WHERE wish.account = ? ORDER BY wish_hit.id",
            (account,),
        )
        for number, wisher, wish, holder, offer, key in rows:
            file = FileId(key) if len(key) == limits.KEY_BYTES else None
            found.append(Untold(number, wisher, wish, holder, offer, file))
    return found


def without_offer(connection: sqlite3.Connection, hits: Iterable[Untold]) -> list[int]:
    """The numbers of those where nothing is offered any more, or another file by now."""
    gone: list[int] = []
    for hit in hits:
        entries = store.offers_of(connection, hit.holder, hit.offer - 1, 1)
        if not entries or (entries[0].offer, entries[0].file) != (hit.offer, hit.file):
            gone.append(hit.number)
    return gone


def take_hits(connection: sqlite3.Connection, account: int, numbers: Iterable[int]) -> None:
    """The wisher has them. Numbers of others, and such as do not exist, are no error."""
    connection.executemany(
        "UPDATE wish_hit SET told = 1 WHERE id = ? AND wish IN (SELECT id FROM wish WHERE account = ?)",
        [(number, account) for number in numbers],
    )


def forget_hits(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """There is nothing behind them any more. If it is offered again, it counts as found again."""
    for number in numbers:
        row = connection.execute(
            "DELETE FROM wish_hit WHERE id = ? AND told = 0 RETURNING wish", (number,)
        ).fetchone()
        if row is not None:
            connection.execute("UPDATE wish SET found = found - 1 WHERE id = ?", row)


def _untold_count(connection: sqlite3.Connection, account: int) -> int:
    row = connection.execute(
        "SELECT count(*) FROM wish JOIN wish_hit ON wish_hit.wish = wish.id AND told = 0"
        " WHERE wish.account = ?",
        (account,),
    ).fetchone()
    return int(row[0])
