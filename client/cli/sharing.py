"""share: which folders others may see."""

from __future__ import annotations

from collections.abc import Sequence

import click
import trio
from click.shell_completion import CompletionItem

from client.cli import words
from client.cli.keeping import rotten
from client.cli.run import Run, with_engine
from client.engine.status import ShareView
from p2pshare.names import display

_FOLDER = click.Path(exists=True, file_okay=False, resolve_path=True)


class _Share(click.Group):
    """`share PATH` is short for `share add PATH`, `share` alone for `share list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:  # a shell completes a line that is not whole yet
            return super().parse_args(ctx, args)
        if not args or args[0] == "--json":
            args.insert(0, "list")
        elif not args[0].startswith("-") and args[0] not in self.commands:
            args.insert(0, "add")
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        return [*super().shell_complete(ctx, incomplete), CompletionItem(incomplete, type="dir")]


@click.group(cls=_Share)
def share() -> None:
    """Share folders, or list what is shared. `p2pshare share PATH` is short for `share add PATH`."""


@share.command("add")
@with_engine
@click.argument("paths", nargs=-1, required=True, type=_FOLDER, metavar="PATH...")
async def add(run: Run, paths: tuple[str, ...]) -> None:
    """Share folders. Others can find the files at once; hashing follows in the background."""
    views = tuple([await run.face.add_share(path) for path in paths])
    run.out.result(views)
    for view in views:
        run.out.say(f"Sharing {display(view.path)} as {display(view.name)}: {_amount(view)}.")
    if run.here:
        run.out.say("Others can find and get it while p2pshare runs: `p2pshare serve` stays online.")


@share.command("remove")
@with_engine
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
async def remove(run: Run, paths: tuple[str, ...]) -> None:
    """Share folders no longer. Nothing on disk is touched."""
    shared = {view.name: view.path for view in (await run.face.status()).shares}
    for path in paths:
        await run.face.remove_share(shared.get(path) or str(await trio.Path(path).resolve()))
    run.out.result((await run.face.status()).shares)
    run.out.say(f"{words.count(len(paths), 'folder')} no longer shared.")


@share.command("list")
@with_engine
async def list_(run: Run) -> None:
    """List the shared folders."""
    _show(run, (await run.face.status()).shares)


@share.command("rescan")
@with_engine
async def rescan(run: Run) -> None:
    """Look for changes in every shared folder now. Usually they are noticed by themselves."""
    _show(run, await run.face.rescan())


def _show(run: Run, views: Sequence[ShareView]) -> None:
    run.out.result(views)
    if not views:
        run.out.say("Nothing is shared yet. Share a folder with: p2pshare share PATH")
        return
    rows = [
        (
            display(view.path),
            display(view.name),
            f"{view.files:,}",
            words.size(view.bytes),
            display(view.problem) or _hashed(view),
        )
        for view in views
    ]
    run.out.table(("Folder", "Shown as", ">Files", ">Size", "Hashed"), rows)


def _hashed(view: ShareView) -> str:
    hashed = words.percent(view.hashed, view.files)
    return f"{hashed}, {rotten(view.rotten)}" if view.rotten else hashed


def _amount(view: ShareView) -> str:
    return f"{words.count(view.files, 'file')}, {words.size(view.bytes)}"
