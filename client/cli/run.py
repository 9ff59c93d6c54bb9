"""How a command meets the engine, and how it ends: with an exit code and, if need be, a sentence."""

from __future__ import annotations

import errno
import functools
import logging
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NoReturn

import click
import trio

from client.cli.output import Output
from client.engine.attach import Attached, attached
from client.engine.face import Face
from client.engine.network.nearby import nearby_servers
from client.engine.profile import Profile, find_profile
from client.engine.settings import load_settings
from client.engine.status import EngineView, ServerState
from p2pshare.errors import Disconnected, LocalTrouble, PeerFault, Reason, Refused
from p2pshare.links import Invite, format_link
from p2pshare.names import display
from p2pshare.transport.background import background

CONNECT_TIMEOUT_S = 15  # an index server that takes longer is as good as gone
CONNECT_LOOK_S = 0.1
PASSPHRASE_VARIABLE = "P2PSHARE_PASSPHRASE"
DEBUG_VARIABLE = "P2PSHARE_DEBUG"
NO_SERVER = (
    "No index server is known and none answers on the local network: join one by its invite with"
    " `p2pshare join LINK`, or start one here with `p2pshare index`."
)


class Exit(IntEnum):
    """Documented in app.py."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOTHING_FOUND = 3
    UNREACHABLE = 4
    INTERRUPTED = 130
    TERMINATED = 143


_CODES = {
    Reason.NO_SUCH_PERSON: Exit.NOTHING_FOUND,
    Reason.NO_SUCH_FILE: Exit.NOTHING_FOUND,
    Reason.OFFLINE: Exit.UNREACHABLE,
    Reason.UNREACHABLE: Exit.UNREACHABLE,
}


class Ending(click.ClickException):
    """Ends a command: a sentence for stderr and an exit code."""

    def __init__(self, text: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(text)
        self.exit_code = code  # type: ignore[misc]  # click reads it from the instance

    def show(self, file: Any = None) -> None:
        if self.message:
            click.echo(self.message, err=True)


@dataclass
class Run:
    """One run of a command, with an engine that answers."""

    face: Face
    here: bool  # the engine runs in this process
    out: Output
    front: Front
    when_interrupted: str = "Stopped."
    until_stopped: bool = False  # this command is meant to run until somebody ends it

    async def confirm(self, question: str) -> bool:
        if not sys.stdin.isatty():
            raise Ending(f"{question} Say --yes, as nobody can be asked here.", Exit.USAGE)
        click.echo(f"{question} [Y/n] ", nl=False, err=True)
        self.when_interrupted = "\nStopped."
        # In a thread, so that the engine goes on; not by `input`, whose lock would outlive a Ctrl-C.
        typed = await trio.to_thread.run_sync(os.read, sys.stdin.fileno(), 1024, abandon_on_cancel=True)
        return typed.strip().lower() in (b"y", b"yes") or typed in (b"\n", b"\r\n")

    async def online(self, *, lan_is_enough: bool = False) -> None:
        """Waits until an index server is online; with none configured, one on the local network will do.

        Raises Ending. `lan_is_enough`: people seen on the local network will do as well.
        """
        if not (await self.face.status()).servers:
            await self._join_nearby(lan_is_enough)
        view = await self.settled()
        if any(server.state is ServerState.ONLINE for server in view.servers) or (lan_is_enough and view.lan):
            return
        problems = [
            f"{display(server.name or server.address)}: {display(server.problem or 'it does not answer.')}"
            for server in view.servers
        ]
        raise Ending("\n".join(["No index server can be reached.", *problems]), Exit.UNREACHABLE)

    async def settled(self) -> EngineView:
        """The status once a server is online, or each has been tried."""
        give_up_at = trio.current_time() + CONNECT_TIMEOUT_S
        while True:
            view = await self.face.status()
            states = {server.state for server in view.servers}
            if ServerState.ONLINE in states or ServerState.CONNECTING not in states:
                return view
            if trio.current_time() > give_up_at:
                return view
            await trio.sleep(CONNECT_LOOK_S)

    async def _join_nearby(self, lan_is_enough: bool) -> None:
        if lan_is_enough and (await self.face.status()).lan:
            return
        found = await self.front.nearby()
        if not found:
            raise Ending(NO_SERVER, Exit.UNREACHABLE)
        if len(found) > 1:
            links = [f"  {display(invite.name)}: p2pshare join '{format_link(invite)}'" for invite in found]
            raise Ending(
                "\n".join(["Several index servers answer on the local network. Choose one:", *links]),
                Exit.UNREACHABLE,
            )
        try:
            name = await self.face.join(format_link(found[0]))
        except LocalTrouble as trouble:
            raise Ending(display(str(trouble)), Exit.UNREACHABLE) from None
        self.out.note(f"Using the index server {display(name)}, found on the local network.")


Body = Callable[[Run], Awaitable[None]]


@dataclass
class Front:
    """What every command stands on; tests put fakes here."""

    profile: Profile
    open_face: Callable[[bool], AbstractAsyncContextManager[Attached]]  # may an engine start in here?
    look_nearby: Callable[[], Awaitable[tuple[Invite, ...]]]

    @classmethod
    def of_this_machine(cls, profile: str | None, verbose: bool) -> Front:
        logging.basicConfig(level=logging.ERROR)
        if verbose:
            for ours in ("client", "p2pshare"):
                logging.getLogger(ours).setLevel(logging.DEBUG)
        chosen = find_profile(profile)
        return cls(chosen, lambda may_start: attached(chosen, ask_passphrase, may_start), nearby_servers)

    async def nearby(self) -> tuple[Invite, ...]:
        """Index servers on the local network, unless the person wants nothing of it."""
        if self.profile.exists() and not load_settings(self.profile.settings_file).lan:
            return ()
        try:
            return await self.look_nearby()
        except LocalTrouble:
            return ()

    def run(self, body: Body, as_json: bool, *, may_start: bool = True) -> None:
        """Raises Ending unless all went well."""
        try:
            trio.run(self._run, body, Output(as_json), may_start)
        except KeyboardInterrupt:  # the second Ctrl-C
            raise Ending("", Exit.INTERRUPTED) from None
        except Exception as error:
            _end(error)

    async def _run(self, body: Body, out: Output, may_start: bool) -> None:
        caught: list[int] = []
        run: Run | None = None
        finished = False
        with trio.CancelScope() as scope:
            async with background() as nursery:
                await nursery.start(_listen_for_signals, scope, caught)
                async with self.open_face(may_start) as engine:
                    run = Run(engine.face, engine.here, out, self)
                    await body(run)
                    finished = True
        if finished or (run and run.until_stopped and caught != [signal.SIGINT]):
            return
        text = run.when_interrupted if run else "Stopped."
        if not caught:
            raise Ending(f"{text} Another command ended the engine.")
        raise Ending(text, Exit.INTERRUPTED if caught == [signal.SIGINT] else Exit.TERMINATED)


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")


def with_engine(function: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Makes `async def command(run, **parameters)` a click command with --json."""

    def command(front: Front, /, as_json: bool, **parameters: Any) -> None:
        front.run(lambda run: function(run, **parameters), as_json)

    functools.update_wrapper(command, function)
    return json_option(click.pass_obj(command))


