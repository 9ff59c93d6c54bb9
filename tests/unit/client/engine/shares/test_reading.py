from __future__ import annotations

import os
from pathlib import Path

import pytest

from client.engine.beneath import Stamp
from client.engine.shares import reading
from client.engine.shares.offers import OnDisk
from client.engine.shares.reading import Reading, Unreadable, Unsettled, hash_whole
from p2pshare.hashing import FileHasher, PieceHashes
from tests.shared_tree import rewrite


def target_of(file: Path, stamp: Stamp | None = None) -> OnDisk:
    return OnDisk(1, 1, str(file.parent), "", file.name, stamp or Stamp.of(file.stat()), None)


def expected(content: bytes) -> PieceHashes:
    hasher = FileHasher(len(content))
    hasher.update(content)
    return hasher.finish()


@pytest.mark.parametrize("size", [0, 1, 1_000, 4_096, 10_000])
def test_a_file_is_hashed_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(reading, "STEP_BYTES", 4_096)
    file = tmp_path / "a"
    file.write_bytes(os.urandom(size))
    one = Reading(target_of(file))
    left = []
    while one.result is None:
        one.step()
        left.append(one.left)
    one.close()
    assert one.result == expected(file.read_bytes())
    assert left == [*range(size - 4_096, 0, -4_096), 0]


@pytest.mark.parametrize("after_steps", [0, 1])
@pytest.mark.parametrize("size", [4_000, 500, 3_000])
def test_a_file_that_grows_shrinks_or_changes_is_not_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, after_steps: int
) -> None:
    monkeypatch.setattr(reading, "STEP_BYTES", 1_000)
    file = tmp_path / "a"
    file.write_bytes(bytes(3_000))
    one = Reading(target_of(file))
    for _ in range(after_steps):
        one.step()
    rewrite(file, bytes(size))
    with pytest.raises(Unsettled):
        one.step()
    one.close()


def test_a_file_that_vanished_is_not_settled(tmp_path: Path) -> None:
    with pytest.raises(Unsettled):
        Reading(target_of(tmp_path / "gone", Stamp(3, 0, "1"))).step()


def test_a_file_that_may_not_be_read_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"abc")

    def refuse(root: str, parts: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(reading, "open_file_beneath", refuse)
    with pytest.raises(Unreadable):
        Reading(target_of(file)).step()


def test_small_files_are_hashed_together_and_one_that_fails_does_not_hurt_the_others(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name * 100)
    targets = [target_of(tmp_path / name) for name in ("a", "b", "c")]
    rewrite(tmp_path / "b", "other")
    first, second, third = hash_whole(targets)
    assert (first, third) == (expected(b"a" * 100), expected(b"c" * 100))
    assert isinstance(second, Unsettled)
