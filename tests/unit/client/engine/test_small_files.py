"""Reading many small shared files: what is read is what the library knows, or nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from client.engine.beneath import Stamp
from client.engine.small_files import SmallFile, read_small_files
from p2pshare.errors import Reason
from p2pshare.hashing import whole_file_hashes


def known(root: Path, path: str, *, hashed: bool = True) -> SmallFile:
    folder, _, name = path.rpartition("/")
    place = root / path
    file = whole_file_hashes(place.read_bytes()).file_id if hashed else None
    return SmallFile(str(root), folder, name, Stamp.of(place.stat()), file)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path in ("top.dat", "a/one.dat", "a/two.dat", "a/b/three.dat", "empty.dat"):
        place = tmp_path / "root" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"" if path == "empty.dat" else path.encode())
    return tmp_path / "root"


def test_many_are_read_in_the_order_asked(root: Path) -> None:
    paths = ["a/two.dat", "top.dat", "a/b/three.dat", "empty.dat", "a/one.dat"]
    wanted = [known(root, path, hashed=path != "top.dat") for path in paths]
    contents = [b"" if path == "empty.dat" else path.encode() for path in paths]
    assert read_small_files(wanted) == contents


def test_no_descriptor_is_left_open(root: Path) -> None:
    before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
    wanted = [known(root, "a/one.dat"), known(root, "a/two.dat")]
    (root / "a" / "two.dat").unlink()
    read_small_files(wanted)
    assert before == (os.listdir("/proc/self/fd") if before else [])


def test_what_changed_or_vanished_is_refused_and_the_others_come(root: Path) -> None:
    wanted = [known(root, path) for path in ("a/one.dat", "a/two.dat", "top.dat", "a/b/three.dat")]
    (root / "a" / "one.dat").write_bytes(b"another")
    (root / "a" / "two.dat").unlink()
    (root / "a" / "b" / "three.dat").unlink()
    (root / "a" / "b").rmdir()
    reasons = [Reason.FILE_CHANGED, Reason.NO_SUCH_FILE, b"top.dat", Reason.NO_SUCH_FILE]
    assert read_small_files(wanted) == reasons


def test_what_the_disk_itself_spoiled_is_not_given_away(root: Path) -> None:
    place = root / "top.dat"
    good = known(root, "top.dat")
    place.write_bytes(b"rotten!")
    rotten = SmallFile(good.root, good.folder, good.name, Stamp.of(place.stat()), good.file)
    assert read_small_files([rotten]) == [Reason.FILE_CHANGED]


def test_no_link_is_followed(root: Path, tmp_path: Path) -> None:
    wanted = [known(root, "a/one.dat"), known(root, "top.dat")]
    (root / "a").rename(tmp_path / "outside")
    (root / "a").symlink_to(tmp_path / "outside")
    (root / "top.dat").rename(tmp_path / "top.dat")
    (root / "top.dat").symlink_to(tmp_path / "top.dat")
    assert read_small_files(wanted) == [Reason.NO_SUCH_FILE, Reason.NO_SUCH_FILE]


def test_a_pipe_under_the_name_holds_nobody_up(root: Path) -> None:
    wanted = known(root, "top.dat")
    (root / "top.dat").unlink()
    os.mkfifo(root / "top.dat")
    assert read_small_files([wanted]) == [Reason.FILE_CHANGED]
