from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.engine.beneath import Stamp
from client.engine.shares import scan
from client.engine.shares.scan import NOTHING_SKIPPED, Rules, Skipped, Top, Walk, fits_the_wire, look_into
from p2pshare import limits
from tests.shared_tree import make_tree


def look(root: Path, path: str = "", rules: Rules = Rules()) -> tuple[set[str], set[str], Skipped]:  # noqa: B008
    found = look_into(Top(str(root), "share"), path, rules)
    return {file.name for file in found.files}, set(found.folders), found.skipped


def walk_all(root: Path, rules: Rules = Rules(), start: tuple[str, ...] = ("",)) -> set[str]:  # noqa: B008
    walk = Walk(Top(str(root), "share"), rules, start)
    paths = set()
    while batch := walk.next_batch():
        paths |= {f"{folder.path}/{file.name}".lstrip("/") for folder in batch for file in folder.files}
    return paths


def test_a_walk_finds_every_file_with_its_stamp(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "s", "a.txt", "b/c.txt", "b/d/e.txt", "empty/")
    assert walk_all(root) == {"a.txt", "b/c.txt", "b/d/e.txt"}
    assert walk_all(root, start=("b/d",)) == {"b/d/e.txt"}
    found = look_into(Top(str(root), "s"), "b", Rules())
    assert found.files[0].stamp == Stamp.of((root / "b/c.txt").stat())
    assert found.folders == ("d",)


def test_the_way_without_relative_opening_finds_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree(tmp_path / "s", "a.txt", "b/c.txt")
    (root / "link").symlink_to(root / "b")
    monkeypatch.setattr(scan, "CAN_OPEN_RELATIVE", False)
    assert walk_all(root) == {"a.txt", "b/c.txt"}


def test_a_batch_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "BATCH_FILES", 3)
    monkeypatch.setattr(scan, "BATCH_FOLDERS", 2)
    root = make_tree(tmp_path / "s", *(f"{folder}/{file}" for folder in range(6) for file in range(2)))
    walk, sizes = Walk(Top(str(root), "s"), Rules()), []
    while batch := walk.next_batch():
        sizes.append(len(batch))
    assert sum(sizes) == 7 and max(sizes) == 2


def test_links_are_neither_followed_nor_offered(tmp_path: Path) -> None:
    outside = make_tree(tmp_path / "outside", "secret.txt", "folder/more.txt")
    root = make_tree(tmp_path / "s", "real.txt", "real/inner.txt")
    (root / "file-link").symlink_to(outside / "secret.txt")
    (root / "folder-link").symlink_to(outside / "folder")
    (root / "loop").symlink_to(root)
    (root / "own-link").symlink_to(root / "real.txt")
    assert walk_all(root) == {"real.txt", "real/inner.txt"}
    assert look(root)[2] == NOTHING_SKIPPED
    assert look(root, "folder-link") == (set(), set(), NOTHING_SKIPPED)


def test_what_is_hidden_or_excluded_or_unfinished_is_passed_over_in_silence(tmp_path: Path) -> None:
    root = make_tree(
        tmp_path / "s",
        ".secret",
        ".git/config",
        "a.mp3",
        "a.mp3.part",
        "b.tmp",
        "cache/x",
        "keep/b.tmp/y",
        "Thumbs.db",
    )
    rules = Rules(("*.tmp", "/cache/", "Thumbs.db"))
    assert walk_all(root, rules) == {"a.mp3"}
    assert look(root, rules=rules) == ({"a.mp3"}, {"keep"}, NOTHING_SKIPPED)
    assert walk_all(root, Rules(("*.tmp",), hidden=True)) == {
        ".secret",
        ".git/config",
        "a.mp3",
        "cache/x",
        "Thumbs.db",
    }


def test_pipes_and_sockets_are_no_files(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "s", "a.txt")
    os.mkfifo(root / "pipe")
    assert look(root) == ({"a.txt"}, set(), NOTHING_SKIPPED)


