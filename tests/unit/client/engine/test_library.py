from __future__ import annotations

import re
import sqlite3

from client.engine.library import MIGRATIONS
from tests.shared_tree import open_library


async def test_the_tables_are_made_and_each_says_what_it_is_for() -> None:
    async with open_library() as library:
        rows = await library.read(
            lambda db: db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        )
    tables = {name for (name,) in rows if not name.startswith("sqlite_")}
    told = set(re.findall(r"-- [^\n]+\n(?:    -- [^\n]+\n)*    CREATE TABLE (\w+)", "".join(MIGRATIONS)))
    assert tables == told
    assert {"share", "folder", "file", "hash_cache", "published", "download"} <= tables


async def test_whatever_belongs_to_a_share_goes_with_it() -> None:
    async with open_library() as library:
        left = await library.write(_share_and_forget)
    assert left == [(0,), (0,)]


def _share_and_forget(db: sqlite3.Connection) -> list[tuple[int]]:
    db.execute("INSERT INTO share(path, name, added_at) VALUES ('/music', 'music', 0)")
    db.execute("INSERT INTO folder(share, path, name, sort_key) VALUES (1, '', '', '')")
    db.execute("INSERT INTO folder(share, parent, path, name, sort_key) VALUES (1, 1, 'a', 'a', 'a')")
    db.execute(
        "INSERT INTO file(folder, name, sort_key, size, mtime_ns, identity) VALUES (2, 'f', 'f', 1, 1, '1')"
    )
    db.execute("DELETE FROM share")
    return [db.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("folder", "file")]
