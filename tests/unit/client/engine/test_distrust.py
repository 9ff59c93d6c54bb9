from __future__ import annotations

import math

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from client.engine import distrust
from client.engine.distrust import FIRST_S, GROWTH, LONGEST_S, RETRY_S, SAME_FILE_S, Distrust, Lie, Lies
from p2pshare.database import Database
from p2pshare.errors import LocalTrouble
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId, format_node_id
from tests.shared_tree import open_library

MALLORY, BOB = NodeId(b"m" * 32), NodeId(b"b" * 32)
DAY_S = 86_400.0


def file(number: int) -> FileId:
    return FileId(number.to_bytes(32, "big"))


def lie(number: int, at: float, node: NodeId = MALLORY) -> Lie:
    return Lie(node, file(number), "mallory", at)


def test_who_said_nothing_wrong_is_asked() -> None:
    lies = Lies()
    lies.add(lie(1, 0.0))
    assert not lies.avoids(BOB, file(1), 1.0) and not lies.avoids(BOB, None, 1.0)
    assert lies.nodes(1.0) == [MALLORY]


def test_one_lie_costs_everything_for_hours_and_that_file_for_a_month() -> None:
    lies = Lies()
    lies.add(lie(1, 0.0))
    assert lies.avoids(MALLORY, file(2), FIRST_S - 1) and lies.avoids(MALLORY, None, FIRST_S - 1)
    assert not lies.avoids(MALLORY, file(2), FIRST_S) and not lies.avoids(MALLORY, None, FIRST_S)
    assert lies.avoids(MALLORY, file(1), SAME_FILE_S)
    assert not lies.avoids(MALLORY, file(1), SAME_FILE_S + 1)
    assert lies.nodes(SAME_FILE_S + 1) == []


@pytest.mark.parametrize(("files", "seconds"), [(1, FIRST_S), (2, FIRST_S * GROWTH), (9, LONGEST_S)])
def test_each_further_file_costs_more_and_there_is_an_end(files: int, seconds: float) -> None:
    lies = Lies()
    for number in range(files):
        lies.add(lie(number, 0.0))
    assert lies.told_by(MALLORY, 0.0)[1] == seconds


def test_the_same_lie_again_counts_once() -> None:
    lies = Lies()
    for at in (0.0, 10.0, 20.0):
        lies.add(lie(1, at))
    assert lies.told_by(MALLORY, 20.0) == ([lie(1, 20.0)], 20.0 + FIRST_S)


def test_of_too_many_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distrust, "LIES_MAX", 3)
    lies = Lies()
    for at in (4.0, 1.0, 2.0, 3.0):
        lies.add(lie(int(at), at, NodeId(bytes([int(at)]) * 32)))
    assert sorted(node[0] for node in lies.nodes(5.0)) == [2, 3, 4]


async def test_it_is_remembered_over_a_restart_and_can_be_forgiven() -> None:
    now = 1_000_000.0
    async with open_library() as library:
        first = Distrust(library, lambda: now)
        await written(first, lambda: first.caught(MALLORY, "mallory", file(1)))
        second = Distrust(library, lambda: now + FIRST_S / 2)
        await second.load()
        assert second.avoids(MALLORY, None) and not second.avoids(BOB, None)
        [view] = second.views()
        assert (view.person, view.nick, view.files) == (format_node_id(MALLORY), "mallory", 1)
        assert (view.last_at, view.until) == (now, now + FIRST_S)
        with pytest.raises(LocalTrouble, match="Nobody called bob"):
            await second.forgive("bob")
        assert await second.forgive("mallory") == (MALLORY,)
        assert await second.forgive("all") == ()
        assert not second.avoids(MALLORY, file(1))
        third = Distrust(library, lambda: now)
        await third.load()
        assert third.views() == ()


async def test_a_clock_that_ran_ahead_makes_nobody_wait_for_years() -> None:
    now = 1_000_000.0
    async with open_library() as library:
        ahead = Distrust(library, lambda: now + 365 * DAY_S)
        await written(ahead, lambda: ahead.caught(MALLORY, "mallory", file(1)))
        again = Distrust(library, lambda: now)
        await again.load()
        assert again.views()[0].until == now + FIRST_S


async def test_a_full_disk_makes_nobody_trusted(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Database.write

    async def full(self: Database, *arguments: object, **named: object) -> None:
        raise LocalTrouble("The disk is full.")

    async with open_library() as library:
        known = Distrust(library, lambda: 0.0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(known.run)
            monkeypatch.setattr(Database, "write", full)
            known.caught(MALLORY, "mallory", file(1))
            await wait_all_tasks_blocked()
            assert known.avoids(MALLORY, None)
            monkeypatch.setattr(Database, "write", write)
            mock_clock.jump(RETRY_S)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        later = Distrust(library, lambda: 0.0)
        await later.load()
        assert later.avoids(MALLORY, None)


async def test_what_is_old_is_forgotten_in_the_library_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distrust, "LIES_MAX", 2)
    async with open_library() as library:
        await library.write(distrust.save_lies, [lie(1, 0.0), lie(2, SAME_FILE_S)], SAME_FILE_S + 1)
        assert await library.read(distrust.load_lies) == [lie(2, SAME_FILE_S)]
        more = [lie(3, SAME_FILE_S + 1), lie(4, SAME_FILE_S + 2)]
        await library.write(distrust.save_lies, more, SAME_FILE_S + 2)
        assert {one.file for one in await library.read(distrust.load_lies)} == {file(3), file(4)}


async def written(known: Distrust, act: object) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(known.run)
        act()  # type: ignore[operator]
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert math.isfinite(known.views()[-1].until)
