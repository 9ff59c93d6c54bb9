"""Where downloads go: names of strangers never decide it."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.engine.orders import Place, place_for
from p2pshare.errors import LocalTrouble


def test_without_a_target_it_is_the_download_folder(tmp_path: Path) -> None:
    assert place_for(None, tmp_path) == Place(str(tmp_path), None)


def test_an_existing_folder_or_one_with_a_slash_keeps_the_name(tmp_path: Path) -> None:
    assert place_for(str(tmp_path), Path("elsewhere")) == Place(str(tmp_path), None)
    assert place_for(f"{tmp_path}/new/", Path("elsewhere")) == Place(str(tmp_path / "new"), None)


def test_anything_else_is_the_name_of_the_file(tmp_path: Path) -> None:
    assert place_for(str(tmp_path / "mine.flac"), Path("elsewhere")) == Place(str(tmp_path), "mine.flac")


def test_a_name_that_no_system_takes_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LocalTrouble, match="not a name that every system can store"):
        place_for(str(tmp_path / "a:b?.flac"), Path("elsewhere"))
