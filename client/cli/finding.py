"""get, browse, link: from a few words to the file."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click
import trio

from client.cli import words as in_words
from client.cli.follow import follow
from client.cli.run import Ending, Exit, Run, with_engine
from client.engine.status import DownloadState, DownloadView, ResultView
from p2pshare.errors import Reason, Refused
from p2pshare.names import display

NUMBERS = re.compile(r"(\d+)(?:-(\d+))?")
MAGNET = "magnet:"
BEST_OF = 10  # results looked at when only the best is wanted
AT_ONCE_MAX = 1_000  # results named by one range


@click.command()
@with_engine
@click.argument("what", nargs=-1, required=True)
@click.option("-o", "--to", "target", help="A folder (with a final /), or the name of the finished file.")
@click.option("-y", "--yes", is_flag=True, help="Take the best match of a query without asking.")
@click.option(
    "-b", "--background", is_flag=True, help="Leave it to the p2pshare that runs, and return at once."
)
async def get(run: Run, what: tuple[str, ...], target: str | None, yes: bool, background: bool) -> None:
    """Download numbers of the last search (3 or 2-5), magnet: links, PERSON/folder/file, or the best match of
    a query, and follow the progress.

    Ctrl-C loses nothing: the download goes on whenever p2pshare runs.
    """
    if background and run.here:
        raise Ending("No p2pshare runs in the background. Start one with `p2pshare serve`.", Exit.USAGE)
    target = prepared(target)
    await run.online(lan_is_enough=True)
    named = names_in(what)
    if named is None:
        started = await by_words(run, " ".join(what), target, yes)
    else:
        started = tuple([view for one in named for view in await run.face.get(one, target)])
    if background:
        run.out.result(started)
        for view in started:
            run.out.say(f"{in_words.name(view)} is download {view.id}.")
        return
    views = await follow(run, [view.id for view in started])
    run.out.result(views)
    tell_outcome(run, views)


async def by_words(run: Run, text: str, target: str | None, yes: bool) -> tuple[DownloadView, ...]:
    """PERSON/path, if there is such a person; else the best match of a search."""
    if "/" in text:
        try:
            return await run.face.get(text, target)
        except Refused as error:
            if error.reason is not Reason.NO_SUCH_PERSON:
                raise
    best = await best_match(run, text, "Download", yes)
    if best.have:
        run.out.note(f"You have {_found(best)} already. To get it again: p2pshare get {best.number}")
        return ()
    return await run.face.get(str(best.number), target)


async def best_match(run: Run, text: str, to_do: str, yes: bool) -> ResultView:
    """Of a search. The person is asked first, unless `yes` or it is here already. Raises Ending."""
    view = await run.face.search(text, limit=BEST_OF)
    if not view.results:
        raise Ending(f"Nothing was found for {display(text)}.", Exit.NOTHING_FOUND)
    if view.instead:  # a guess is for a person to look at, not to be fetched
        meant = display(view.suggestion)
        raise Ending(f"Nothing was found for {display(text)}. Did you mean {meant}?", Exit.NOTHING_FOUND)
    best = view.results[0]
    if best.have:
        return best
    if yes:
        run.out.say(_found(best))
    elif not await run.confirm(f"{to_do} {_found(best)}?"):
        raise Ending("Nothing was downloaded.")
    return best


def _found(result: ResultView) -> str:
    sources = in_words.count(result.source_count, "source")
    return f"{display(result.name)} ({in_words.size(result.size)}, {sources})"


def names_in(what: tuple[str, ...]) -> list[str] | None:
    """Results and links, if the arguments are nothing else. A range becomes its numbers. Raises Ending."""
    if what[0].lower().startswith("p2pshare:"):
        raise Ending("This is an invite to an index server. Use it with `p2pshare join LINK`.", Exit.USAGE)
    named: list[str] = []
    for text in what:
        if match := NUMBERS.fullmatch(text):
            first, last = int(match[1]), int(match[2] or match[1])
            if not first <= last < first + AT_ONCE_MAX:
                raise Ending(f"{text} is no range of results.", Exit.USAGE)
            named += [str(number) for number in range(first, last + 1)]
        elif text.lower().startswith(MAGNET):
            named.append(text)
        else:
            return None
    return named


def tell_outcome(run: Run, views: tuple[DownloadView, ...]) -> None:
    """Raises Ending if anything was not completed."""
    for view in views:
        if view.state is DownloadState.COMPLETE:
            sources = sum(source.done_bytes > 0 for source in view.sources)
            origin = f" from {in_words.count(sources, 'source')}" if sources else ""
            took = in_words.took(max(0.0, (view.finished_at or 0.0) - view.added_at), view.size)
            what = in_words.size(view.size)
            if view.files:
                what = f"{in_words.count(view.files, 'file')}, {what}"
            run.out.say(f"Saved {display(view.target)} ({what}{origin} {took}).")
    failed = [view for view in views if view.state is not DownloadState.COMPLETE]
    if failed:
        sentences = [
            f"{in_words.name(view)}: {display(view.problem) or view.state.value}"
            + (f": p2pshare downloads resume {view.id}" if view.state is DownloadState.PAUSED else "")
            for view in failed
        ]
        raise Ending("\n".join(sentences))
    if run.here and views:
        run.out.say("Others can get it from you while `p2pshare serve` runs.")


@click.command()
@with_engine
@click.argument("person")
@click.argument("folder", default="")
async def browse(run: Run, person: str, folder: str) -> None:
    """Look into what PERSON (a nick or a key) shares, or into one FOLDER of it."""
    await run.online(lan_is_enough=True)
    person, _, start = person.partition("/")  # as `get` takes it
    folder = "/".join(part for part in (start, folder) if part).strip("/")
    view = await run.face.browse(person, folder)
    run.out.result(view)
    rows = [
        (
            display(entry.name) + ("/" if entry.is_folder else ""),
            in_words.size(entry.size),
            in_words.count(entry.files, "file") if entry.is_folder else in_words.about("", entry.tags),
        )
        for entry in view.entries
    ]
    run.out.table(("Name", ">Size", "About"), rows)
    if run.out.live:
        path = "/".join(part for part in (view.nick, view.folder, "NAME") if part)
        whole = f"{in_words.count(view.files, 'file')}, {in_words.size(view.bytes)}"
        run.out.note(f"{whole}. Download with: p2pshare get '{display(path)}'")


@click.command()
@with_engine
@click.argument("what", default="me")
async def link(run: Run, what: str) -> None:
    """Make a link to WHAT: a shared file by its path, the number of a result, or a download. Without WHAT: an
    invite to your index server, for somebody who shall join it."""
    if what == "me":
        await run.online()
    elif await trio.Path(what).exists():
        what = str(await trio.Path(what).absolute())
    made = await run.face.link(what)
    run.out.result(made)
    run.out.say(made)


def query_of(words: tuple[str, ...]) -> str:
    """The shell took the quotation marks away: an argument with a space among others is a phrase."""
    for word in words:
        if word.startswith("--"):
            raise click.NoSuchOption(word)
    if len(words) == 1:
        return words[0]
    return " ".join(f'"{word}"' if " " in word and '"' not in word else word for word in words)


def prepared(target: str | None) -> str | None:
    """The full path, as the engine may run elsewhere. A final slash means a folder; it is made if need be."""
    if target is None:
        return None
    path = Path(target).expanduser().absolute()
    if not target.endswith(("/", os.sep)):
        return str(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Ending(f"The folder {display(str(path))} cannot be made: {error.strerror}.") from None
    return f"{path}{os.sep}"
