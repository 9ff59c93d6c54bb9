"""play: hear or see a file while it arrives."""

from __future__ import annotations

import click
import trio

from client.cli import words as in_words
from client.cli.finding import best_match, names_in
from client.cli.follow import GOES_ON, KEPT, follow
from client.cli.players import Player, find_player, play_with
from client.cli.run import Ending, Exit, Run, with_engine
from client.engine.status import DownloadState, PlayView
from p2pshare.errors import Reason, Refused
from p2pshare.names import display


@click.command()
@with_engine
@click.argument("what", nargs=-1)
@click.option("-d", "--download", "number", type=int, metavar="NUMBER", help="Play this download.")
@click.option("--player", metavar="NAME", help="mpv, vlc, browser, or a program that is given the address.")
@click.option("--print", "only_print", is_flag=True, help="Open no player, only print the address.")
@click.option("-y", "--yes", is_flag=True, help="Take the best match of a query without asking.")
async def play(
    run: Run, what: tuple[str, ...], number: int | None, player: str | None, only_print: bool, yes: bool
) -> None:
    """Play a file while it arrives: a number of the last search, a magnet: link, PERSON/folder/file, the path
    of a file that you share, or the best match of a query.

    It is downloaded as by `get`, with what the player needs first. mpv, VLC or your browser is opened,
    whichever is there; any other player on this machine can open the address, too. Ctrl-C ends the player,
    not the download.
    """
    if bool(what) == (number is not None):
        raise click.UsageError("Say what to play, or which download.")
    only_print = only_print or run.out.as_json
    program = None if only_print else find_player(player)
    if number is not None:
        view = await run.face.play_download(number)
    else:
        view = await _chosen(run, what, yes)
    run.out.result(view)
    if only_print:
        run.out.say(view.url)
        await _stay(run, view)
        return
    run.out.say(f"Playing {display(view.name)} ({in_words.size(view.size)}) at {view.url}")
    if program is None:
        run.out.say("Open this address with a player of yours: neither mpv nor VLC nor a browser was found.")
        await _stay(run, view)
    else:
        await _play(run, view, program)


async def _chosen(run: Run, what: tuple[str, ...], yes: bool) -> PlayView:
    path = trio.Path(" ".join(what))
    if await path.is_file():
        return await run.face.play(str(await path.absolute()))
    await run.online(lan_is_enough=True)
    named = names_in(what)
    if named is not None:
        if len(named) > 1:
            raise Ending("One file is played at a time. Name one.", Exit.USAGE)
        return await run.face.play(named[0])
    text = " ".join(what)
    if "/" in text:
        try:
            return await run.face.play(text)
        except Refused as error:
            if error.reason is not Reason.NO_SUCH_PERSON:
                raise
    best = await best_match(run, text, "Play", yes)
    return await run.face.play(str(best.number))


async def _play(run: Run, view: PlayView, player: Player) -> None:
    after = f"Playing ended. {_what_becomes_of(run, view)}".rstrip()
    run.when_interrupted = after
    async with trio.open_nursery() as nursery:

        async def tell() -> None:
            if view.download is not None and view.download.state is not DownloadState.COMPLETE:
                await follow(run, [view.download.id], when_interrupted=after)
                run.when_interrupted = "Playing ended."

        nursery.start_soon(tell)
        code = await play_with(player, view.url)
        if code is None:  # a browser: nobody knows when it is done
            await _stay(run, view)
        nursery.cancel_scope.cancel()
    if code:
        raise Ending(f"{player.name} ended with code {code}. Try another one with --player.\n{after}")
    run.out.say(run.when_interrupted)


async def _stay(run: Run, view: PlayView) -> None:
    """The address is good as long as the engine runs."""
    if not run.here:
        return
    run.when_interrupted = f"The address is gone. {_what_becomes_of(run, view)}".rstrip()
    run.out.note("Ctrl-C ends it.")
    await trio.sleep_forever()


def _what_becomes_of(run: Run, view: PlayView) -> str:
    if view.download is None or view.download.state is DownloadState.COMPLETE:
        return ""
    return KEPT if run.here else GOES_ON
