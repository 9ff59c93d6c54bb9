"""account: what an index server keeps about you, and how it forgets you."""

from __future__ import annotations

import click

from client.cli.run import Run, with_engine
from p2pshare.names import display


@click.group()
def account() -> None:
    """Export or delete your account on an index server."""


@account.command("export")
@with_engine
@click.argument("server", default="")
async def export(run: Run, server: str) -> None:
    """Print everything that SERVER keeps about you: one JSON object for each line.

    SERVER is named as `p2pshare status` shows it, and may be left out if there is only one.
    """
    await run.settled()
    cursor = ""
    while True:
        page = await run.face.account_record(server, cursor)
        for line in page.lines:
            click.echo(line)
        cursor = page.cursor
        if not cursor:
            return


@account.command("delete")
@with_engine
@click.argument("server", default="")
@click.option("--yes", is_flag=True, help="Do not ask.")
async def delete(run: Run, server: str, yes: bool) -> None:
    """Have SERVER forget your account and everything about it, and leave it. Your files stay as they are.

    Your nick there is free for others then. It cannot be undone.
    """
    await run.settled()
    page = await run.face.account_record(server)
    name = display(page.server)
    if not yes and not await run.confirm(f"Delete your account on {name}?"):
        return
    await run.face.erase_account(server)
    run.out.result(page.server)
    run.out.say(f"{name} has forgotten you, and is not used any more.")
