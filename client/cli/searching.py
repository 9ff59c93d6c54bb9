"""search: from a few words to a list that says enough to choose from."""

from __future__ import annotations

import re

import click

from client.cli import words as in_words
from client.cli.finding import query_of
from client.cli.run import Ending, Exit, Run, with_engine
from client.engine.search_view import FacetView, SearchFilters, SearchView
from client.engine.status import ResultView
from p2pshare.kinds import FileKind
from p2pshare.names import display
from p2pshare.wire.fields import SortBy

SPAN = re.compile(r"(\d{1,4})?(\.\.)?(\d{1,4})?")
FACETS_SHOWN = 6  # of each sort: what fits a line


@click.command(context_settings={"ignore_unknown_options": True})
@with_engine
@click.argument("words", nargs=-1)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice([kind.name.lower() for kind in FileKind]),
    help="Only this kind; may be given again.",
)
@click.option("--ext", "extensions", multiple=True, help="Only this extension; may be given again.")
@click.option(
    "--min-size",
    type=in_words.parse_size,
    metavar="SIZE",
    default="0",
    help="At least so large: 700k, 1.5GB, 4GiB.",
)
@click.option("--max-size", type=in_words.parse_size, metavar="SIZE", help="At most so large.")
@click.option(
    "--min-length",
    type=in_words.parse_length,
    metavar="LENGTH",
    default="0",
    help="Plays at least so long: 90s, 3min, 3:45.",
)
@click.option("--max-length", type=in_words.parse_length, metavar="LENGTH", help="Plays at most so long.")
@click.option(
    "--min-bitrate", type=click.IntRange(0), default=0, metavar="KBITS", help="At least so many kbit/s."
)
@click.option("--lossless", is_flag=True, help="Only audio that is stored without loss.")
@click.option("--year", metavar="YEAR", default="", help="Made then: 1959, 1957..1960 or 1957.. .")
@click.option("--from", "person", metavar="PERSON", help="Only what somebody (a nick or a key) offers.")
@click.option("--contacts", is_flag=True, help="Only what people in your groups contacts or trusted offer.")
@click.option("--free", is_flag=True, help="Only what somebody holds who has a free slot now.")
@click.option(
    "--min-sources", type=click.IntRange(0), default=0, metavar="N", help="At least N people hold it."
)
@click.option(
    "--sort",
    type=click.Choice([sort.name.lower() for sort in SortBy]),
    default="relevance",
    show_default=True,
    help="In which order.",
)
@click.option("--limit", type=click.IntRange(1), default=30, show_default=True, help="Show at most so many.")
@click.option("--next", "go_on", is_flag=True, help="The next page of the last search.")
async def search(
    run: Run,
    words: tuple[str, ...],
    kinds: tuple[str, ...],
    extensions: tuple[str, ...],
    min_size: int,
    max_size: int | None,
    min_length: int,
    max_length: int | None,
    min_bitrate: int,
    lossless: bool,
    year: str,
    person: str | None,
    contacts: bool,
    free: bool,
    min_sources: int,
    sort: str,
    limit: int,
    go_on: bool,
) -> None:
    """Search every index server. All words must fit; "quoted words" stand together, -word must not occur, OR
    stands between alternatives, (...) around them, and begin* for every word that begins so.

    Filters can be typed, too, as kind:audio ext:flac size:10m..2g length:3min.. bitrate:256.. year:1957..1960
    lossless: free: contacts: from:NICK sources:2.. and -lossless: for the opposite; `size:>10m` needs quotes
    in most shells. The numbers of the results can be given to `p2pshare get` until the next search.
    """
    if go_on == bool(words or person or contacts):
        raise Ending("Name what to search for, or go on with the last search by --next alone.", Exit.USAGE)
    await run.online()
    if go_on:
        view = await run.face.search_more(limit)
    else:
        year_min, year_max = years_in(year)
        filters = SearchFilters(
            kinds=kinds,
            extensions=tuple(
                extension.lstrip(".").lower() for text in extensions for extension in text.split(",")
            ),
            size_min=min_size,
            size_max=max_size,
            length_min_s=min_length,
            length_max_s=max_length,
            bitrate_min_kbps=min_bitrate,
            year_min=year_min,
            year_max=year_max,
            lossless=lossless,
            free=free,
            sources_min=min_sources,
        )
        typed = [query_of(words)] if words else []
        typed += [f"from:{person}"] if person else []
        typed += ["contacts:"] if contacts else []
        view = await run.face.search(" ".join(typed), filters, sort, limit)
    run.out.result(view)
    for problem in view.problems:
        run.out.note(display(problem))
    if view.hidden:
        hidden = in_words.count(view.hidden, "result")
        whose = "this server's rules" if view.servers_asked == 1 else "the rules of an index server"
        run.out.note(f"{hidden} hidden by {whose}.")
    if not view.results:
        more = "more " if go_on else ""
        raise Ending(f"Nothing {more}was found for {display(view.query)}.", Exit.NOTHING_FOUND)
    tell_suggestion(run, view)
    run.out.table(
        ("#", "Name", ">Size", "About", ">Sources", "Slots", ""),
        [row_of(result) for result in view.results],
    )
    if run.out.live:
        tell_facets(run, view)
        last = view.results[-1].number
        shown = f"{view.results[0].number}-{last} of {in_words.count(max(view.total, last), 'result')}"
        more = " More with: p2pshare search --next" if view.more else ""
        run.out.note(f"{shown}. Download one with: p2pshare get NUMBER.{more}")


