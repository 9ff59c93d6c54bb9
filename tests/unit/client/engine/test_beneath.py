"""What lies beneath a share is reached, what a link leads to is not, whichever way the system opens files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from client.engine import beneath
from client.engine.beneath import (
    Stamp,
    checked_path,
    is_link,
    open_file_beneath,
    open_folder_beneath,
    read_at,
)
from tests.shared_tree import make_tree, rewrite


@pytest.fixture(params=["relative", "by path"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to open: that of Linux and macOS, and that of Windows."""
    if request.param == "by path":
        monkeypatch.setattr(beneath, "CAN_OPEN_RELATIVE", False)


def content(root: Path, *parts: str) -> bytes:
    fd = open_file_beneath(str(root), parts)
    try:
        return read_at(fd, 0, 100)
    finally:
        os.close(fd)


@pytest.mark.usefixtures("way")
def test_a_file_is_opened_through_its_folders(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "share", "top.txt", "a/b/deep.txt")
    assert content(root, "top.txt") == b"top.txt"
    assert content(root, "a", "b", "deep.txt") == b"a/b/deep.txt"


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    "parts", [("link.txt",), ("inside.txt",), ("folder", "secret.txt"), ("a", "back", "top.txt")]
)
def test_a_link_is_never_followed_wherever_it_leads(tmp_path: Path, parts: Sequence[str]) -> None:
    outside = make_tree(tmp_path / "outside", "secret.txt")
    root = make_tree(tmp_path / "share", "top.txt", "a/")
    (root / "link.txt").symlink_to(outside / "secret.txt")
    (root / "inside.txt").symlink_to(root / "top.txt")
    (root / "folder").symlink_to(outside)
    (root / "a" / "back").symlink_to(root)
    with pytest.raises(OSError):
        content(root, *parts)


@pytest.mark.usefixtures("way")
def test_only_regular_files_are_opened_and_a_pipe_does_not_block(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "share", "folder/")
    os.mkfifo(root / "pipe")
    for name in ("pipe", "folder", "missing"):
        with pytest.raises(OSError):
            open_file_beneath(str(root), [name])


def test_a_file_in_the_way_of_a_folder_is_refused_and_nothing_stays_open(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "share", "file")
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    with pytest.raises(NotADirectoryError):
        open_folder_beneath(str(root), ["file", "inner"])
    with pytest.raises(OSError):
        open_file_beneath(str(root), ["file", "inner"])
    assert before == (len(os.listdir("/proc/self/fd")) if before else 0)


def test_a_checked_path_has_no_links(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "share", "a/b.txt")
    assert checked_path(str(root), ["a", "b.txt"]) == str(root / "a" / "b.txt")
    (root / "c").symlink_to(root / "a")
    assert is_link(os.lstat(root / "c")) and not is_link(os.lstat(root / "a"))
    with pytest.raises(OSError):
        checked_path(str(root), ["c", "b.txt"])


def test_the_stamp_changes_with_content_time_and_replacement(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "share", "a.txt", "b.txt")
    file = root / "a.txt"
    first = Stamp.of(file.stat())
    assert Stamp.of(file.stat()) == first
    rewrite(file, "other")
    second = Stamp.of(file.stat())
    (root / "b.txt").write_text("other")
    os.utime(root / "b.txt", ns=(second.mtime_ns, second.mtime_ns))
    (root / "b.txt").replace(file)
    assert len({first, second, Stamp.of(file.stat())}) == 3


def test_reading_goes_on_when_the_system_gives_less_than_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "data"
    file.write_bytes(bytes(range(200)))
    whole_pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, length, offset: whole_pread(fd, min(length, 7), offset))
    with open(file, "rb") as opened:
        assert read_at(opened.fileno(), 10, 50) == bytes(range(10, 60))
        assert read_at(opened.fileno(), 190, 50) == bytes(range(190, 200))
        assert read_at(opened.fileno(), 300, 5) == b""
