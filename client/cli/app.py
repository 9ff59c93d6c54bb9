"""The command `p2pshare` and its list of commands. Their modules are imported when used, so help is quick."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click
from click.shell_completion import CompletionItem

COMMANDS = {
    "init": ("client.cli.setup", "Set up your profile: a key, a nick, what you share."),
    "share": ("client.cli.sharing", "Share folders, or list what is shared."),
    "search": ("client.cli.searching", "Search every index server."),
    "wish": ("client.cli.wishing", "Be told when somebody offers what you look for."),
    "get": ("client.cli.finding", "Download a result, a link, somebody's file, or the best match."),
    "play": ("client.cli.playing", "Play a file while it arrives."),
    "browse": ("client.cli.finding", "Look into what somebody shares."),
    "downloads": ("client.cli.transfers", "List, watch, pause, resume or cancel downloads."),
    "priority": ("client.cli.transfers", "Let downloads go before others, or after them."),
    "uploads": ("client.cli.transfers", "Show who is being served, and who waits."),
    "credit": ("client.cli.credit", "Show who gave whom how much, and what priority follows."),
    "check": ("client.cli.keeping", "See whether the disk still holds what you share."),
    "repair": ("client.cli.keeping", "Mend what a check found damaged, with pieces from others."),
    "distrusted": ("client.cli.keeping", "Show who sent wrong data, or trust them again."),
    "limit": ("client.cli.choices", "Show the limits of bandwidth that hold now and why, or set one."),
    "group": ("client.cli.choices", "List who is in which group, or put somebody into one."),
    "settings": ("client.cli.choices", "Show the settings."),
    "set": ("client.cli.choices", "Change a setting."),
    "moderate": ("client.cli.moderating", "Look after an index server: bans, hidden words and files, roles."),
    "status": ("client.cli.network", "Show how everything stands."),
    "link": ("client.cli.finding", "Make a link to a file, or an invite to your index server."),
    "join": ("client.cli.network", "Use an index server."),
    "leave": ("client.cli.network", "Forget an index server."),
    "account": ("client.cli.account", "Export or delete your account on an index server."),
    "nick": ("client.cli.network", "Change your nick."),
    "serve": ("client.cli.network", "Stay online without a window."),
    "stop": ("client.cli.network", "End the p2pshare that runs."),
    "index": ("client.cli.setup", "Run an index server on this machine."),
    "identity": ("client.cli.keys", "Show, back up, restore or lock your key."),
    "completion": ("client.cli.setup", "Print the completion script for your shell."),
}

EXIT_CODES = """
\b
Exit codes:
  0    done
  1    failed; the sentence on stderr says why
  2    the command was not understood
  3    nothing was found
  4    no index server, or somebody cannot be reached
  130  interrupted with Ctrl-C; nothing is lost

Set P2PSHARE_PROFILE to use another profile, P2PSHARE_PASSPHRASE if your key is locked. With --json a command
prints one JSON value: the snapshots of client/engine/status.py with their fields by name.
"""


class Commands(click.Group):
    """The table above as a group."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[name][0]), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.Abort, KeyboardInterrupt):  # in answer to a question
            click.echo("\nStopped.", err=True)
            ctx.exit(130)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [CompletionItem(name, help=line) for name, (_, line) in COMMANDS.items()]
        return [item for item in names if str(item.value).startswith(incomplete)]


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    try:
        click.echo(f"p2pshare {version('p2pshare')}")
    except PackageNotFoundError:
        click.echo("p2pshare, not installed but run from its source")
    ctx.exit()


@click.group(cls=Commands, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--profile", metavar="FOLDER", help="Where your key, settings and library live.")
@click.option("-v", "--verbose", is_flag=True, help="Tell on stderr what happens inside.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)
@click.pass_context
def cli(ctx: click.Context, profile: str | None, verbose: bool) -> None:
    """Share files with people, and find theirs."""
    if ctx.obj is None and not ctx.resilient_parsing:
        from client.cli.run import Front

        ctx.obj = Front.of_this_machine(profile, verbose)


def main(**settings: Any) -> None:
    cli(prog_name="p2pshare", **settings)
