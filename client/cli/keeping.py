"""check and repair: whether the disk still holds what is shared; distrusted: who sent wrong data."""

from __future__ import annotations

import time

import click
import trio

from client.cli import words
from client.cli.follow import follow
from client.cli.run import Ending, Exit, Run, with_engine
from client.engine.status import CheckView, DistrustedView, DownloadState
from p2pshare.names import display

LOOK_EVERY_S = 0.2
SAY_EVERY_S = 5.0
SHOWN_MAX = 20  # damaged files named; --json names them all
GOES_ON = "The check goes on in the p2pshare that runs. See `p2pshare status`."


@click.command()
@with_engine
@click.argument("path", required=False)
async def check(run: Run, path: str | None) -> None:
    """See whether the disk still holds what you share: a file, a folder, or all of it, read to the last byte.

    It also happens by itself, little by little (`check_days` in the settings). Ends with 1 if something has
    rotted; `p2pshare repair` mends it.
    """
    run.when_interrupted = "" if run.here else GOES_ON
    view = await run.face.check(await _place(run, path))
    said_at = trio.current_time()
    while view.running:
        await trio.sleep(LOOK_EVERY_S)
        view = await run.face.checks()
        if view.running and trio.current_time() - said_at >= SAY_EVERY_S:
            said_at = trio.current_time()
            run.out.say(f"{words.percent(view.bytes_done, view.bytes)}: {display(view.name)}")
    run.out.result(view)
    for line in _verdict(view):
        run.out.say(line)
    if view.rotten:
        raise Ending("`p2pshare repair` mends them with pieces from others who have them.")


async def _place(run: Run, path: str | None) -> str | None:
    """A path as the engine knows it; a share may be given by the name that others see."""
    if path is None:
        return None
    shared = {view.name: view.path for view in (await run.face.status()).shares}
    return shared.get(path) or str(await trio.Path(path).absolute())


def _verdict(view: CheckView) -> list[str]:
    lines = [f"{words.count(view.files, 'file')} checked, {words.size(view.bytes)}."]
    if view.changed:
        lines.append(f"{words.count(view.changed, 'file')} edited meanwhile: hashed again, nothing is wrong.")
    for path in view.unreadable[:SHOWN_MAX]:
        lines.append(f"{display(path)} cannot be read. Check who may read it.")
    if not view.rotten:
        return [*lines, "All that could be read is as it should be."]
    lines.append(f"{rotten(len(view.rotten))}:")
    for found in view.rotten[:SHOWN_MAX]:
        lines.append(f"  {display(found.path)}: {words.count(found.bad_pieces, 'piece')} damaged")
    if (more := len(view.rotten) - SHOWN_MAX) > 0:
        lines.append(f"  and {more:,} more")
    return lines


def rotten(files: int) -> str:
    """ "2 files have rotted"."""
    return f"{words.count(files, 'file')} {'has' if files == 1 else 'have'} rotted"


@click.command()
@with_engine
@click.argument("path", required=False)
@click.option("--keep-old", is_flag=True, help="Keep the damaged file beside it, as NAME.rotten.")
async def repair(run: Run, path: str | None, keep_old: bool) -> None:
    """Mend what a check found damaged, with pieces from others: a shared file, a folder, or all.

    Only the bad pieces are fetched, from people who hold the same file. The damaged file stays as it is until
    a whole one, verified, takes its place in one step; one that you edited meanwhile is left alone.
    """
    views = await run.face.repair(None if path == "all" else await _place(run, path), keep_old)
    if not views:
        run.out.result(())
        run.out.say("Nothing there is known to be damaged. `p2pshare check` looks for damage.")
        return
    run.out.say(f"Mending {words.count(len(views), 'file')}.")
    await run.online()
    done = await follow(run, [view.id for view in views])
    run.out.result(done)
    mended = sum(view.state is DownloadState.COMPLETE for view in done)
    run.out.say(f"{words.count(mended, 'file')} mended.")
    for view in done:
        if view.state is not DownloadState.COMPLETE:
            run.out.note(f"{display(view.name)}: {words.progress(view)}")
    if mended < len(done):
        raise Ending("", Exit.FAILED)


@click.group(invoke_without_command=True)
@click.pass_context
def distrusted(ctx: click.Context) -> None:
    """Show who sent wrong data, or trust them again. They are left alone for a while, longer each time."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@distrusted.command("list")
@with_engine
async def list_(run: Run) -> None:
    """List them; the same as `p2pshare distrusted`."""
    views = await run.face.distrusted()
    run.out.result(views)
    if not views:
        run.out.say("Nobody sent wrong data lately.")
        return
    run.out.table(("Who", ">Files", "Last", "Asked again"), [_row(view) for view in views])


def _row(view: DistrustedView) -> tuple[str, ...]:
    now = time.time()
    again = f"in {words.span(view.until - now)}" if view.until > now else "now, but not for those files"
    return (
        display(view.nick) or view.person,
        f"{view.files:,}",
        f"{words.span(max(0.0, now - view.last_at))} ago",
        again,
    )


@distrusted.command("trust")
@with_engine
@click.argument("who")
async def trust(run: Run, who: str) -> None:
    """Ask somebody again, by nick or key; `all` for everybody."""
    count = await run.face.trust(who)
    run.out.result(count)
    run.out.say(f"{words.count(count, 'person', 'people')} trusted again.")
