from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from client.engine.library import MIGRATIONS
from client.engine.search import kept_result
from client.engine.wishes import store
from client.engine.wishes.store import Found
from p2pshare.database import Database, open_database
from p2pshare.identity import NodeId
from tests.fake_face import result_view

NOW = 1_800_000_000.0


@asynccontextmanager
async def library() -> AsyncIterator[Database]:
    """With wish 1 (blue), and wish 2 (red), which is downloaded by itself."""
    async with open_database(":memory:", MIGRATIONS, threads=False) as database:
        await database.write(store.add_wish, 11, "blue", False, NOW)
        await database.write(store.add_wish, 22, "red", True, NOW)
        yield database


def hit(wish: int, key: bytes = b"k") -> Found:
    return Found(wish, key, result_view(9, f"{key.decode()}.mp3"))


async def test_a_file_is_kept_once_for_a_wish_whichever_server_tells_it() -> None:
    async with library() as database:
        assert await database.write(store.keep_hits, [hit(1), hit(1), hit(2)], NOW) == 2
        assert await database.write(store.keep_hits, [hit(1), hit(1, b"other"), hit(7)], NOW) == 1
        assert await database.read(store.count_hits) == {1: (2, 2), 2: (1, 1)}


async def test_hits_are_shown_once_and_can_be_downloaded_by_number() -> None:
    async with library() as database:
        await database.write(store.keep_hits, [hit(1), hit(2, b"two")], NOW)
        shown = await database.write(store.show_hits, None, False)
        assert [(view.wish, view.query, view.new, view.result.number) for view in shown] == [
            (1, "blue", True, 1),
            (2, "red", True, 2),
        ]
        kept = await database.read(kept_result, 2)
        assert kept is not None and kept.name == "two.mp3"
        assert await database.write(store.show_hits, None, False) == ()
        assert await database.read(store.count_hits) == {1: (1, 0), 2: (1, 0)}
        (again,) = await database.write(store.show_hits, 2, True)
        assert (again.wish, again.new, again.result.number) == (2, False, 1)


async def test_a_server_cannot_fill_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "HITS_PER_WISH_MAX", 3)
    async with library() as database:
        many = [hit(1, str(number).encode()) for number in range(10)]
        assert await database.write(store.keep_hits, many, NOW) == 3


async def test_only_what_is_found_for_automatic_wishes_is_to_be_downloaded() -> None:
    async with library() as database:
        await database.write(store.keep_hits, [hit(1), hit(2), hit(2, b"two")], NOW)
        waiting, begun = await database.read(store.hits_to_fetch, NOW - 100)
        assert ([each.result.name for each in waiting], begun) == (["k.mp3", "two.mp3"], [])
        await database.write(store.note_fetched, waiting[0].hit, 5, "", NOW)
        await database.write(store.note_fetched, waiting[1].hit, None, "Too large.", NOW)
        assert await database.read(store.hits_to_fetch, NOW - 100) == ([], [NOW])
        shown = await database.write(store.show_hits, 2, True)
        assert [(view.download, view.note) for view in shown] == [(5, ""), (None, "Too large.")]


async def test_what_was_removed_is_gone_with_all_that_was_found_for_it() -> None:
    async with library() as database:
        await database.write(store.keep_hits, [hit(1), hit(2)], NOW)
        await database.write(store.remove_wishes, [1])
        assert [kept.query for kept in await database.read(store.load_wishes)] == ["red"]
        assert await database.read(store.count_hits) == {2: (1, 1)}


async def test_the_servers_that_may_keep_wishes_are_known() -> None:
    server = NodeId(b"s" * 32)
    async with library() as database:
        await database.write(store.note_told, server, True)
        await database.write(store.note_told, server, True)
        assert await database.read(store.servers_told) == [server]
        await database.write(store.note_told, server, False)
        assert await database.read(store.servers_told) == []
