"""Small files on a real disk: whole or not at all, and never over something else."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from client.engine.beneath import Stamp
from client.engine.downloads import linux, whole_files
from client.engine.downloads.folder import Folder, RelativeFolder
from client.engine.downloads.whole_files import OPEN_MAX, Arrived, Outcome, write_files
from p2pshare.hashing import whole_file_hashes


def arrived(root: Path, path: str, data: bytes, number: int = 1) -> Arrived:
    return Arrived(number, str(root), path, memoryview(data), whole_file_hashes(data))


def written(outcome: Outcome) -> dict[int, str]:
    assert outcome.full is None
    return {each.number: os.path.join(each.folder, each.name) for each in outcome.written}


def nothing_is_taken(path: str) -> bool:
    return False


@pytest.fixture(params=["unnamed", "parts"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of writing: the second is that of systems without files that have no name."""
    if request.param == "unnamed" and not linux.CAN_NAME_THE_UNNAMED:
        pytest.skip("this system has no unnamed files")
    if request.param == "parts":
        monkeypatch.setattr(linux, "CAN_NAME_THE_UNNAMED", False)
    return str(request.param)


@pytest.mark.usefixtures("way")
def test_each_stands_under_its_name_with_its_stamp_and_nothing_else_is_left(tmp_path: Path) -> None:
    contents = {f"a/{n % 3}/{n}.dat": bytes([n % 256]) * n for n in range(2 * OPEN_MAX + 3)}
    files = [arrived(tmp_path, path, data, n) for n, (path, data) in enumerate(contents.items())]
    outcome = write_files(files, nothing_is_taken)
    here = {path.relative_to(tmp_path).as_posix(): path for path in tmp_path.rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in here.items()} == contents
    assert len(written(outcome)) == len(contents)
    for each in outcome.written:
        assert Stamp.of((Path(each.folder) / each.name).stat()) == each.stamp


@pytest.mark.usefixtures("way")
def test_nothing_is_replaced_but_a_copy_of_the_same_counts(tmp_path: Path) -> None:
    (tmp_path / "other.dat").write_bytes(b"other")
    (tmp_path / "same.dat").write_bytes(b"same")
    outcome = write_files(
        [arrived(tmp_path, "other.dat", b"mine", 1), arrived(tmp_path, "same.dat", b"same", 2)],
        nothing_is_taken,
    )
    assert written(outcome) == {1: str(tmp_path / "other (2).dat"), 2: str(tmp_path / "same.dat")}
    assert sorted(os.listdir(tmp_path)) == ["other (2).dat", "other.dat", "same.dat"]
    assert (tmp_path / "other.dat").read_bytes() == b"other"


@pytest.mark.usefixtures("way")
def test_a_copy_that_belongs_to_another_download_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_bytes(b"same")
    outcome = write_files([arrived(tmp_path, "a.dat", b"same")], lambda path: path == str(tmp_path / "a.dat"))
    assert written(outcome) == {1: str(tmp_path / "a (2).dat")}


@pytest.mark.usefixtures("way")
def test_two_of_one_name_and_one_content_are_two_files(tmp_path: Path) -> None:
    outcome = write_files([arrived(tmp_path, "a.dat", b"same", n) for n in (1, 2, 3)], nothing_is_taken)
    assert sorted(written(outcome).values()) == sorted(
        str(tmp_path / name) for name in ("a.dat", "a (2).dat", "a (3).dat")
    )


def test_a_link_in_the_way_refuses_what_lies_behind_it_and_nothing_else(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(outside)
    outcome = write_files(
        [arrived(root, "link/a.dat", b"a", 1), arrived(root, "b.dat", b"b", 2)], nothing_is_taken
    )
    assert written(outcome) == {2: str(root / "b.dat")}
    [(number, trouble)] = outcome.refused
    assert number == 1
    assert "leads through a link" in str(trouble)
    assert list(outside.iterdir()) == []


@pytest.mark.usefixtures("way")
def test_a_link_under_the_very_name_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.dat"
    outside.write_bytes(b"same")
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.dat").symlink_to(outside)
    outcome = write_files([arrived(root, "a.dat", b"same")], nothing_is_taken)
    assert written(outcome) == {1: str(root / "a (2).dat")}


def test_a_full_disk_ends_the_batch_and_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_once(folder: Folder, fd: int, data: memoryview) -> int:
        if bytes(data) == b"3":
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(fd, data)

    monkeypatch.setattr(whole_files, "write_once", write_once)
    files = [arrived(tmp_path, f"{n // 3}/{n}.dat", str(n).encode(), n) for n in range(6)]
    outcome = write_files(files, nothing_is_taken)
    assert outcome.full is not None
    assert "disk is full" in str(outcome.full)
    assert [each.number for each in outcome.written] == [0, 1, 2]
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 3


def test_no_name_is_given_before_the_data_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not linux.CAN_NAME_THE_UNNAMED:
        pytest.skip("this system has no unnamed files")
    sync, names = RelativeFolder.sync_files, []

    def sync_files(self: RelativeFolder, fds: list[int]) -> None:
        names.append(os.listdir(tmp_path))
        sync(self, fds)

    monkeypatch.setattr(RelativeFolder, "sync_files", sync_files)
    write_files([arrived(tmp_path, f"{n}.dat", b"x", n) for n in range(5)], nothing_is_taken)
    assert names == [[]]


def test_a_folder_that_is_gone_is_told_of_for_each_file(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    outcome = write_files([arrived(gone, f"{n}.dat", b"x", n) for n in (1, 2)], nothing_is_taken)
    assert [number for number, _ in outcome.refused] == [1, 2]
    assert "not there any more" in str(outcome.refused[0][1])
