"""A program that starts the same engine again and again, for tests that kill it: imported once, then forked.

    forked.py PROFILE LINK...

A line "start" on its input starts an engine on the profile, which fetches the files of the links one after
the other. The next line is "kill", or "wait" for an end by itself. Each is answered: how it ended, or 0.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import NoReturn

import trio

from client.engine.downloads import checkpoints
from client.engine.engine import open_engine
from client.engine.profile import Profile
from client.engine.settings import load_settings
from client.engine.status import DownloadState
from p2pshare.limits import MIB

CHECKPOINT_S = 0.15
CHECKPOINT_BYTES = 1 * MIB
LOOK_EVERY_S = 0.01


async def fetch(profile: Profile, links: list[str]) -> None:
    """Until all is complete."""
    async with open_engine(profile, load_settings(profile.settings_file)) as engine:
        while True:
            views = await engine.downloads()
            if all(view.state is DownloadState.COMPLETE for view in views):
                if len(views) == len(links):
                    return
                await engine.get(links[len(views)])
            await trio.sleep(LOOK_EVERY_S)


def live(profile: Profile, links: list[str]) -> NoReturn:
    """The child; ends with 0 if all is there."""
    code = 1
    try:
        trio.run(fetch, profile, links)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def main() -> None:
    profile, links = Profile(Path(sys.argv[1])), sys.argv[2:]
    checkpoints.CHECKPOINT_S, checkpoints.CHECKPOINT_BYTES = CHECKPOINT_S, CHECKPOINT_BYTES
    gc.freeze()  # what is here is shared by all forks
    child = 0
    for line in sys.stdin:
        if line == "start\n":
            child = os.fork()
            if child == 0:
                live(profile, links)
            print(0, flush=True)
        else:
            if line == "kill\n":
                os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
