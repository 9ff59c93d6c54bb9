"""The same task with real processes: a `p2pshare serve` for each person, and libtorrent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import trio

from client.engine.control import connect_running
from client.engine.face import Face
from client.engine.profile import Profile, create_profile
from client.engine.settings import Settings
from client.engine.status import DownloadState, DownloadView
from p2pshare.errors import LocalTrouble
from p2pshare.limits import KIB
from scripts.bench.programs.p2pshare import ROOT, index
from scripts.bench.programs.processes import running
from scripts.bench.swarm_outcome import Outcome, Task

PATIENCE_S = 1_200.0
LOOK_EVERY_S = 0.5
FILE_NAME = "swarm.bin"


def ours(folder: Path, task: Task) -> Outcome:
    """An index server, a seed, and so many others, each a process of its own."""
    (folder / "seed").mkdir(parents=True)
    (folder / "seed" / FILE_NAME).write_bytes(os.urandom(task.size))
    names = ["seeder", *(f"p{number}" for number in range(task.people))]
    with ExitStack() as stack:
        invite = stack.enter_context(index(folder))
        for name in names:
            profile = Profile(folder / name)
            rate = task.uplink // KIB
            create_profile(profile, Settings(nick=name, servers=(invite,), lan=False, upload_rate=rate))
            command = [sys.executable, "-m", "client", "--profile", profile.folder, "serve"]
            log = folder / f"{name}.log"
            stack.enter_context(running(command, log, env={"PYTHONPATH": str(ROOT)}))
        return trio.run(_run, folder, names, task)


async def _run(folder: Path, names: list[str], task: Task) -> Outcome:
    with trio.fail_after(PATIENCE_S):
        faces = [await _until_running(Profile(folder / name)) for name in names]
        seeder, *people = faces
        await seeder.add_share(str(folder / "seed"))
        link = await seeder.link(str(folder / "seed" / FILE_NAME))
        for face in faces:
            await _until_online(face)
        outcome = Outcome("p2pshare", task)
        given = [0]
        views: list[DownloadView | None] = [None] * len(people)

        async def begin(number: int, face: Face) -> None:
            [views[number]] = await face.get(link)

        began, began_unix = trio.current_time(), time.time()
        async with trio.open_nursery() as nursery:
            for number, face in enumerate(people):
                nursery.start_soon(begin, number, face)
        while any(view is None or view.state is not DownloadState.COMPLETE for view in views):
            await trio.sleep(LOOK_EVERY_S)
            for number, face in enumerate(people):
                [views[number]] = await face.downloads()
            there = sum(view.done_bytes for view in views if view is not None) / task.size
            given.append(sum(view.sent_bytes for view in await seeder.uploads()))
            outcome.growth.append((trio.current_time() - began, there))
        complete = [view for view in views if view is not None]
        outcome.finished = [view.finished_at - began_unix for view in complete if view.finished_at]
        outcome.wasted_bytes = sum(view.wasted_bytes for view in complete)
        outcome.seed_bytes = max(given)
        return outcome


async def _until_running(profile: Profile) -> Face:
    while True:
        if (face := await connect_running(profile)) is not None:
            return face
        await trio.sleep(0.1)


async def _until_online(face: Face) -> None:
    while True:
        try:
            if (await face.search(FILE_NAME.partition(".")[0])).results:
                return
        except LocalTrouble:
            pass
        await trio.sleep(0.2)


def has(tools: Path, package: str) -> bool:
    """Whether that environment has it."""
    python = tools / "python"
    return (
        python.exists()
        and not subprocess.run([python, "-c", f"import {package}"], capture_output=True).returncode
    )


def libtorrent(folder: Path, task: Task, tools: Path) -> Outcome:
    """As many sessions in one process, told of each other at once."""
    (folder / "seed").mkdir(parents=True)
    (folder / "seed" / FILE_NAME).write_bytes(os.urandom(task.size))
    program = Path(__file__).with_name("swarm_libtorrent.py")
    command = [tools / "python", program, folder, task.people, task.uplink, task.piece_size]
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    told = json.loads(done.stdout)
    return Outcome(
        "libtorrent",
        task,
        finished=told["finished"],
        growth=[(at, copies) for at, copies in told["growth"]],
        wasted_bytes=told["wasted"],
        seed_bytes=told["seed_bytes"],
    )
