from __future__ import annotations

import sqlite3

import pytest

from client.engine.beneath import Stamp
from client.engine.shares import hash_cache, inventory
from client.engine.shares.inventory import NO_TAGS_PACKED, Change, Differences, Share, Standing, absolute
from client.engine.shares.scan import Top
from p2pshare.database import Database
from p2pshare.hashing import FileHasher, FileId
from p2pshare.wire.fields import Tags
from tests.shared_tree import found_file, found_folder, open_library

STAMP = Stamp(10, 5, "1")


async def add_share(library: Database, root: str = "/music", name: str = "music") -> Share:
    return await library.write(inventory.add_share, root, name, 0.0)


async def standing(library: Database) -> Standing:
    [(_, found)] = await library.read(inventory.shares)
    return found


def folder_totals(db: sqlite3.Connection) -> dict[str, list[int]]:
    return {path: totals for path, *totals in db.execute("SELECT path, files, bytes, hashed FROM folder")}


async def test_names_of_shares_are_unique_whatever_the_case() -> None:
    async with open_library() as library:
        names = []
        for root, name in (("/a", "Music"), ("/b", "music"), ("/c", "Music"), ("/d", "Films")):
            names.append((await add_share(library, root, name)).top.name)
        assert names == ["Music", "music (2)", "Music (3)", "Films"]
        kept = await library.read(inventory.shares)
        assert [(share.top, found.files) for share, found in kept] == [
            (Top("/d", "Films"), 0),
            (Top("/a", "Music"), 0),
            (Top("/c", "Music (3)"), 0),
            (Top("/b", "music (2)"), 0),
        ]


async def test_what_was_found_becomes_rows_and_is_then_no_difference() -> None:
    found = [found_folder("", "a", folders=("in",)), found_folder("in", found_file("b", 7))]
    async with open_library() as library:
        share = await add_share(library)
        differences = await library.read(inventory.compare, share.id, found)
        assert differences == Differences(
            (Change("", "a", Stamp(1, 0, "1")), Change("in", "b", Stamp(7, 0, "1"))), (), ("in",)
        )
        assert len(set(await library.write(inventory.apply, share, differences.changes))) == 2
        assert await library.read(inventory.compare, share.id, found) == Differences((), (), ())
        assert await standing(library) == Standing(2, 8, 0, away=False)


async def test_what_changed_or_vanished_is_found_and_keeps_or_loses_its_number() -> None:
    async with open_library() as library:
        share = await add_share(library)
        numbers = await library.write(
            inventory.apply, share, [Change("in", name, STAMP) for name in ("stays", "changes", "goes")]
        )
        now = [found_folder("in", found_file("stays", 10, 5), found_file("changes", 11, 5))]
        differences = await library.read(inventory.compare, share.id, now)
        assert differences.changes == (Change("in", "changes", Stamp(11, 5, "1")), Change("in", "goes", None))
        assert await library.write(inventory.apply, share, differences.changes) == numbers[1:]
        assert await standing(library) == Standing(2, 21, 0, away=False)
        again = await library.write(inventory.apply, share, [Change("in", "goes", STAMP)])
        assert again[0] > max(numbers)  # a number is never given to another file


async def test_a_changed_file_loses_its_hash_and_tags() -> None:
    async with open_library() as library:
        share = await add_share(library)
        [offer] = await library.write(inventory.apply, share, [Change("", "a.mp3", STAMP)])
        await library.write(inventory.set_file_ids, [(offer, STAMP, FileId(bytes(32)))])
        await library.write(inventory.set_tags, offer, STAMP, Tags(title="A"))
        assert (await standing(library)).hashed == 1
        await library.write(inventory.apply, share, [Change("", "a.mp3", Stamp(10, 6, "1"))])
        assert (await standing(library)).hashed == 0
        row = await library.read(
            lambda db: db.execute("SELECT file_id, tags, offer_hash FROM file").fetchone()
        )
        assert row == (None, None, None)


