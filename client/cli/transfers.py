"""downloads and uploads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import click

from client.cli import words
from client.cli.follow import follow
from client.cli.run import Run, json_option, with_engine
from client.engine.status import DownloadView, Priority, UploadView
from p2pshare.names import display

_numbers = click.argument("numbers", nargs=-1, required=True, type=int, metavar="NUMBER...")


@click.group(invoke_without_command=True)
@click.option("-w", "--watch", is_flag=True, help="Follow them until all are done.")
@json_option
@click.pass_context
def downloads(ctx: click.Context, watch: bool, as_json: bool) -> None:
    """List downloads, or change them by their numbers."""
    if ctx.invoked_subcommand is None:
        ctx.obj.run(lambda run: _list(run, watch), as_json)
    elif watch or as_json:
        raise click.UsageError("Options go behind the command that they are for.", ctx)


@downloads.command("list")
@with_engine
@click.option("-w", "--watch", is_flag=True, help="Follow them until all are done.")
@click.argument("folder", type=int, required=False, metavar="[NUMBER]")
async def list_(run: Run, watch: bool, folder: int | None) -> None:
    """List them; the same as `p2pshare downloads`. With the NUMBER of a folder: the files in it."""
    if folder is None:
        await _list(run, watch)
    else:
        _show(run, await run.face.downloads_in(folder))


@downloads.command("pause")
@with_engine
@_numbers
async def pause(run: Run, numbers: tuple[int, ...]) -> None:
    """Stop downloads until `resume`."""
    await _each(run, run.face.pause, numbers)


@downloads.command("resume")
@with_engine
@_numbers
async def resume(run: Run, numbers: tuple[int, ...]) -> None:
    """Go on with paused, failed or stuck downloads."""
    await _each(run, run.face.resume, numbers)


@downloads.command("cancel")
@with_engine
@_numbers
async def cancel(run: Run, numbers: tuple[int, ...]) -> None:
    """Give downloads up and delete what has arrived of them."""
    await _each(run, run.face.cancel, numbers)


@downloads.command("clear")
@with_engine
async def clear(run: Run) -> None:
    """Forget those that are complete, failed or cancelled. The files stay."""
    cleared = await run.face.clear()
    run.out.result(cleared)
    run.out.say(f"{words.count(cleared, 'download')} cleared.")


async def _each(run: Run, change: Callable[[int], Awaitable[None]], numbers: Sequence[int]) -> None:
    for number in numbers:
        await change(number)
    views = await run.face.downloads()
    if not {view.id for view in views}.issuperset(numbers):  # files within folders
        for folder in [view.id for view in views if view.files]:
            views += await run.face.downloads_in(folder)
    changed = [view for view in views if view.id in numbers]
    run.out.result(changed)
    for view in changed:
        run.out.say(f"{view.id}  {words.name(view)}: {view.state.value}")


async def _list(run: Run, watch: bool) -> None:
    _show(run, await (follow(run) if watch else run.face.downloads()))


def _show(run: Run, views: Sequence[DownloadView]) -> None:
    run.out.result(views)
    if not views:
        run.out.say("There are no downloads.")
        return
    run.out.table(("#", "Name", ">Size", "State", "Folder"), [_row(view) for view in views])


def _row(view: DownloadView) -> tuple[str, ...]:
    return (
        str(view.id),
        words.name(view),
        words.size(view.size),
        words.progress(view),
        display(view.folder),
    )


@click.command()
@with_engine
@_numbers
@click.argument("priority", type=click.Choice([each.value for each in Priority]))
async def priority(run: Run, numbers: tuple[int, ...], priority: str) -> None:
    """Let downloads go before others, or after them.

    What is more urgent begins first, and gets most of what a source or the download limit gives. The number
    of a folder stands for all its files.
    """
    for number in numbers:
        await run.face.prioritise(number, Priority(priority))
    run.out.result([view for view in await run.face.downloads() if view.id in numbers])
    for number in numbers:
        run.out.say(f"{number}  {priority}")


@click.command()
@with_engine
async def uploads(run: Run) -> None:
    """Show who is being served, and who waits for a slot."""
    views = await run.face.uploads()
    run.out.result(views)
    if not views:
        hint = " To serve people, stay online with `p2pshare serve`." if run.here else ""
        run.out.say(f"Nobody is being served just now.{hint}")
        return
    rows = [
        (
            display(view.nick) if view.group == "everyone" else f"{display(view.nick)} ({view.group})",
            _waits(view) if view.position else words.rate(view.rate),
            words.size(view.sent_bytes),
            ", ".join(display(name) for name in view.files),
        )
        for view in views
    ]
    run.out.table(("Who", "Rate", ">Sent", "Files"), rows)


def _waits(view: UploadView) -> str:
    when = f", {words.span(view.wait_s)} to go" if view.wait_s else ""
    return f"waits as number {view.position}{when}"
