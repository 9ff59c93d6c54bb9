"""Real processes killed with SIGKILL: nothing is lost, and nothing wrong gets a final name."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from client.engine.control import connect_running
from client.engine.face import Face
from client.engine.profile import Profile, create_profile
from client.engine.settings import Settings
from client.engine.status import DownloadState, ServerState

ROOT = Path(__file__).resolve().parents[2]
SIZE = 24 << 20
RATE_KIB_S = 8 << 10  # slow enough to be killed in the middle
KILLS = 3
FOLDER_KILLS = 8
PATIENCE_S = 50.0


class Town:
    """An index server and people, each a process that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[str]] = {}
        self.port = 0
        self.invite = ""

    def start_index(self) -> None:
        process = self._start(
            "index_server",
            *("--server-data", str(self.folder / "index"), "--server-hosts", "127.0.0.1"),
            *("--server-port", str(self.port), "--server-announce", "false", "--log-level", "error"),
            *("--web-port", "0"),
        )
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"p2pshare:join\?[^' ]+", line):
                self.invite = found[0]
                at = re.search(r"at=127\.0\.0\.1:(\d+)", found[0])
                assert at is not None
                self.port = int(at[1])
                self.running["index"] = process
                return
        raise AssertionError("The index server ended at once.")

    def make_person(self, name: str) -> Profile:
        profile = Profile(self.folder / name)
        settings = Settings(
            nick=name, servers=(self.invite,), download_folder="downloads", lan=False, upload_rate=RATE_KIB_S
        )
        create_profile(profile, settings)
        return profile

    async def start_person(self, name: str) -> Face:
        self.running[name] = self._start("client", "--profile", str(self.folder / name), "serve")
        with trio.fail_after(PATIENCE_S):
            while True:
                if (face := await connect_running(Profile(self.folder / name))) is not None:
                    return face
                await trio.sleep(0.05)

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def _start(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", program, *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE if program == "index_server" else subprocess.DEVNULL,
            text=True,
        )


@contextmanager
def town(folder: Path) -> Iterator[Town]:
    made = Town(folder)
    try:
        yield made
    finally:
        for name in list(made.running):
            made.kill(name)


async def until_done_bytes(face: Face, wanted: int) -> bool:
    """Until the one download has so many bytes; False if it was complete before."""
    with trio.fail_after(PATIENCE_S):
        while True:
            for view in await face.downloads():
                if view.state is DownloadState.COMPLETE:
                    return False
                if view.done_bytes >= wanted:
                    return True
            await trio.sleep(0.02)


async def until_all_are_online(face: Face) -> None:
    with trio.fail_after(PATIENCE_S):
        while True:
            servers = (await face.status()).servers
            if all(server.state is ServerState.ONLINE for server in servers):
                return
            await trio.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_killing_everybody_in_turn_loses_nothing(tmp_path: Path) -> None:
    chance = random.Random(7)
    content = chance.randbytes(SIZE)
    share = tmp_path / "share"
    share.mkdir()
    (share / "song.bin").write_bytes(content)
    with town(tmp_path) as here:
        here.start_index()
        here.make_person("anna")
        here.make_person("bert")
        anna = await here.start_person("anna")
        await anna.add_share(str(share))
        link = await anna.link(str(share / "song.bin"))
        bert = await here.start_person("bert")
        await bert.get(link)
        target = tmp_path / "bert" / "downloads" / "song.bin"
        for number in range(KILLS):
            going_on = await until_done_bytes(bert, SIZE * (number + 1) // (KILLS + 2))
            assert going_on and not target.exists()
            victim = ("bert", "anna", "index")[number % 3]
            await trio.sleep(chance.random() * 0.2)
            here.kill(victim)
            if victim == "index":
                here.start_index()
            elif victim == "anna":
                await here.start_person("anna")
            else:
                assert not target.exists()
                bert = await here.start_person("bert")
        await until_done_bytes(bert, SIZE + 1)
        assert target.read_bytes() == content
        await until_all_are_online(bert)  # with the server that was started anew


async def until_files_done(face: Face, wanted: int) -> bool:
    """Until the one folder has so many files; False if it was complete before."""
    with trio.fail_after(PATIENCE_S):
        while True:
            for view in await face.downloads():
                if view.state is DownloadState.COMPLETE:
                    return False
                if view.files_done >= wanted:
                    return True
            await trio.sleep(0.01)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_folder_of_small_files_survives_being_killed_at_any_moment(tmp_path: Path) -> None:
    """Whatever stands under a name is whole, nothing comes twice, and no litter is left."""
    chance = random.Random(11)
    contents = {f"{n % 20:02}/{n:04}.dat": chance.randbytes(chance.randrange(12_000)) for n in range(2_000)}
    share = tmp_path / "notes"
    for path, data in contents.items():
        (share / path).parent.mkdir(parents=True, exist_ok=True)
        (share / path).write_bytes(data)
    downloads = tmp_path / "bert" / "downloads" / "notes"

    def arrived() -> dict[str, bytes]:
        return {
            path.relative_to(downloads).as_posix(): path.read_bytes()
            for path in downloads.rglob("*")
            if path.is_file()
        }

    with town(tmp_path) as here:
        here.start_index()
        here.make_person("anna")
        here.make_person("bert")
        anna = await here.start_person("anna")
        await anna.add_share(str(share))
        bert = await here.start_person("bert")
        await until_all_are_online(bert)
        [begun] = await bert.get("anna/notes")
        noted = 0
        for number in range(FOLDER_KILLS):
            going_on = await until_files_done(bert, max(noted, len(contents) * number // FOLDER_KILLS))
            await trio.sleep(chance.random() * 0.1)
            here.kill("bert")
            assert arrived().items() <= contents.items()
            bert = await here.start_person("bert")
            [view] = await bert.downloads()
            assert view.id == begun.id
            assert view.files_done >= noted
            noted = view.files_done
            if not going_on:
                break
        await until_files_done(bert, len(contents) + 1)
        assert arrived() == contents
