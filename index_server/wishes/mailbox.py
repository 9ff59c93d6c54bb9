"""What is on disk about wishes: which there are, what was found for each, and whether its owner has it.

Every file that was found stays noted for as long as the wish is kept, by its *key*: the file id, or account
and number of the offer while its owner has not hashed it. So it is told once, whoever offers it again. What
is told is read from the catalogue at that moment: a hit is a few bytes, and says what is true.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
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


def note_matches(connection: sqlite3.Connection, matches: Sequence[Match]) -> Noted:
    """Note what was not found before, of at least one match.

    All that must be known is asked for at once, and all that changes is written at once: one by one, a match
    would take five statements.
    """
    owners = _owners(connection, {match.wish for match in matches})
    waiting = _untold_counts(connection, {account for account, _ in owners.values()})
    hits = _hits(connection, matches)
    found: Counter[int] = Counter()
    wishers: set[int] = set()
    doubled: list[tuple[int, bytes]] = []
    for match in matches:
        if match.wish not in owners:
            continue  # dropped meanwhile
        account, found_before = owners[match.wish]
        key, unhashed = key_of(match), key_of(match._replace(file=None))
        hit = hits.get((match.wish, key))
        if hit is None and (hit := hits.pop((match.wish, unhashed), None)) is not None:
            hits[match.wish, key] = hit
        elif key != unhashed and (double := hits.pop((match.wish, unhashed), None)) is not None:
            # an offer that turns out to be a file found before is no hit of its own
            doubled.append((match.wish, unhashed))
            waiting[account] -= not double.told
        if hit is None:
            if found_before + found[match.wish] >= limits.WISH_FOUND_MAX or waiting[account] >= UNTOLD_MAX:
                continue
            hit = hits[match.wish, key] = _Hit(None, told=False)
            found[match.wish] += 1
            waiting[account] += 1
        if not hit.told:  # it waits still: from now on for somebody else who has it, too
            wishers.add(account)
        # Whoever offers it last is the likeliest to be there when it is asked for.
        hit.account, hit.offer = match.account, match.offer
    _write(connection, hits, doubled)
    connection.executemany(
        "UPDATE wish SET found = found + ? WHERE id = ?", [(more, wish) for wish, more in found.items()]
    )
    full = [wish for wish, more in found.items() if owners[wish][1] + more == limits.WISH_FOUND_MAX]
    return Noted(frozenset(wishers), tuple(full))


@dataclass(slots=True)
class _Hit:
    """What is noted of a file that was found for a wish."""

    kept: bytes | None
    """The key in its row; None if there is none yet."""
    told: bool
    account: int | None = None
    """Who offers it since now."""
    offer: int = 0


def _owners(connection: sqlite3.Connection, wishes: Collection[int]) -> dict[int, tuple[int, int]]:
    """By wish: its account, and how much was found."""
    which = ",".join("?" * len(wishes))
    rows = connection.execute(f"SELECT id, account, found FROM wish WHERE id IN ({which})", [*wishes])
    return {wish: (account, found) for wish, account, found in rows}


def _untold_counts(connection: sqlite3.Connection, accounts: Collection[int]) -> Counter[int]:
    """By account: how many hits wait for it."""
    rows = connection.execute(
        "SELECT wish.account, count(*) FROM wish JOIN wish_hit ON wish_hit.wish = wish.id AND told = 0"
        f" WHERE wish.account IN ({','.join('?' * len(accounts))}) GROUP BY wish.account",
        [*accounts],
    )
    return Counter(dict(rows.fetchall()))


def _hits(connection: sqlite3.Connection, matches: Sequence[Match]) -> dict[tuple[int, bytes], _Hit]:
    """What was noted before of these offers, by wish and key."""
    keys: list[object] = []
    for match in matches:
        keys += (match.wish, key_of(match), match.wish, key_of(match._replace(file=None)))
    rows = connection.execute(
        f"WITH asked(wish, key) AS (VALUES {','.join(['(?,?)'] * (len(keys) // 2))})"
        " SELECT wish_hit.wish, wish_hit.key, told FROM asked CROSS JOIN wish_hit"
        " ON wish_hit.wish = asked.wish AND wish_hit.key = asked.key",
        keys,
    )
    return {(wish, key): _Hit(key, bool(told)) for wish, key, told in rows}


def _write(
    connection: sqlite3.Connection,
    hits: Mapping[tuple[int, bytes], _Hit],
    doubled: Sequence[tuple[int, bytes]],
) -> None:
    """Have rows that say what the hits do, and none for those that are doubled."""
    connection.executemany("DELETE FROM wish_hit WHERE wish = ? AND key = ?", doubled)
    connection.executemany(
        "UPDATE wish_hit SET key = ?, account = ?, offer = ? WHERE wish = ? AND key = ?",
        [
            (key, hit.account, hit.offer, wish, hit.kept)
            for (wish, key), hit in hits.items()
            if hit.kept is not None and hit.account is not None
        ],
    )
    connection.executemany(
        "INSERT INTO wish_hit (wish, key, account, offer, told) VALUES (?, ?, ?, ?, 0)",
        [(wish, key, hit.account, hit.offer) for (wish, key), hit in hits.items() if hit.kept is None],
    )


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
