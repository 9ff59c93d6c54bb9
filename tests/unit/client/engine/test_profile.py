from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from client.engine.profile import Profile, create_profile, find_profile, locked
from client.engine.settings import Settings, load_settings
from p2pshare.errors import LocalTrouble
from p2pshare.identity import load_identity


def test_the_option_goes_before_the_variable_and_that_before_the_usual_place(tmp_path: Path) -> None:
    variable = {"P2PSHARE_PROFILE": str(tmp_path / "variable")}
    assert find_profile(str(tmp_path / "option"), variable).folder == tmp_path / "option"
    assert find_profile(None, variable).folder == tmp_path / "variable"
    assert find_profile(None, {}).folder == platformdirs.user_data_path("p2pshare", appauthor=False)


def test_a_new_profile_has_a_key_and_settings_and_is_private(tmp_path: Path) -> None:
    profile = Profile(tmp_path / "deep" / "profile")
    assert not profile.exists()
    create_profile(profile, Settings(nick="anna"))
    assert profile.exists()
    assert load_settings(profile.settings_file).nick == "anna"
    assert load_identity(profile.identity_file, None)
    assert stat.S_IMODE(profile.folder.stat().st_mode) == 0o700


def test_a_second_creation_changes_nothing(tmp_path: Path) -> None:
    profile = Profile(tmp_path)
    create_profile(profile, Settings(nick="anna"))
    before = profile.identity_file.read_bytes(), profile.settings_file.read_bytes()
    create_profile(profile, Settings(nick="bert"))
    assert (profile.identity_file.read_bytes(), profile.settings_file.read_bytes()) == before


def test_downloads_of_a_profile_elsewhere_stay_in_it(tmp_path: Path) -> None:
    assert Profile(tmp_path).download_folder(Settings()) == tmp_path / "downloads"
    assert Profile(tmp_path).download_folder(Settings(download_folder="/srv/x")) == Path("/srv/x")
    assert Profile(tmp_path).download_folder(Settings(download_folder="~/x")) == Path.home() / "x"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalTrouble, match="could not be made"):
        create_profile(Profile(tmp_path / "file" / "profile"), Settings())


def test_only_one_holds_the_lock(tmp_path: Path) -> None:
    profile = Profile(tmp_path)
    with locked(profile) as first, locked(profile) as second:
        assert first
        assert not second
    with locked(profile) as again:
        assert again


def test_a_process_that_was_killed_holds_no_lock(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from client.engine.profile import Profile, locked\n"
        "with locked(Profile(Path(sys.argv[1]))): print('locked', flush=True); time.sleep(60)"
    )
    root = Path(__file__).parents[4]
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, cwd=root
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"locked\n"
        with locked(Profile(tmp_path)) as mine:
            assert not mine
        holder.kill()
        holder.wait()
    with locked(Profile(tmp_path)) as mine:
        assert mine
