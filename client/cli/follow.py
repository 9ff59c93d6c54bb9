"""Follows downloads until none goes on by itself: bars on a terminal, a line once in a while elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import trio
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from client.cli import words
from client.cli.run import Ending, Exit, Run
from client.engine.status import DownloadState, DownloadView
from p2pshare.errors import Disconnected
from p2pshare.names import display

DRAW_EVERY_S = 0.2
LINE_EVERY_S = 5.0
OVER = (DownloadState.COMPLETE, DownloadState.FAILED, DownloadState.CANCELLED)
WAITS_FOR_PERSON = (*OVER, DownloadState.PAUSED, DownloadState.STUCK)
KEPT = "Nothing is lost: what has arrived is kept, and the download goes on whenever p2pshare runs."
ENDED = "The p2pshare that did the work has ended. Nothing is lost: go on with `p2pshare downloads --watch`."
GOES_ON = "The download goes on in the p2pshare that runs. See `p2pshare downloads`."


async def follow(
    run: Run, ids: Sequence[int] | None = None, *, when_interrupted: str | None = None
) -> tuple[DownloadView, ...]:
    """The downloads once each is over or needs a person. All downloads if `ids` is None."""
    run.when_interrupted = when_interrupted or (f"Stopped. {KEPT}" if run.here else GOES_ON)
    if not run.out.live:
        return await _follow_in_lines(run, ids)
    with Live(console=run.out.console, auto_refresh=False, transient=True) as screen:
        while True:
            views = await _look(run, ids)
            screen.update(drawing(views, run.out.console.width, run.out.console.height), refresh=True)
            if all(view.state in WAITS_FOR_PERSON for view in views):
                return views
            await trio.sleep(DRAW_EVERY_S)


async def _follow_in_lines(run: Run, ids: Sequence[int] | None) -> tuple[DownloadView, ...]:
    told: dict[int, tuple[DownloadState, float]] = {}
    while True:
        views = await _look(run, ids)
        now = trio.current_time()
        for view in views:
            state, at = told.get(view.id, (None, 0.0))
            going_on = view.state not in WAITS_FOR_PERSON
            if going_on and (state is not view.state or now - at >= LINE_EVERY_S):
                told[view.id] = view.state, now
                run.out.say(f"{words.name(view)}: {words.progress(view)}")
        if all(view.state in WAITS_FOR_PERSON for view in views):
            return views
        await trio.sleep(DRAW_EVERY_S)


async def _look(run: Run, ids: Sequence[int] | None) -> tuple[DownloadView, ...]:
    try:
        views = await run.face.downloads()
    except Disconnected:
        raise Ending(ENDED, Exit.UNREACHABLE) from None
    return views if ids is None else tuple(view for view in views if view.id in ids)


def drawing(views: Sequence[DownloadView], width: int, height: int) -> RenderableType:
    """What fits a terminal of this size: the whole, what goes on now, and the sources of a lone download."""
    going_on = [view for view in views if view.state not in WAITS_FOR_PERSON]
    bars = Table.grid(padding=(0, 2, 0, 0), expand=True)
    bars.add_column(max_width=max(12, width // 3 - 4), no_wrap=True, overflow="ellipsis")
    bars.add_column(ratio=1)
    bars.add_column(no_wrap=True)
    if len(views) > 1:
        done, whole = sum(view.done_bytes for view in views), sum(view.size for view in views)
        over = sum(view.files_done or view.state is DownloadState.COMPLETE for view in views)
        files = sum(view.files or 1 for view in views)
        speed = words.rate(sum(view.rate for view in going_on))
        text = f"{over:,} of {words.count(files, 'file')}, {words.size(done)} of {words.size(whole)}, {speed}"
        bars.add_row(Text("All together"), ProgressBar(total=whole or 1, completed=done), Text(text))
    for view in sorted(going_on, key=lambda view: -view.rate)[: max(1, height - 4)]:
        bar = ProgressBar(total=view.size or 1, completed=view.done_bytes)
        text = words.speed(view) if view.state is DownloadState.RUNNING else words.progress(view)
        bars.add_row(Text(words.name(view)), bar, Text(text))
    return Group(bars, *(_sources(view, height - 4) for view in going_on if len(views) == 1))


def _sources(view: DownloadView, lines: int) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for source in sorted(view.sources, key=lambda source: -source.done_bytes)[: max(0, lines)]:
        word = "sent wrong data" if source.state == "lied" else source.state
        state = f"{word}, {source.position}." if source.position else word
        speed = words.rate(source.rate) if source.state == "downloading" else ""
        grid.add_row(
            *(
                Text(f"  {cell}")
                for cell in (display(source.nick), state, words.size(source.done_bytes), speed)
            )
        )
    return grid
