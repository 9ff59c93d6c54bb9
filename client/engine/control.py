"""The engine's face for other processes of the same person (see p2pshare/transport/local_calls.py).

`running.json` in the profile tells where.
"""

from __future__ import annotations

from typing import Final, cast

import trio

from client.engine.face import Face
from client.engine.profile import Profile
from p2pshare.transport.local_calls import LocalCalls

CALLS: Final = LocalCalls(
    Face,
    "p2pshare",
    "The running p2pshare is of another version. End it with `p2pshare stop` and try again.",
)


async def serve_control(
    face: Face, profile: Profile, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Answers other processes until cancelled. Started once they can call. Raises LocalTrouble."""
    await CALLS.serve(face, profile.running_file, task_status)


async def connect_running(profile: Profile) -> Face | None:
    """The face of the engine that runs on this profile in another process; None if none does."""
    return cast(Face | None, await CALLS.connect(profile.running_file))
