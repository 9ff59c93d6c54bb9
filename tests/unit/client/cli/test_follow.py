from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from client.cli.follow import drawing, follow
from client.cli.output import Output
from client.cli.run import Run
from client.engine.status import DownloadState, DownloadView
from p2pshare.errors import Disconnected
from tests.fake_face import FakeFace, download_view

if TYPE_CHECKING:
    import pytest

    from tests.unit.client.cli.conftest import Terminal


def drawn(*views: DownloadView, height: int = 24) -> str:
    console = Console(width=120, height=height, force_terminal=False)
    with console.capture() as capture:
        console.print(drawing(views, 120, height))
    return capture.get()


def test_a_single_download_shows_its_sources() -> None:
    text = drawn(download_view(1, "so\x1b[2Jng.flac", DownloadState.RUNNING, 0.5))
    assert "so\\x1b[2Jng.flac" in text
    assert "50 %" in text
    assert "anna" in text
    assert "1.0 MB/s" in text


def test_markup_in_a_name_is_only_text() -> None:
    assert "[bold]x[/bold].flac" in drawn(download_view(1, "[bold]x[/bold].flac", DownloadState.RUNNING))


def test_many_downloads_fit_the_height_and_are_added_up() -> None:
    views = [download_view(n, f"{n}.flac", DownloadState.RUNNING, 0.5) for n in range(1, 41)]
    views[0] = replace(views[0], state=DownloadState.COMPLETE)
    text = drawn(*views, height=14)
    assert "1 of 40 files, 60.0 MB of 120 MB, 39.0 MB/s" in text
    assert len(text.splitlines()) <= 14


def test_nothing_to_draw_is_no_error() -> None:
    assert drawn().strip() == ""


async def test_on_a_terminal_the_bar_moves_and_is_gone_at_the_end(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen = io.StringIO()
    out = Output(console=Console(file=screen, force_terminal=True, width=80))
    face = FakeFace(step=0.25, going={1: download_view(1, "song.flac", DownloadState.LOOKING)})
    (view,) = await follow(Run(face, True, out, terminal.front), [1])
    assert view.state is DownloadState.COMPLETE
    assert "25 %" in screen.getvalue()
    assert "75 %" in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[2K\x1b[?25h\r")  # wiped, and the cursor is back


class Gone(FakeFace):
    async def downloads(self) -> tuple[DownloadView, ...]:
        raise Disconnected


def test_when_the_engine_of_another_command_ends_the_way_on_is_told(terminal: Terminal) -> None:
    terminal.face = Gone()
    result = terminal.type("get", "anna/song.flac")
    assert result.exit_code == 4
    assert "p2pshare downloads --watch" in result.stderr
