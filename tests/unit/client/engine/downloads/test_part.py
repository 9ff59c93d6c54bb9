"""The part file on a real disk, and what stands in its way."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from client.engine.downloads import folder, linux, part
from client.engine.downloads.part import Part, finished_as, numbered
from p2pshare.errors import LocalTrouble, Misuse
from p2pshare.limits import MIB


@pytest.fixture(params=["relative", "by paths"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A download folder, once per way of working in it."""
    if request.param == "by paths":
        monkeypatch.setattr(part, "open_folder", folder.PathFolder)
        monkeypatch.setattr(part, "CAN_WORK_RELATIVE", False)
    chosen = tmp_path / "downloads"
    chosen.mkdir()
    return chosen


def test_a_file_grows_in_any_order_and_gets_its_name_at_the_end(root: Path) -> None:
    growing = Part.create(str(root), ["Band", "Album"], "song.mp3", 10)
    assert growing.name == "song.mp3.part"
    growing.write(5, [b"fg", bytearray(b"hij")])
    growing.write(0, [memoryview(b"abcde")])
    assert growing.read(3, 4) == b"defg"
    growing.sync()
    assert not (root / "Band/Album/song.mp3").exists()
    assert growing.finish("song.mp3", modified=1_000_000_000.0) == "song.mp3"
    growing.close()
    done = root / "Band/Album/song.mp3"
    assert done.read_bytes() == b"abcdefghij"
    assert done.stat().st_mtime == 1_000_000_000.0
    assert os.listdir(done.parent) == ["song.mp3"]


def test_nothing_is_ever_replaced(root: Path) -> None:
    (root / "song.mp3").write_text("mine")
    (root / "song.mp3.part").write_text("mine too")
    growing = Part.create(str(root), [], "song.mp3", 3)
    assert growing.name == "song (2).mp3.part"
    growing.write(0, [b"new"])
    assert growing.finish("song.mp3") == "song (2).mp3"
    growing.close()
    assert (root / "song.mp3").read_text() == "mine"
    assert (root / "song.mp3.part").read_text() == "mine too"
    assert (root / "song (2).mp3").read_text() == "new"


def test_an_empty_file_is_a_file(root: Path) -> None:
    growing = Part.create(str(root), [], "empty", 0)
    growing.finish("empty")
    growing.close()
    assert (root / "empty").read_bytes() == b""


@pytest.mark.parametrize("hostile", ["../../evil", "/etc/evil", "a/b", "..", "", "nul\x00", "CON", "x" * 999])
def test_a_hostile_name_stays_in_the_folder(root: Path, hostile: str) -> None:
    growing = Part.create(str(root), [hostile], hostile, 1)
    growing.write(0, [b"x"])
    growing.finish(hostile)
    growing.close()
    assert sorted(os.listdir(root.parent)) == ["downloads"]
    (inner,) = root.iterdir()
    (file,) = inner.iterdir()
    assert file.read_bytes() == b"x"