def test_the_folder_with_our_key_is_never_shared(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "home", "music/a.mp3", "profile/identity", "other/profile/x")
    (tmp_path / "link").symlink_to(root)
    rules = Rules(private=str(tmp_path / "link" / "profile"))
    assert walk_all(root, rules) == {"music/a.mp3", "other/profile/x"}
    assert rules.passes_over_any(str(root), "profile/identity")
    assert rules.is_private(str(root / "profile")) and not rules.is_private(str(root))


@pytest.mark.parametrize("path", ["a\\b", "line\nfeed", "bidi\u202etxt.exe", "x" * 241, "\x07"])
def test_names_that_others_cannot_store_or_show_are_counted(tmp_path: Path, path: str) -> None:
    root = make_tree(tmp_path / "s", "good.txt", path)
    assert look(root) == ({"good.txt"}, set(), Skipped(unfit_names=1))
    assert not fits_the_wire(f"s/{path}")


def test_names_that_are_no_text_are_counted(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "s", "good.txt")
    try:
        os.mkdir(os.fsencode(root) + b"/caf\xe9")
    except OSError:
        pytest.skip("this disk takes no such names")
    assert look(root) == ({"good.txt"}, set(), Skipped(unfit_names=1))


def test_what_is_too_deep_or_too_long_for_a_path_is_counted(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "s", "/".join(["d"] * 30) + "/ok.txt", "/".join(["d"] * 31) + "/too-deep.txt")
    assert walk_all(root) == {"/".join(["d"] * 30) + "/ok.txt"}
    assert look(root, "/".join(["d"] * 31))[2] == Skipped(unfit_names=1)
    assert fits_the_wire("/".join(["x" * 200] * 5)) and not fits_the_wire("/".join(["x" * 210] * 5))


def test_a_file_larger_than_the_network_carries_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree(tmp_path / "s", "small", "much larger")
    monkeypatch.setattr(limits, "FILE_BYTES_MAX", 6)
    assert look(root) == ({"small"}, set(), Skipped(too_large=1))


def test_a_folder_that_vanished_is_empty_but_a_share_that_vanished_is_an_error(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "s", "a/b.txt")
    assert look(root, "gone") == (set(), set(), NOTHING_SKIPPED)
    shutil.rmtree(root)
    for path in ("", "a"):
        with pytest.raises(OSError):
            look(root, path)


@pytest.fixture
def ordinary_user() -> Iterator[Path]:
    """A folder of somebody whom permissions bind; the test goes on as that person."""
    home = Path(tempfile.mkdtemp())
    if os.geteuid() != 0:
        yield home.resolve()
    else:
        nobody = 65_534
        os.chown(home, nobody, nobody)
        os.seteuid(nobody)
        try:
            yield home.resolve()
        finally:
            os.seteuid(0)
    shutil.rmtree(home, ignore_errors=True)


def test_what_may_not_be_read_is_counted_and_not_offered(ordinary_user: Path) -> None:
    root = make_tree(ordinary_user / "s", "a.txt", "locked.txt", "folder/b.txt")
    (root / "locked.txt").chmod(0)
    (root / "folder").chmod(0)
    try:
        assert look(root) == ({"a.txt"}, {"folder"}, Skipped(unreadable_files=1))
        assert look(root, "folder") == (set(), set(), Skipped(unreadable_folders=1))
    finally:
        (root / "folder").chmod(0o700)


def test_what_was_skipped_is_told_in_sentences() -> None:
    assert NOTHING_SKIPPED.sentences() == ""
    skipped = Skipped(unreadable_files=1) + Skipped(2, 1, 1)
    assert skipped.sentences() == (
        "Not shared because they cannot be read: 3 files and 1 folder. Check who may read them."
        " Not shared because others could not store or show them: 1 name. Rename them."
    )
    assert Skipped(too_large=1).sentences() == "Not shared because they are larger than 1 TiB: 1 file."
