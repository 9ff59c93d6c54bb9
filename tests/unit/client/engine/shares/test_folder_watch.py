"""The real thing: changes of real folders, heard of by the system."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import pytest
import trio

from client.engine.shares import folder_watch
from client.engine.shares.folder_watch import changed_paths
from tests.shared_tree import make_tree


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_watch, "SILENCE_MS", 50)
    monkeypatch.setattr(folder_watch, "STEP_MS", 10)


async def test_what_is_made_changed_moved_and_removed_is_heard_of(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "s", "in/a.txt", "b.txt", "c.txt")
    with trio.fail_after(30):
        async with aclosing(changed_paths(str(root))) as changes:
            assert await anext(changes) == set()  # the watch stands
            (root / "in" / "a.txt").write_text("changed")
            (root / "new.txt").write_text("new")
            (root / "b.txt").unlink()
            (root / "c.txt").rename(root / "in" / "d.txt")
            wanted = {str(root / name) for name in ("in/a.txt", "new.txt", "b.txt", "c.txt", "in/d.txt")}
            heard: set[str] = set()
            while not wanted <= heard:
                heard |= await anext(changes)


async def test_cancelling_takes_no_time(tmp_path: Path) -> None:
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:

            async def follow() -> None:
                async with aclosing(changed_paths(str(tmp_path))) as changes:
                    async for _ in changes:
                        nursery.cancel_scope.cancel()

            nursery.start_soon(follow)
    assert nursery.cancel_scope.cancelled_caught


async def test_a_folder_that_cannot_be_watched_is_silent(tmp_path: Path) -> None:
    async with aclosing(changed_paths(str(tmp_path / "gone"))) as changes:
        assert await anext(changes) == set()