def years_in(text: str) -> tuple[int, int | None]:
    """The first and the last year of "1959", "1957..1960", "1957.." or "..1960". Raises Ending."""
    match = SPAN.fullmatch(text)
    if match is None:
        raise Ending(f"{display(text)} is no year. Write it as 1959, 1957..1960 or 1957.. .", Exit.USAGE)
    first, span, last = match.groups()
    if not span:
        return (int(first), int(first)) if first else (0, None)
    return int(first or 0), int(last) if last else None


def tell_suggestion(run: Run, view: SearchView) -> None:
    """Did you mean."""
    if not view.suggestion:
        return
    if view.instead:
        run.out.note(f"Nothing was found for {display(view.query)}. This is {display(view.suggestion)}:")
    else:
        run.out.note(f"Did you mean {display(view.suggestion)}?")


def tell_facets(run: Run, view: SearchView) -> None:
    """What all results are like, as it can be typed to narrow them down."""
    facets = view.facets
    lines = (("kind:", facets.kinds), ("ext:", facets.extensions), ("size:", facets.sizes))
    told = [_line(key, counts) for key, counts in lines if len(counts) > 1]
    if told:
        run.out.note("Narrow it down:  " + "   ".join(told))


def _line(key: str, counts: tuple[FacetView, ...]) -> str:
    return key + ", ".join(f"{display(each.name)} ({each.files:,})" for each in counts[:FACETS_SHOWN])


def row_of(result: ResultView) -> tuple[str, ...]:
    return (
        str(result.number),
        display(result.name),
        in_words.size(result.size),
        in_words.about(result.kind, result.tags),
        str(result.source_count),
        slots(result),
        ", ".join(marks(result)),
    )


def slots(result: ResultView) -> str:
    """How soon it can begin: "2 free", "about 3:07 min"; empty if nobody said."""
    if result.free:
        return f"{result.free:,} free"
    waits = [source.wait_s for source in result.sources if source.wait_s is not None]
    return f"about {in_words.span(min(waits))}" if waits else ""


def marks(result: ResultView) -> list[str]:
    """What else helps to choose."""
    told = ["have"] if result.have else ["had"] if result.had else []
    if result.contacts:
        told.append(in_words.count(result.contacts, "contact"))
    speeds = {source.speed for source in result.sources}
    told += [speed.replace("_", " ") for speed in ("very_fast", "fast") if speed in speeds][:1]
    if result.names:
        told.append(f"also {display(result.names[0])}")
    told += [f"doubtful: {doubt.replace('_', ' ')}" for doubt in result.doubts]
    return told
