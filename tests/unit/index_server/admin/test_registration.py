from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from index_server import store
from index_server.admin.people import person_of
from index_server.admin.registration import Mode, Registration
from p2pshare.database import Database, open_database
from p2pshare.errors import LocalTrouble, Reason, Refused
from p2pshare.identity import NodeId

ANNA, BERT, CARL = (NodeId(bytes([n]) * 32) for n in range(1, 4))
DAY_S = 86_400


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def registration(
    usual: Mode = Mode.INVITE, path: Path | str = ":memory:", clock: Clock | None = None
) -> AsyncIterator[tuple[Registration, Database]]:
    async with open_database(path, store.MIGRATIONS, threads=False) as database:
        made = Registration(
            database, usual, random_bytes=lambda count: b"r" * count, unix_now=clock or Clock()
        )
        await made.load()
        yield made, database


async def refused(door: Registration, node: NodeId, nick: str, code: str = "") -> Refused:
    with pytest.raises(Refused) as caught:
        await door.register(node, nick, code)
    return caught.value


async def test_an_open_server_takes_anybody_and_a_closed_one_nobody() -> None:
    async with registration(Mode.OPEN) as (door, _):
        assert (await door.register(ANNA, "anna", "")).nick == "anna"
        await door.choose(Mode.CLOSED)
        created = await door.create(5, 0, "")
        assert (await refused(door, BERT, "bert", created.code)).reason is Reason.REGISTRATION_CLOSED


async def test_with_a_code_as_many_get_in_as_it_says() -> None:
    async with registration() as (door, database):
        created = await door.create(2, DAY_S, "for the choir")
        anna = await door.register(ANNA, "anna", created.code)
        await door.register(BERT, "bert", created.code.upper())
        assert "used up" in (await refused(door, CARL, "carl", created.code)).text
        assert "invite" in (await refused(door, CARL, "carl")).text
        [kept] = await door.codes()
        assert (kept.uses_left, kept.used, kept.note) == (0, 2, "for the choir")
        assert (await database.read(person_of, anna.number)).invite == created.code


async def test_a_nick_that_is_refused_uses_nothing_up() -> None:
    async with registration() as (door, _):
        created = await door.create(2, 0, "")
        await door.register(ANNA, "anna", created.code)
        assert (await refused(door, BERT, "anna", created.code)).reason is Reason.NICK_TAKEN
        assert [code.uses_left for code in await door.codes()] == [1]


async def test_a_code_ends_with_its_time_or_when_it_is_taken_back() -> None:
    clock = Clock()
    async with registration(clock=clock) as (door, _):
        created = await door.create(9, DAY_S, "")
        clock.now += DAY_S - 1
        await door.register(ANNA, "anna", created.code)
        clock.now += 1
        assert "too old" in (await refused(door, BERT, "bert", created.code)).text
        await door.revoke(created.code)
        assert await door.codes() == ()
        with pytest.raises(LocalTrouble, match="There is no code"):
            await door.revoke(created.code)


async def test_what_was_chosen_holds_after_a_restart_until_it_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    async with registration(Mode.OPEN, path) as (door, _):
        await door.choose(Mode.CLOSED)
    async with registration(Mode.OPEN, path) as (door, _):
        assert door.mode is Mode.CLOSED
        await door.choose(None)
        assert door.mode is Mode.OPEN
    async with registration(Mode.INVITE, path) as (door, _):
        assert door.mode is Mode.INVITE
