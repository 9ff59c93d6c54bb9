"""What disks do to a download, on real file systems: it says so in a sentence, and goes on by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import trio

from client.engine.downloads import checkpoints, collection
from client.engine.status import DownloadState, DownloadView
from p2pshare.limits import MIB
from tests.sockets.world import SocketWorld, socket_world
from tests.world import Person, content

FILM = content("the general", 3 * MIB)
PATH = "films/General.dat"
RATE_KIB_S = 1536  # 2 s


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "RETRY_STUCK_S", 0.2)
    monkeypatch.setattr(checkpoints, "CHECKPOINT_S", 0.1)


@contextmanager
def drive(place: Path, size: int) -> Iterator[Path]:
    """A file system of its own."""
    place.mkdir(parents=True, exist_ok=True)
    mount(place, size)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=False, capture_output=True)


def mount(place: Path, size: int) -> None:
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    try:
        done = subprocess.run(command, check=False, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip(f"no drive can be made here: {done.stderr.decode().strip()}")


@asynccontextmanager
async def half_way(home: Path, target: Path | None = None) -> AsyncIterator[tuple[SocketWorld, Person, int]]:
    """Alice has the first of a film."""
    async with socket_world(home) as world:
        await world.index()
        await world.person("bob", {PATH: FILM}, upload_rate=RATE_KIB_S)
        alice = await world.person("alice")
        found = await alice.finds("general")
        begun = await alice.begins(found, str(target) + "/" if target is not None else None)
        await alice.half_way(begun.id, 0.2)
        yield world, alice, begun.id


async def stuck(alice: Person, number: int, *says: str) -> DownloadView:
    seen = await alice.sees(number, lambda view: view.state is DownloadState.STUCK, "it is stuck")
    assert all(text in seen.problem for text in says), seen.problem
    return seen


async def test_a_drive_that_is_full_when_it_begins(tmp_path: Path) -> None:
    with drive(tmp_path / "stick", 4 * MIB) as stick:
        (stick / "ballast").write_bytes(bytes(2 * MIB))
        async with socket_world(tmp_path) as world:
            await world.index()
            await world.person("bob", {PATH: FILM})
            alice = await world.person("alice")
            begun = await alice.begins(await alice.finds("general"), f"{stick}/")
            await stuck(alice, begun.id, "The disk is full", "goes on by itself")
            (stick / "ballast").unlink()
            await alice.finished(begun.id)


async def test_a_drive_that_fills_up_with_the_library_on_it(tmp_path: Path) -> None:
    (tmp_path / "alice").mkdir()
    with drive(tmp_path / "alice", 32 * MIB) as home:
        async with half_way(tmp_path) as (_, alice, number):
            fill(home / "ballast")
            # What was reserved may be written; what it takes to remember it may not.
            seen = await alice.sees(
                number,
                lambda view: view.state is DownloadState.STUCK or view.done_bytes == view.size,
                "the end",
            )
            if seen.state is not DownloadState.COMPLETE:
                await stuck(alice, number, "full")
            assert (await alice.face.status()).nick == "alice"
            (home / "ballast").unlink()
            view = await alice.finished(number)
            assert view.wasted_bytes == 0
            assert [path.name for path in alice.downloads.iterdir()] == ["General.dat"]


def fill(place: Path) -> None:
    with open(place, "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


Trouble = Callable[[Path], Callable[[], None]]


def removed(folder: Path) -> Callable[[], None]:
    shutil.rmtree(folder)
    return folder.mkdir


def moved_away(folder: Path) -> Callable[[], None]:
    away = folder.rename(folder.with_name("away"))
    return lambda: shutil.move(away, folder) and None


def replaced(folder: Path) -> Callable[[], None]:
    folder.rename(folder.with_name("away"))
    folder.mkdir()
    return lambda: None


def frozen(folder: Path) -> Callable[[], None]:
    """Not even the administrator may rename anything in it."""
    if subprocess.run(["chattr", "+i", folder], check=False, capture_output=True).returncode:
        pytest.skip("this file system has no such mark")
    return lambda: subprocess.run(["chattr", "-i", folder], check=True) and None


@pytest.mark.parametrize(
    ("befalls", "says"),
    [
        (removed, "is not there any more"),
        (moved_away, "is not there any more"),
        (replaced, ""),
        (frozen, "may not be written"),
    ],
)
async def test_what_befalls_the_folder_is_told_and_overcome(
    tmp_path: Path, befalls: Trouble, says: str
) -> None:
    folder = tmp_path / "films of alice"
    folder.mkdir()
    async with half_way(tmp_path, folder) as (_, alice, number):
        heal = befalls(folder)
        try:
            if says:
                await stuck(alice, number, says, "by itself")
                assert not (folder / "General.dat").exists()
        finally:
            heal()
        view = await alice.finished(number)
        assert Path(view.target) == folder / "General.dat"


async def test_a_drive_that_is_taken_out_and_put_in_again(tmp_path: Path) -> None:
    with drive(tmp_path / "stick", 8 * MIB) as stick:
        async with half_way(tmp_path, stick / "films") as (_, alice, number):
            subprocess.run(["umount", "-l", stick], check=True)
            await stuck(alice, number, "is not there any more", "plug the drive in")
            assert os.listdir(stick) == []  # nothing was put where the drive belongs
            mount(stick, 8 * MIB)
            (stick / "films").mkdir()
            view = await alice.finished(number)
            assert Path(view.target).read_bytes() == FILM


async def test_a_person_who_may_not_write_there_any_more(tmp_path: Path) -> None:
    """Run as somebody without special rights."""
    if os.geteuid() == 0:
        pytest.skip("the administrator may write everywhere; `frozen` above stands for it")
    folder = tmp_path / "films of alice"
    folder.mkdir()
    async with half_way(tmp_path, folder) as (_, alice, number):
        folder.chmod(0o500)
        await stuck(alice, number, "may not be written", "by itself")
        folder.chmod(0o700)
        await alice.finished(number)
        await trio.lowlevel.checkpoint()
