"""Wishes and what was found for them, in the library: units of work."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

import msgspec

from client.engine.search import keep_results
from client.engine.status import ResultView, WishHitView
from p2pshare.identity import NodeId

HITS_PER_WISH_MAX = 2_000  # from all index servers together; each tells 500 at most


@dataclass(frozen=True)
class Kept:
    """A wish."""

    id: int
    number: int
    """What index servers know it by."""
    query: str
    automatic: bool
    added_at: float


@dataclass(frozen=True)
class Found:
    """A hit that an index server told."""

    wish: int
    """The id of the wish."""
    key: bytes
    """Equal for the same file, whoever tells it."""
    result: ResultView


@dataclass(frozen=True)
class ToFetch:
    """A hit to be downloaded by itself."""

    hit: int
    result: ResultView


# --- wishes ----------------------------------------------------------------------------------------------


def load_wishes(db: sqlite3.Connection) -> list[Kept]:
    rows = db.execute("SELECT id, number, query, automatic, added_at FROM wish ORDER BY id")
    return [Kept(number, told, query, bool(automatic), at) for number, told, query, automatic, at in rows]


def add_wish(db: sqlite3.Connection, number: int, query: str, automatic: bool, unix_now: float) -> Kept:
    cursor = db.execute(
        "INSERT INTO wish(number, query, automatic, added_at) VALUES (?, ?, ?, ?)",
        (number, query, automatic, unix_now),
    )
    assert cursor.lastrowid is not None
    return Kept(cursor.lastrowid, number, query, automatic, unix_now)


def remove_wishes(db: sqlite3.Connection, wishes: Iterable[int]) -> None:
    """With all that was found for them; running downloads go on."""
    db.executemany("DELETE FROM wish WHERE id = ?", [(wish,) for wish in wishes])


def servers_told(db: sqlite3.Connection) -> list[NodeId]:
    """Index servers that may keep wishes of ours."""
    return [NodeId(server) for (server,) in db.execute("SELECT server FROM wish_server")]


def note_told(db: sqlite3.Connection, server: NodeId, keeps_any: bool) -> None:
    """Whether an index server keeps wishes of ours from now on."""
    if keeps_any:
        db.execute("INSERT OR IGNORE INTO wish_server(server) VALUES (?)", (server,))
    else:
        db.execute("DELETE FROM wish_server WHERE server = ?", (server,))


# --- what was found --------------------------------------------------------------------------------------


def keep_hits(db: sqlite3.Connection, found: Iterable[Found], unix_now: float) -> int:
    """Keep what was not known; returns how many that are."""
    kept = 0
    for hit in found:
        cursor = db.execute(
            "INSERT OR IGNORE INTO wish_hit(wish, key, body, found_at, to_fetch)"
            " SELECT id, ?, ?, ?, automatic FROM wish"
            " WHERE id = ? AND (SELECT count(*) FROM wish_hit WHERE wish_hit.wish = wish.id) < ?",
            (hit.key, msgspec.json.encode(asdict(hit.result)), unix_now, hit.wish, HITS_PER_WISH_MAX),
        )
        kept += cursor.rowcount
    return kept


def count_hits(db: sqlite3.Connection) -> dict[int, tuple[int, int]]:
    """(all hits, those never shown) by wish."""
    rows = db.execute("SELECT wish, count(*), sum(shown = 0) FROM wish_hit GROUP BY wish")
    return {wish: (hits, new) for wish, hits, new in rows}


def show_hits(db: sqlite3.Connection, wish: int | None, again: bool) -> tuple[WishHitView, ...]:
    """What was never shown, or all; shown from now on, and kept as the results that `get` takes by number."""
    rows = db.execute(
        "SELECT wish_hit.id, wish, query, found_at, shown, download, note, body"
        " FROM wish_hit JOIN wish ON wish.id = wish"
        " WHERE (shown = 0 OR ?) AND (wish = ? OR ? IS NULL) ORDER BY wish_hit.id",
        (again, wish, wish),
    ).fetchall()
    views = []
    for number, (_, of, query, found_at, shown, download, note, body) in enumerate(rows, start=1):
        result = replace(msgspec.json.decode(body, type=ResultView), number=number)
        views.append(WishHitView(of, query, found_at, not shown, download, note, result))
    db.executemany("UPDATE wish_hit SET shown = 1 WHERE id = ?", [(row[0],) for row in rows])
    if views:
        keep_results(db, [view.result for view in views])
    return tuple(views)


# --- what is downloaded by itself ------------------------------------------------------------------------


def hits_to_fetch(db: sqlite3.Connection, since: float) -> tuple[list[ToFetch], list[float]]:
    """(what is to be downloaded, the oldest first; when the others began that began since then)"""
    rows = db.execute("SELECT id, body FROM wish_hit WHERE to_fetch ORDER BY id")
    waiting = [ToFetch(hit, msgspec.json.decode(body, type=ResultView)) for hit, body in rows]
    begun = db.execute("SELECT fetched_at FROM wish_hit WHERE fetched_at > ?", (since,))
    return waiting, [at for (at,) in begun]


def note_fetched(db: sqlite3.Connection, hit: int, download: int | None, note: str, unix_now: float) -> None:
    """It is being downloaded, or left to the person, and why."""
    db.execute(
        "UPDATE wish_hit SET to_fetch = 0, download = ?, note = ?, fetched_at = ? WHERE id = ?",
        (download, note, unix_now if download is not None else None, hit),
    )
