"""Both ways to work in a folder keep the same promises."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.engine.downloads.folder import UNTOLD, Folder, PathFolder, RelativeFolder


@pytest.fixture(params=[RelativeFolder, PathFolder])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Folder]:
    opened: Folder = request.param(str(tmp_path), ["Band", "Album"])
    yield opened
    opened.close()


def test_folders_are_made_and_used_again(folder: Folder, tmp_path: Path) -> None:
    assert (tmp_path / "Band/Album").is_dir()
    type(folder)(str(tmp_path), ["Band", "Album"]).close()  # type: ignore[call-arg]
    assert folder.path == str(tmp_path / "Band/Album")


def test_a_new_file_replaces_nothing(folder: Folder, tmp_path: Path) -> None:
    os.close(folder.create("song"))
    with pytest.raises(FileExistsError):
        folder.create("song")
    os.symlink(tmp_path / "nowhere", tmp_path / "Band/Album/link")
    with pytest.raises(FileExistsError):
        folder.create("link")
    assert not (tmp_path / "nowhere").exists()


def test_a_link_is_not_opened(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    os.symlink(tmp_path / "secret", tmp_path / "Band/Album/link")
    with pytest.raises(OSError):
        folder.open("link")


def test_renaming_replaces_nothing(folder: Folder, tmp_path: Path) -> None:
    os.close(folder.create("old"))
    os.close(folder.create("taken"))
    with pytest.raises(FileExistsError):
        folder.rename("old", "taken")
    folder.rename("old", "new")
    assert sorted(os.listdir(tmp_path / "Band/Album")) == ["new", "taken"]
    folder.set_modified("new", 1_000.0)
    assert folder.status("new").st_mtime == 1_000.0
    folder.remove("new")
    folder.sync()
    with pytest.raises(FileNotFoundError):
        folder.status("new")


def test_the_space_left_is_told(folder: Folder) -> None:
    assert 0 < folder.free_bytes() < UNTOLD


def test_a_folder_stays_the_same_when_its_path_comes_to_mean_another(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    opened = RelativeFolder(str(tmp_path), ["Band"])
    (tmp_path / "Band").rename(tmp_path / "moved")
    (tmp_path / "Band").symlink_to(outside)
    os.close(opened.create("song"))
    opened.close()
    assert os.listdir(tmp_path / "moved") == ["song"] and os.listdir(outside) == []
