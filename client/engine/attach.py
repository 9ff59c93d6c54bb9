"""The engine of a profile: the one that runs already in another process, or else one that runs in here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from client.engine.control import connect_running, serve_control
from client.engine.face import Face
from client.engine.profile import Profile, locked
from client.engine.settings import load_settings
from p2pshare.errors import LocalTrouble
from p2pshare.identity import is_locked
from p2pshare.names import display
from p2pshare.transport.background import background

ATTACH_TIMEOUT_S = 10  # another process opens its library, or ends its uploads
ATTACH_RETRY_S = 0.1


@dataclass(frozen=True)
class Attached:
    """An engine that answers."""

    face: Face
    here: bool  # it runs in this process and ends with the block


@asynccontextmanager
async def attached(
    profile: Profile, ask_passphrase: Callable[[], Awaitable[str]], may_start: bool = True
) -> AsyncIterator[Attached]:
    """Raises LocalTrouble: no profile yet, settings or key cannot be used, an engine runs but does not
    answer, or none runs and none may be started in here."""
    if not profile.exists():
        raise LocalTrouble(
            f"There is no profile in {display(str(profile.folder))} yet. Set one up with `p2pshare init`."
        )
    give_up_at = trio.current_time() + ATTACH_TIMEOUT_S
    while trio.current_time() < give_up_at:
        if face := await connect_running(profile):
            yield Attached(face, here=False)
            return
        with locked(profile) as mine:
            if mine:
                if not may_start:
                    raise LocalTrouble("No p2pshare runs.")
                settings = load_settings(profile.settings_file)
                passphrase = await ask_passphrase() if is_locked(profile.identity_file) else None
                # Imported when it is needed: most commands only talk to an engine that runs already.
                from client.engine.engine import open_engine

                async with open_engine(profile, settings, passphrase) as engine, background() as nursery:
                    await nursery.start(serve_control, engine, profile)
                    yield Attached(engine, here=True)
                return
        await trio.sleep(ATTACH_RETRY_S)
    raise LocalTrouble(
        f"Another p2pshare uses the profile in {display(str(profile.folder))} but does not answer."
        " Wait until it has ended, or end it."
    )
