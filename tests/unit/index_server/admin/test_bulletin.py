from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from index_server import store
from index_server.admin.bulletin import AT_ONCE, KEPT, KEPT_S, Bulletin
from p2pshare.database import open_database
from p2pshare.transport.channel import Channel


class Ear:
    """A channel, as far as it is told something."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def post(self, message: Any) -> None:
        self.heard.append(message.text)


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def bulletin(path: Path | str = ":memory:", clock: Clock | None = None) -> AsyncIterator[Bulletin]:
    async with open_database(path, store.MIGRATIONS, threads=False) as database:
        made = Bulletin(database, "usual", unix_now=clock or Clock())
        await made.load()
        yield made


def missed(board: Bulletin, seen_at: int) -> list[str]:
    ear = Ear()
    board.tell_missed(cast(Channel, ear), seen_at)
    return ear.heard


async def test_an_announcement_reaches_everybody_who_is_there() -> None:
    async with bulletin() as board:
        ears = [Ear() for _ in range(AT_ONCE + 1)]
        assert await board.announce("hello", cast(list[Channel], ears)) == len(ears)
        assert all(ear.heard == ["hello"] for ear in ears)


async def test_who_was_away_hears_what_was_said_since_and_nothing_twice(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "index.sqlite"
    async with bulletin(path, clock) as board:
        await board.announce("first", [])
        clock.now = 2_000
        await board.announce("second", [])
        assert missed(board, seen_at=1_500) == ["second"]
        assert missed(board, seen_at=2_001) == []
    async with bulletin(path, clock) as board:
        assert missed(board, seen_at=0) == ["first", "second"]
        clock.now = 1_500 + KEPT_S
        assert missed(board, seen_at=0) == ["second"]


async def test_only_the_last_announcements_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    async with bulletin(path) as board:
        for number in range(KEPT + 3):
            await board.announce(str(number), [])
    async with bulletin(path) as board:
        assert missed(board, seen_at=0) == [str(number) for number in range(3, KEPT + 3)]


async def test_the_message_of_the_day_holds_until_it_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    async with bulletin(path) as board:
        assert board.message == "usual"
        await board.choose("")
    async with bulletin(path) as board:
        assert board.message == ""
        await board.choose(None)
        assert board.message == "usual"