@pytest.mark.parametrize("place", [["link"], ["inner", "link"]])
def test_a_link_is_never_followed_out_of_the_download_folder(
    root: Path, tmp_path: Path, place: list[str]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root.joinpath(*place[:-1]).mkdir(exist_ok=True)
    root.joinpath(*place).symlink_to(outside)
    with pytest.raises(LocalTrouble, match="link"):
        Part.create(str(root), place, "song.mp3", 1)
    with pytest.raises(LocalTrouble, match="link"):
        Part.create(str(root), [*place, "more"], "song.mp3", 1)
    assert list(outside.iterdir()) == []


def test_a_link_in_the_place_of_the_part_is_not_opened(root: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (root / "song.mp3.part").symlink_to(secret)
    assert Part.create(str(root), [], "song.mp3", 6).name == "song (2).mp3.part"
    with pytest.raises(LocalTrouble, match="link"):
        Part.reopen(str(root), [], "song.mp3.part", 6, None)


def test_a_link_as_the_download_folder_is_what_the_person_chose(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    Part.create(str(tmp_path / "link"), ["inner"], "song.mp3", 1).close()
    assert (root / "inner/song.mp3.part").exists()


def test_a_file_in_the_place_of_a_folder_is_told(root: Path) -> None:
    (root / "Band").write_text("a file")
    with pytest.raises(LocalTrouble):
        Part.create(str(root), ["Band"], "song.mp3", 1)


def test_the_space_is_taken_at_once(tmp_path: Path) -> None:
    if linux._fallocate is None:
        pytest.skip("only Linux tells how many blocks a file has")
    Part.create(str(tmp_path), [], "film.mkv", 4 * MIB).close()
    status = (tmp_path / "film.mkv.part").stat()
    assert status.st_size == 4 * MIB
    assert status.st_blocks * 512 >= 4 * MIB


def test_a_file_that_does_not_fit_is_refused_before_a_byte_is_fetched(root: Path) -> None:
    with pytest.raises(
        LocalTrouble, match=r"The disk is full: film.mkv needs [\d.]+ GB more in .*downloads\."
    ):
        Part.create(str(root), [], "film.mkv", 1 << 60)
    assert list(root.iterdir()) == []


def test_a_disk_that_fills_up_meanwhile_is_told_by_its_sentence(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    growing = Part.create(str(root), [], "film.mkv", 3 * MIB)

    def full(fd: int, buffers: Sequence[Any], offset: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwritev", full)
    with pytest.raises(LocalTrouble, match=r"The disk is full: film\.mkv needs 3\.2 MB more"):
        growing.write(0, [bytes(3 * MIB)])
    growing.close()


def test_a_write_that_the_system_cuts_short_goes_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    growing = Part.create(str(root), [], "x", 10)
    real = os.pwritev
    monkeypatch.setattr(os, "pwritev", lambda fd, views, offset: real(fd, [bytes(views[0][:3])], offset))
    growing.write(0, [b"ab", b"", b"cdefg", b"hij"])
    assert growing.read(0, 10) == b"abcdefghij"
    growing.close()


def test_without_positioned_writes_it_works_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    growing = Part.create(str(root), [], "x", 6)
    monkeypatch.delattr(os, "pwritev")
    monkeypatch.delattr(os, "pread")
    growing.write(2, [b"cd", b"ef"])
    growing.write(0, [b"ab"])
    assert growing.read(1, 4) == b"bcde"
    growing.close()


def test_where_linux_calls_are_missing_names_are_still_not_replaced(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linux, "_renameat2", None)
    monkeypatch.setattr(linux, "_fallocate", None)
    (root / "x").write_text("mine")
    growing = Part.create(str(root), [], "x", 3)
    growing.write(0, [b"new"])
    assert growing.finish("x") == "x (2)"
    growing.close()
    assert sorted(os.listdir(root)) == ["x", "x (2)"]


def test_where_hard_links_are_missing_names_are_still_not_replaced(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(linux, "_renameat2", None)
    monkeypatch.setattr(os, "link", no_links)
    (root / "x").write_text("mine")
    growing = Part.create(str(root), [], "x", 3)
    assert growing.finish("x") == "x (2)"
    growing.close()
    assert (root / "x").read_text() == "mine"


def test_a_resumed_part_is_the_same_file(root: Path) -> None:
    growing = Part.create(str(root), ["Band"], "song.mp3", 4)
    growing.write(0, [b"abcd"])
    name, identity = growing.name, growing.identity
    growing.close()
    again = Part.reopen(str(root), ["Band"], name, 4, identity)
    assert again is not None
    assert again.read(0, 4) == b"abcd"
    again.close()


def test_another_file_of_the_same_name_is_not_resumed(root: Path) -> None:
    growing = Part.create(str(root), [], "song.mp3", 4)
    identity = growing.identity
    growing.close()
    path = root / "song.mp3.part"
    path.rename(root / "kept so that its number is not used again")
    path.write_bytes(b"evil")
    assert Part.reopen(str(root), [], "song.mp3.part", 4, identity) is None
    unsure = Part.reopen(str(root), [], "song.mp3.part", 4, None)
    assert unsure is not None
    unsure.close()
    path.write_bytes(b"longer")
    assert Part.reopen(str(root), [], "song.mp3.part", 4, None) is None
    path.unlink()
    assert Part.reopen(str(root), [], "song.mp3.part", 4, None) is None
    os.mkfifo(path)
    assert Part.reopen(str(root), [], "song.mp3.part", 0, None) is None


def test_a_download_folder_that_is_gone_is_told_and_not_made_again(root: Path) -> None:
    root.rmdir()
    with pytest.raises(LocalTrouble, match="not there any more"):
        Part.create(str(root), ["Band"], "song.mp3", 1)
    with pytest.raises(LocalTrouble, match="not there any more"):
        Part.reopen(str(root), ["Band"], "song.mp3.part", 1, None)
    assert not root.exists()


def test_a_part_that_is_deleted_meanwhile_is_noticed_at_the_next_checkpoint(root: Path) -> None:
    growing = Part.create(str(root), [], "song.mp3", 1)
    (root / "song.mp3.part").unlink()
    with pytest.raises(LocalTrouble, match="was deleted"):
        growing.sync()
    with pytest.raises(LocalTrouble, match="was deleted"):
        growing.finish("song.mp3")
    growing.close()


def test_a_sync_that_failed_is_not_believed_later(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    growing = Part.create(str(root), [], "song.mp3", 1)

    def broken(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as once:
        once.setattr(os, "fdatasync", broken)
        with pytest.raises(LocalTrouble, match="reports an error"):
            growing.sync()
    with pytest.raises(LocalTrouble, match="reports an error"):
        growing.sync()
    growing.close()


def test_giving_up_deletes_the_part_and_nothing_else(root: Path) -> None:
    growing = Part.create(str(root), [], "song.mp3", 1)
    growing.delete()
    assert list(root.iterdir()) == []
    growing = Part.create(str(root), [], "song.mp3", 1)
    (root / "song.mp3.part").rename(root / "renamed")
    (root / "song.mp3.part").write_text("mine")
    growing.delete()
    assert (root / "song.mp3.part").read_text() == "mine"


def test_after_a_crash_the_finished_file_is_recognised(root: Path) -> None:
    (root / "song.mp3").write_text("mine")
    growing = Part.create(str(root), [], "song.mp3", 1)
    identity = growing.identity
    assert finished_as(str(root), [], "song.mp3", identity) is None
    growing.finish("song.mp3")
    growing.close()
    assert finished_as(str(root), [], "song.mp3", identity) == "song (2).mp3"


def test_a_closed_part_is_not_touched_any_more(root: Path) -> None:
    growing = Part.create(str(root), [], "song.mp3", 1)
    growing.close()
    growing.close()
    with pytest.raises(LocalTrouble, match="not open"):
        growing.write(0, [b"x"])
    with pytest.raises(LocalTrouble, match="not open"):
        growing.read(0, 1)


def test_a_write_under_way_keeps_the_descriptor(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    growing = Part.create(str(root), [], "song.mp3", 3)
    real = os.pwritev

    def closed_meanwhile(fd: int, views: Sequence[Any], offset: int) -> int:
        growing.close()
        assert stat.S_ISREG(os.fstat(fd).st_mode), "still open"
        return real(fd, views, offset)

    monkeypatch.setattr(os, "pwritev", closed_meanwhile)
    growing.write(0, [b"abc"])
    assert (root / "song.mp3.part").read_bytes() == b"abc"
    assert growing._fd == -1


def test_writing_beyond_the_end_is_misuse(root: Path) -> None:
    growing = Part.create(str(root), [], "x", 4)
    for offset, data in ((2, b"abc"), (-1, b"a"), (5, b"")):
        with pytest.raises(Misuse):
            growing.write(offset, [data])
    growing.close()


def test_numbers_stand_before_the_extension() -> None:
    assert numbered("song.mp3", 1) == "song.mp3"
    assert numbered("song.mp3", 3) == "song (3).mp3"
    assert numbered("README", 2) == "README (2)"
