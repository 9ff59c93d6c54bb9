"""wish: searches that go on."""

from __future__ import annotations

import time

import click
import trio

from client.cli import words as in_words
from client.cli.finding import query_of
from client.cli.run import Ending, Exit, Run, with_engine
from client.engine.status import WishHitView, WishView
from p2pshare.names import display

ARRIVE_S = 2.0
LOOK_S = 0.1


@click.group(invoke_without_command=True)
@click.pass_context
def wish(ctx: click.Context) -> None:
    """Be told when somebody offers what you look for, also if that is while you are away.

    Your index servers keep each wish and hold it against everything new. `p2pshare wish hits` shows what they
    found; `p2pshare serve` says so when it happens.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


@wish.command(context_settings={"ignore_unknown_options": True})
@with_engine
@click.argument("words", nargs=-1, required=True)
@click.option("--get", "automatic", is_flag=True, help="Download what is found, within the limits.")
async def add(run: Run, words: tuple[str, ...], automatic: bool) -> None:
    """Wish for what a search would find, as in: wish add metropolis 1927 kind:video size:>100m

    What is there already is found first. With --get it is downloaded whenever p2pshare runs, within the
    settings wishes.size_max, wishes.per_day and wishes.kinds.
    """
    await run.online()
    view = await run.face.add_wish(query_of(words), automatic)
    run.out.result(view)
    then = " What is found is downloaded by itself." if automatic else " See `p2pshare wish hits`."
    run.out.say(f"Wish {view.id} is kept.{then}")
    if view.problem:
        run.out.note(display(view.problem))


@wish.command("list")
@with_engine
async def list_(run: Run) -> None:
    """List your wishes; the same as `p2pshare wish`."""
    views = await run.face.wishes()
    run.out.result(views)
    if not views:
        run.out.say("You wish for nothing. Begin with: p2pshare wish add WORDS")
        return
    run.out.table(("#", "Wish", ">Found", ">New", ""), [_row(view) for view in views])


def _row(view: WishView) -> tuple[str, ...]:
    remarks = ["downloaded by itself"] if view.automatic else []
    remarks += [display(view.problem)] if view.problem else []
    return str(view.id), display(view.query), f"{view.hits:,}", f"{view.new:,}", "; ".join(remarks)


@wish.command()
@with_engine
@click.argument("numbers", nargs=-1, required=True, type=click.IntRange(1))
async def remove(run: Run, numbers: tuple[int, ...]) -> None:
    """Wish for these no longer: NUMBERS as `p2pshare wish list` shows them. Downloads go on."""
    await run.face.remove_wishes(numbers)
    run.out.result(numbers)
    run.out.say(f"{in_words.count(len(numbers), 'wish', 'wishes')} removed.")


@wish.command()
@with_engine
@click.argument("number", required=False, type=click.IntRange(1))
@click.option("--all", "again", is_flag=True, help="Also what you have been shown before.")
async def hits(run: Run, number: int | None, again: bool) -> None:
    """Show what was found since you last looked, for all your wishes or for one.

    The numbers can be given to `p2pshare get` until the next search.
    """
    await run.settled()
    if run.here:  # whoever was away is told within moments of coming online
        with trio.move_on_after(ARRIVE_S):
            while not (await run.face.status()).wish_hits_new:  # noqa: ASYNC110  # perhaps in another process
                await trio.sleep(LOOK_S)
    views = await run.face.wish_hits(number, again)
    run.out.result(views)
    if not views:
        more = "" if again else " `p2pshare wish hits --all` shows what was found before."
        raise Ending(f"Nothing new was found.{more}", Exit.NOTHING_FOUND)
    run.out.table(("#", "Name", ">Size", "About", "Wish", "Found", ""), [_hit(view) for view in views])
    if run.out.live:
        run.out.note("Download one with: p2pshare get NUMBER")


def _hit(view: WishHitView) -> tuple[str, ...]:
    result = view.result
    ago = f"{in_words.span(max(0.0, time.time() - view.found_at))} ago"
    outcome = f"download {view.download}" if view.download is not None else display(view.note)
    return (
        str(result.number),
        display(result.name),
        in_words.size(result.size),
        in_words.about(result.kind, result.tags),
        display(view.query),
        ago,
        "have" if result.have and not outcome else outcome,
    )