async def ask_passphrase() -> str:
    """From the environment or the terminal. Raises LocalTrouble where nobody can be asked."""
    if passphrase := os.environ.get(PASSPHRASE_VARIABLE):
        return passphrase
    if not sys.stdin.isatty():
        raise LocalTrouble(f"Your key is locked. Put its passphrase into {PASSPHRASE_VARIABLE}.")
    # Not in a thread, which would leave the terminal without echo after a Ctrl-C. No engine runs here yet.
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        answer: str = click.prompt("Passphrase of your key", hide_input=True, err=True)
        return answer
    finally:
        signal.signal(signal.SIGINT, ours)


async def _listen_for_signals(
    scope: trio.CancelScope, caught: list[int], task_status: trio.TaskStatus[None]
) -> None:
    """The first signal cancels in good order. Then the usual handlers are back: a second one ends at once."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for number in signals:
            caught.append(number)
            scope.cancel()
            return


def _end(error: Exception) -> NoReturn:
    """Raises what click shows and exits with."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    match error:
        case click.ClickException() | click.Abort() | click.exceptions.Exit():
            raise error
        case OSError() if error.errno == errno.EPIPE:  # the reader of our output has seen enough
            raise error
        case Refused():
            raise Ending(display(error.text), _CODES.get(error.reason, Exit.FAILED)) from None
        case Disconnected():
            raise Ending(display(str(error)), Exit.UNREACHABLE) from None
        case LocalTrouble() | PeerFault():
            raise Ending(display(str(error))) from None
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)
    raise Ending(
        f"p2pshare made a mistake of its own: {type(error).__name__}: {display(str(error))}\n"
        f"Nothing you have is lost. With {DEBUG_VARIABLE}=1 it tells where; please report that."
    ) from None
