"""init, index, completion: what is done once."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from client.cli import words
from client.cli.run import PASSPHRASE_VARIABLE, Ending, Exit, Front, Run
from client.engine.profile import create_profile
from client.engine.settings import Settings
from client.engine.status import EngineView, ShareView
from p2pshare.errors import Disconnected, LocalTrouble, Refused
from p2pshare.names import display, nick_problem

_FOLDER = click.Path(exists=True, file_okay=False, resolve_path=True)
COMPLETE_VARIABLE = "_P2PSHARE_COMPLETE"


@click.command()
@click.option("--nick", help="Your name on the network.")
@click.option("--share", "shares", multiple=True, type=_FOLDER, help="A folder to share; may be given again.")
@click.option("--server", "servers", multiple=True, help="Invite link of an index server, or its host:port.")
@click.option("--passphrase", "locked", is_flag=True, help="Lock your key with a passphrase, asked for now.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value: the same as `status --json`.")
@click.pass_obj
def init(
    front: Front,
    nick: str | None,
    shares: tuple[str, ...],
    servers: tuple[str, ...],
    locked: bool,
    as_json: bool,
) -> None:
    """Set up your profile: a key, a nick, what you share. Asks for what is not given."""
    if front.profile.exists():
        raise Ending(
            f"There is a profile in {display(str(front.profile.folder))} already. Change it with"
            " `p2pshare nick`, `share` and `join`, or choose another folder with --profile."
        )
    asking = sys.stdin.isatty() and not as_json
    if nick is None:
        if not asking:
            raise click.UsageError("Say who you are with --nick.")
        nick = click.prompt("Your nick", default=_own_name(), value_proc=_good_nick, err=True)
        if not shares:
            shares = click.prompt(
                "A folder to share (empty for none)", "", show_default=False, value_proc=_folders, err=True
            )
        if not servers:
            invite = click.prompt(
                "Invite link of an index server (empty if you have none)",
                default="",
                show_default=False,
                err=True,
            )
            servers = (invite,) if invite else ()
    elif problem := nick_problem(nick):
        raise click.BadParameter(problem, param_hint="--nick")
    passphrase: str | None = None
    if locked:
        passphrase = os.environ.get(PASSPHRASE_VARIABLE) or click.prompt(
            "Passphrase", hide_input=True, confirmation_prompt=True, err=True
        )
        os.environ[PASSPHRASE_VARIABLE] = passphrase  # so that the engine need not ask again
    try:
        create_profile(front.profile, Settings(nick=nick), passphrase)
    except LocalTrouble as error:
        raise Ending(str(error)) from None

    async def begin(run: Run) -> None:
        problems = []
        for server in servers:
            try:
                await run.face.join(server)
            except (LocalTrouble, Refused, Disconnected) as error:
                problems.append(f"{display(server)} could not be joined: {error}")
        shared = [await run.face.add_share(folder) for folder in shares]
        view = await run.face.status()
        run.out.result(view)
        _welcome(run, view, shared)
        if problems:
            raise Ending("\n".join(problems), Exit.UNREACHABLE)

    front.run(begin, as_json)


def _welcome(run: Run, view: EngineView, shared: list[ShareView]) -> None:
    run.out.say(f"You are {display(view.nick)} ({view.short}).")
    run.out.say(
        f"Your key and settings are in {display(view.profile)}. Keep a copy of the key in a safe place."
    )
    for share in shared:
        run.out.say(f"Sharing {display(share.path)} with {words.count(share.files, 'file')}.")
    run.out.say("Next: `p2pshare search WORDS`, or `p2pshare serve` to stay online.")


def _own_name() -> str | None:
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        return None
    return None if nick_problem(name) else name


def _folders(text: str) -> tuple[str, ...]:
    return (str(_FOLDER.convert(str(Path(text).expanduser()), None, None)),) if text else ()


def _good_nick(text: str) -> str:
    if problem := nick_problem(text):
        raise click.BadParameter(problem)
    return text


@click.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.pass_context
def index(ctx: click.Context) -> None:
    """Run an index server on this machine until Ctrl-C. It prints the invite that others join with.

    All options go to the server, which keeps its accounts and catalogue in a folder of its own;
    `p2pshare-index --help` tells which there are.
    """
    # The index server is a program of its own: the client knows its command line and nothing else.
    command = [sys.executable, "-m", "index_server", *ctx.args]
    if os.name == "posix":
        os.execv(sys.executable, command)
    with subprocess.Popen(command) as server:
        while True:
            try:
                ctx.exit(server.wait())
            except KeyboardInterrupt:
                continue  # the server had the same Ctrl-C and ends in good order


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for your shell.

    \b
    bash   eval "$(p2pshare completion bash)"      in ~/.bashrc
    zsh    eval "$(p2pshare completion zsh)"       in ~/.zshrc
    fish   p2pshare completion fish | source       in ~/.config/fish/config.fish
    """
    script = get_completion_class(shell)
    assert script is not None  # click has all three
    click.echo(script(ctx.find_root().command, {}, "p2pshare", COMPLETE_VARIABLE).source())
