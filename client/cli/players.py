"""Programs that play what is at an address: which there are, and how each is started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import trio

from client.cli.run import Ending, Exit
from p2pshare.names import display

BROWSER = "browser"
# In the order in which they are tried. --no-ytdl: another program need not know the address.
KNOWN = {"mpv": ("--no-ytdl", "--force-window=yes"), "vlc": ()}

Which = Callable[[str], str | None]


@dataclass(frozen=True)
class Player:
    """`command` is the program and its arguments but for the address; empty for the default browser."""

    name: str
    command: tuple[str, ...]


def find_player(
    name: str | None, which: Which = shutil.which, surroundings: Mapping[str, str] = os.environ
) -> Player | None:
    """The one that was asked for, or the first that is there; None if there is none. Raises Ending."""
    if name == BROWSER:
        return Player(BROWSER, ())
    if name is not None:
        if (program := which(name)) is None:
            raise Ending(f"There is no program {display(name)} here.", Exit.USAGE)
        return Player(name, (program, *KNOWN.get(name, ())))
    for known, arguments in KNOWN.items():
        if (program := which(known)) is not None:
            return Player(known, (program, *arguments))
    # A browser without a screen would take over the terminal.
    has_screen = sys.platform != "linux" or bool({"DISPLAY", "WAYLAND_DISPLAY"} & surroundings.keys())
    return Player(BROWSER, ()) if has_screen else None


async def play_with(player: Player, url: str) -> int | None:
    """Until the player ends; its exit code. None at once if it is a browser: that lives on its own.

    Cancelling ends the player. Raises Ending if it cannot be started.
    """
    if not player.command:
        if not await trio.to_thread.run_sync(webbrowser.open, url, abandon_on_cancel=True):
            raise Ending(f"No browser could be opened. The address to play it is {url}")
        return None
    try:
        # A list, so no shell reads it; a session of its own, so that Ctrl-C is ours to pass on.
        return (
            await trio.run_process(
                [*player.command, url],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                check=False,
            )
        ).returncode
    except OSError as error:
        raise Ending(f"{player.name} could not be started: {error.strerror}.") from None
