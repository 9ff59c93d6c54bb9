"""Where a person's identity, settings and library live: one folder, used by one running engine at a time.

identity.key     the secret key (p2pshare/identity.py)
settings.toml    what the person chose (settings.py)
library.sqlite   shares, downloads, what was hashed (library.py)
running.json     how to reach the engine that runs now (control.py)
lock             held while an engine runs
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from client.engine.library import LIBRARY_FILE
from client.engine.settings import Settings, save_settings
from p2pshare.errors import LocalTrouble
from p2pshare.identity import create_identity
from p2pshare.limits import KEY_BYTES
from p2pshare.names import display

PROFILE_VARIABLE = "P2PSHARE_PROFILE"


@dataclass(frozen=True)
class Profile:
    """The folder and the names in it. Nothing needs to exist yet."""

    folder: Path

    @property
    def identity_file(self) -> Path:
        return self.folder / "identity.key"

    @property
    def settings_file(self) -> Path:
        return self.folder / "settings.toml"

    @property
    def library_file(self) -> Path:
        return self.folder / LIBRARY_FILE

    @property
    def running_file(self) -> Path:
        return self.folder / "running.json"

    @property
    def lock_file(self) -> Path:
        return self.folder / "lock"

    def exists(self) -> bool:
        return self.identity_file.exists() and self.settings_file.exists()

    def download_folder(self, settings: Settings) -> Path:
        return self.folder / Path(settings.download_folder).expanduser()


def find_profile(chosen: str | None, environment: Mapping[str, str] = os.environ) -> Profile:
    """The chosen folder, or that of P2PSHARE_PROFILE, or the usual place of this system."""
    text = chosen or environment.get(PROFILE_VARIABLE)
    folder = Path(text).expanduser() if text else platformdirs.user_data_path("p2pshare", appauthor=False)
    return Profile(folder.absolute())


def create_profile(profile: Profile, settings: Settings, passphrase: str | None = None) -> None:
    """Makes what is missing of folder, key and settings; never overwrites. Raises LocalTrouble."""
    try:
        profile.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LocalTrouble(
            f"The folder {display(str(profile.folder))} for your profile could not be made: {error.strerror}."
        ) from None
    if not profile.identity_file.exists():
        create_identity(profile.identity_file, passphrase, os.urandom(KEY_BYTES))
    if not profile.settings_file.exists():
        if profile == find_profile(None, {}):
            downloads = platformdirs.user_downloads_path() / "p2pshare"
            settings = replace(settings, download_folder=str(downloads))
        save_settings(profile.settings_file, settings)


@contextmanager
def locked(profile: Profile) -> Iterator[bool]:
    """Whether this process may run the engine of the profile. Raises LocalTrouble if the folder forbids it.

    The lock ends with the block, and with the process however it dies.
    """
    lock = FileLock(profile.lock_file, blocking=False, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    except OSError as error:
        raise LocalTrouble(f"{display(str(profile.lock_file))} cannot be locked: {error.strerror}.") from None
    try:
        yield True
    finally:
        lock.release()