async def test_only_media_wait_for_tags() -> None:
    async with open_library() as library:
        share = await add_share(library)
        names = ("a.mp3", "b.MKV", "c.jpg", "d.txt", "e.zip", "f")
        await library.write(inventory.apply, share, [Change("", name, STAMP) for name in names])
        rows = await library.read(
            lambda db: db.execute("SELECT name, tags FROM file ORDER BY name").fetchall()
        )
        assert dict(rows) == dict(zip(names, [None] * 3 + [NO_TAGS_PACKED] * 3, strict=True))


async def test_a_file_that_was_hashed_before_is_hashed_at_once() -> None:
    hasher = FileHasher(10)
    hasher.update(b"0123456789")
    hashes = hasher.finish()
    async with open_library() as library:
        await library.write(hash_cache.remember, "/music/in/a", STAMP, hashes, 0.0)
        share = await add_share(library)
        await library.write(inventory.apply, share, [Change("in", "a", STAMP), Change("", "a", STAMP)])
        assert (await standing(library)).hashed == 1


async def test_hashes_and_tags_of_a_file_that_changed_meanwhile_are_not_taken() -> None:
    other = Stamp(10, 6, "1")
    async with open_library() as library:
        share = await add_share(library)
        [offer] = await library.write(inventory.apply, share, [Change("", "a.mp3", STAMP)])
        assert await library.write(inventory.set_file_ids, [(offer, other, FileId(bytes(32)))]) == []
        assert not await library.write(inventory.set_tags, offer, other, Tags(title="A"))
        assert await library.write(inventory.set_file_ids, [(99, STAMP, FileId(bytes(32)))]) == []
        assert await library.write(inventory.set_file_ids, [(offer, STAMP, FileId(bytes(32)))]) == [offer]
        assert await library.write(inventory.set_file_ids, [(offer, STAMP, FileId(bytes(32)))]) == []
        assert (await standing(library)).hashed == 1


async def test_totals_count_at_any_depth_and_a_folder_leaves_with_all_beneath_it() -> None:
    async with open_library() as library:
        share = await add_share(library)
        places = [("", "1"), ("a", "2"), ("a/b", "3"), ("a/b/c", "4"), ("a b", "5"), ("a0", "6")]
        numbers = await library.write(
            inventory.apply, share, [Change(folder, name, STAMP) for folder, name in places]
        )
        assert await library.read(folder_totals) == {
            "": [6, 60, 0],
            "a": [3, 30, 0],
            "a/b": [2, 20, 0],
            "a/b/c": [1, 10, 0],
            "a b": [1, 10, 0],
            "a0": [1, 10, 0],
        }
        assert sorted(await library.write(inventory.drop_folder, share.id, "a")) == numbers[1:4]
        assert await library.read(folder_totals) == {"": [3, 30, 0], "a b": [1, 10, 0], "a0": [1, 10, 0]}
        assert await library.write(inventory.drop_folder, share.id, "a") == []


async def test_a_share_is_removed_bit_by_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "REMOVE_AT_ONCE", 2)
    async with open_library() as library:
        share, other = await add_share(library), await add_share(library, "/films", "films")
        for one in (share, other):
            await library.write(inventory.apply, one, [Change("in", str(n), STAMP) for n in range(5)])
        rounds = [await library.write(inventory.remove_share, share.id) for _ in range(3)]
        assert rounds == [False, False, True]
        assert [kept.top.name for kept, _ in await library.read(inventory.shares)] == ["films"]
        assert len(await library.read(inventory.offers_of_share, other.id)) == 5


async def test_a_share_that_is_away_names_the_offers_this_changes_once() -> None:
    async with open_library() as library:
        share = await add_share(library)
        numbers = await library.write(inventory.apply, share, [Change("", "a", STAMP)])
        assert await library.write(inventory.set_away, share.id, False) == []
        assert await library.write(inventory.set_away, share.id, True) == numbers
        assert await library.write(inventory.set_away, share.id, True) == []
        assert (await standing(library)).away
        assert await library.write(inventory.set_away, share.id, False) == numbers


def test_where_a_file_lies() -> None:
    assert absolute("/music", "", "a") == "/music/a"
    assert absolute("/music", "in/it", "a") == "/music/in/it/a"
