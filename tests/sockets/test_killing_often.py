"""A downloader killed with SIGKILL at many random moments; the one they fetch from lives in this process.

What is looked at after each kill: no wrong byte under a final name, no piece in the record that the disk does
not hold, no more lost than one checkpoint. P2PSHARE_KILLS says how often, P2PSHARE_SEED repeats the lives.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE

import pytest
import trio

from client.engine.profile import Profile, create_profile
from client.engine.settings import Settings
from client.engine.uploads.uploads import Uploads
from p2pshare.limits import KIB, PIECE_BYTES_MIN
from tests.on_disk import recorded_bytes
from tests.sockets.forked import CHECKPOINT_BYTES, CHECKPOINT_S
from tests.sockets.world import SocketWorld, socket_world

KILLS = int(os.environ.get("P2PSHARE_KILLS", "100"))
SEED = int(os.environ.get("P2PSHARE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
FILES = 12
FILE_BYTES = 41 * PIECE_BYTES_MIN + 777  # some 2.6 MB
RATE_KIB_S = 8 << 10
LIFE_S = 0.5  # at most, from the start or the first data on; a file takes 0.3 s
DATA_PART = 0.7  # of the lives last until data comes, at least
DATA_WAIT_S = 5.0
UNDER_WAY_BYTES = 2 * CHECKPOINT_BYTES  # sent, and not yet written by the other side when it died
WAIT_S = 30.0
"""For the last run, which is not killed, much longer than a life."""


class Lives:
    """The downloader's process, over and over."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._told = b""

    async def tell(self, word: str) -> int:
        """ "start", "kill" or "wait"; returns how it ended."""
        assert self._process.stdin is not None and self._process.stdout is not None
        await self._process.stdin.send_all(f"{word}\n".encode())
        with trio.fail_after(WAIT_S):
            while b"\n" not in self._told:
                data = await self._process.stdout.receive_some()
                assert data, "the program that forks ended"
                self._told += data
        line, _, self._told = self._told.partition(b"\n")
        return int(line)


@asynccontextmanager
async def lives(profile: Profile, links: list[str]) -> AsyncIterator[Lives]:
    command = [sys.executable, "-m", "tests.sockets.forked", str(profile.folder), *links]
    process = await trio.lowlevel.open_process(command, stdin=PIPE, stdout=PIPE, start_new_session=True)
    try:
        yield Lives(process)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                await pipe.aclose()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """[bytes that the uploader sent]"""
    total = [0]
    was_sent = Uploads.was_sent

    def count(self: Uploads, person: object, file: object, size: int) -> None:
        total[0] += size
        was_sent(self, person, file, size)  # type: ignore[arg-type]

    monkeypatch.setattr(Uploads, "was_sent", count)
    return total


async def links_of(world: SocketWorld, contents: dict[str, bytes]) -> list[str]:
    bob = await world.person(
        "bob", {f"films/{name}": data for name, data in contents.items()}, upload_rate=RATE_KIB_S
    )
    return [await bob.face.link(str(bob.shared(f"films/{name}"))) for name in contents]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the downloader is forked")
async def test_killed_at_any_moment_nothing_wrong_is_left_and_little_comes_twice(
    tmp_path: Path, sent: list[int]
) -> None:
    print(f"P2PSHARE_SEED={SEED}")
    chance = random.Random(SEED)
    contents = {f"film {number}.dat": chance.randbytes(FILE_BYTES) for number in range(FILES)}
    # A checkpoint may be as late as a nap of whoever makes it, and its writing takes a moment.
    lost_max = CHECKPOINT_BYTES + int(CHECKPOINT_S * RATE_KIB_S * KIB) + UNDER_WAY_BYTES
    async with socket_world(tmp_path) as world:
        await world.index()
        profile = Profile(tmp_path / "alice")
        links = await links_of(world, contents)
        kills = moving = lost = 0
        for round in range(KILLS):
            if kills == KILLS:
                break
            profile = Profile(tmp_path / f"alice {round}")
            create_profile(
                profile,
                Settings(
                    nick=f"alice{round}", servers=tuple(world.invites), download_folder="downloads", lan=False
                ),
            )
            held = 0
            async with lives(profile, links) as alice:
                while kills < KILLS and held < FILES * FILE_BYTES:
                    before, sent_before = held, sent[0]
                    await alice.tell("start")
                    if chance.random() < DATA_PART:
                        with trio.move_on_after(DATA_WAIT_S):
                            while sent[0] == sent_before:  # noqa: ASYNC110
                                await trio.sleep(0.005)
                    await trio.sleep(chance.random() * LIFE_S)
                    ended = await alice.tell("kill")
                    assert ended in (-signal.SIGKILL, 0)
                    kills += ended != 0
                    moving += ended != 0 and sent[0] > sent_before
                    held = recorded_bytes(profile, contents)
                    assert held >= before, "what was recorded is gone"
                    lost_now = sent[0] - sent_before - (held - before)
                    assert lost_now <= lost_max, f"{lost_now} bytes were sent in vain at kill {kills}"
                    lost = max(lost, lost_now)
                await alice.tell("start")  # and in the end it gets everything
                assert await alice.tell("wait") == 0
                assert recorded_bytes(profile, contents) == FILES * FILE_BYTES
        print(f"{kills} kills, {moving} while data came, at most {lost / 1e6:.1f} MB sent in vain by one")
        assert kills == KILLS and moving > KILLS // 4
