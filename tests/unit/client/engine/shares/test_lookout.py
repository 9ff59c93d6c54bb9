from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from client.engine.offload import Inline
from client.engine.shares import folder_watch, lookout
from client.engine.shares.inventory import Share
from client.engine.shares.lookout import LOOK_EVERY_S, LOOK_FOR_AWAY_S, PAUSE_S, Lookout, folders_to_look_at
from client.engine.shares.scan import Rules
from client.engine.shares.stocktaking import Stocktaking
from p2pshare.database import Database
from tests.shared_tree import make_tree, open_library


class Stand:
    """Two shares; every look at them is noted."""

    def __init__(self, library: Database) -> None:
        self.looks: list[tuple[str, dict[str, bool]]] = []
        self.touched = trio.Event()
        self.stock = Stocktaking(
            library,
            Inline(),
            Rules(),
            unix_now=lambda: 0.0,
            on_touched=lambda offers: self._touch(len(offers)),
        )
        self.lookout = Lookout(self.stock, Inline(), Rules())
        look = self.stock.look

        async def noted(share: Share, folders: dict[str, bool]) -> None:
            self.looks.append((share.top.name, dict(folders)))
            await look(share, folders)

        self.stock.look = noted  # type: ignore[method-assign, assignment]

    def _touch(self, offers: int) -> None:
        if offers:
            self.touched.set()
            self.touched = trio.Event()

    def taken(self) -> list[tuple[str, dict[str, bool]]]:
        looks, self.looks = self.looks, []
        return looks


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    async with open_library() as library:
        stand = Stand(library)
        for name in ("films", "music"):
            await stand.stock.add(str(make_tree(tmp_path / name, "a", "in/b")))
        yield stand


async def test_everything_is_looked_at_in_the_beginning_and_then_regularly(
    stand: Stand, mock_clock: MockClock
) -> None:
    both = [("films", {"": True}), ("music", {"": True})]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stand.lookout.look_regularly)
        nursery.start_soon(stand.lookout.look_where_asked)
        await wait_all_tasks_blocked()
        assert stand.taken() == both
        mock_clock.jump(LOOK_EVERY_S - 1)
        await wait_all_tasks_blocked()
        assert stand.taken() == []
        mock_clock.jump(2)
        await wait_all_tasks_blocked()
        assert stand.taken() == both
        nursery.cancel_scope.cancel()


async def test_a_share_that_is_away_is_looked_for_more_often(
    stand: Stand, mock_clock: MockClock, tmp_path: Path
) -> None:
    (tmp_path / "music").rename(tmp_path / "unplugged")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stand.lookout.look_regularly)
        nursery.start_soon(stand.lookout.look_where_asked)
        await wait_all_tasks_blocked()
        stand.taken()
        mock_clock.jump(LOOK_FOR_AWAY_S)
        await wait_all_tasks_blocked()
        assert stand.taken() == [("music", {"": True})]
        (tmp_path / "unplugged").rename(tmp_path / "music")
        mock_clock.jump(LOOK_FOR_AWAY_S)
        await wait_all_tasks_blocked()
        assert len(stand.stock.present.value) == 2
        mock_clock.jump(LOOK_FOR_AWAY_S)
        await wait_all_tasks_blocked()
        assert stand.taken() == [("music", {"": True})]
        nursery.cancel_scope.cancel()


async def test_what_is_asked_for_is_gathered_between_two_looks(stand: Stand, mock_clock: MockClock) -> None:
    films, music = stand.stock.shares.value
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stand.lookout.look_where_asked)
        stand.lookout.soon(music.id, {"in": False})
        await wait_all_tasks_blocked()
        assert stand.taken() == [("music", {"in": False})]
        for _ in range(3):
            stand.lookout.soon(music.id, {"in": False, "": False})
            stand.lookout.soon(music.id, {"in": True})
            stand.lookout.soon(music.id, {"in": False})
        stand.lookout.soon(films.id)
        stand.lookout.soon(films.id, {"in": False})
        stand.lookout.soon(99)
        await wait_all_tasks_blocked()
        assert stand.taken() == []
        mock_clock.jump(PAUSE_S)
        await wait_all_tasks_blocked()
        assert stand.taken() == [("films", {"": True}), ("music", {"in": True, "": False})]
        nursery.cancel_scope.cancel()


async def test_too_many_folders_are_looked_at_as_a_whole(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "FOLDERS_MAX", 3)
    music = stand.stock.shares.value[1]
    async with trio.open_nursery() as nursery:
        stand.lookout.soon(music.id, {str(n): False for n in range(4)})
        stand.lookout.soon(music.id, {"more": False})
        nursery.start_soon(stand.lookout.look_where_asked)
        await wait_all_tasks_blocked()
        assert stand.taken() == [("music", {"": True})]
        nursery.cancel_scope.cancel()


def test_which_folders_to_look_at_after_changes(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "s", "a", "in/b", "moved here/c", ".git/d", "x.part")
    rules = Rules(("skip/",))

    def after(*paths: str) -> dict[str, bool]:
        return folders_to_look_at(str(root), rules, [str(root / path) for path in paths])

    assert after("a", "gone") == {"": False}
    assert after("in/b", "in/gone/deep") == {"in": False, "in/gone": False}
    assert after("moved here") == {"": False, "moved here": True}
    assert after(".git/d", "x.part", "skip/e", ".new") == {}
    assert after("a", "") == {"": True}
    assert folders_to_look_at(str(root), rules, ["/elsewhere"]) == {"": True}


async def test_real_changes_are_heard_of_and_found(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(folder_watch, "SILENCE_MS", 50)
    monkeypatch.setattr(folder_watch, "STEP_MS", 10)
    monkeypatch.setattr(lookout, "PAUSE_S", 0)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stand.lookout.look_where_asked)
            nursery.start_soon(stand.lookout.hear_of_changes)
            for share in stand.stock.shares.value:
                stand.lookout.soon(share.id)
            while stand.looks.count(("music", {"": True})) < 2:  # the second one: its watch stands
                await wait_all_tasks_blocked(0.01)
            heard = stand.touched
            (tmp_path / "music" / "in" / "new").write_text("new")
            await heard.wait()
            assert ("music", {"in": False}) in stand.looks
            nursery.cancel_scope.cancel()


async def test_a_share_that_cannot_be_watched_is_not_a_fault(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more_watches(folder: str) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lookout, "changed_paths", no_more_watches)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stand.lookout.hear_of_changes)
        for share in stand.stock.shares.value:
            await stand.stock.look(share, {"": True})
        await wait_all_tasks_blocked()
        await stand.stock.forget(stand.stock.shares.value[0])
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
