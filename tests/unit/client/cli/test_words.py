from __future__ import annotations

from dataclasses import replace

import click
import pytest

from client.cli import words
from client.engine.status import DownloadState, TagsView
from tests.fake_face import download_view


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1536, "1.5 kB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (268_435_456, "268 MB"),
        (10**18, "1.0 EB"),
        (10**22, "10000 EB"),
    ],
)
def test_sizes_are_short(count: int, text: str) -> None:
    assert words.size(count) == text


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("700k", 700_000),
        ("1.5GB", 1_500_000_000),
        ("1.5 gb", 1_500_000_000),
        ("4GiB", 4 << 30),
        ("12B", 12),
    ],
)
def test_sizes_can_be_typed(text: str, count: int) -> None:
    assert words.parse_size(text) == count


@pytest.mark.parametrize("text", ["", "big", "-1", "1x", "1 0", "1.", "k"])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match="700k"):
        words.parse_size(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (-1, ""),
        (0.2, "0 s"),
        (59.4, "59 s"),
        (59.6, "1:00 min"),
        (187, "3:07 min"),
        (7_500, "2:05 h"),
        (400_000, "4 days"),
    ],
)
def test_times_are_short(seconds: float | None, text: str) -> None:
    assert words.span(seconds) == text


def test_a_file_is_not_complete_before_its_last_byte() -> None:
    assert words.percent(999_999, 1_000_000) == "99 %"
    assert words.percent(5, 5) == "100 %"
    assert words.percent(0, 0) == "100 %"


def test_tags_are_one_line_that_steers_no_terminal() -> None:
    tags = TagsView(artist="Ba\x1bnd", title="Song", length_s=3_725, bitrate_kbps=320)
    assert words.about("audio", tags) == "Ba\\x1bnd - Song · 1:02:05 · 320 kbit/s"
    assert words.about("picture", TagsView(width=640, height=480)) == "640x480"
    assert words.about("audio", TagsView(lossless=True, bitrate_kbps=900)) == "lossless"
    assert words.about("document", TagsView()) == "document"


def test_a_running_download_tells_rate_sources_and_time_left() -> None:
    view = download_view(1, "song.flac", DownloadState.RUNNING, 0.5)
    assert words.progress(view) == "downloading, 50 %, 1.0 MB/s from 1 source, 2 s left"


def test_a_queued_download_tells_its_place_and_the_wait() -> None:
    view = download_view(1, "song.flac", DownloadState.QUEUED)
    source = replace(view.sources[0], state="queued", position=3, wait_s=187)
    view = replace(view, sources=(source,))
    assert words.progress(view) == "queued, 0 %, number 3 in the queue of anna, about 3:07 min to wait"


def test_a_stuck_download_tells_its_problem() -> None:
    view = replace(
        download_view(1, "song.flac", DownloadState.STUCK), sources=(), problem="The disk is full."
    )
    assert words.progress(view) == "stuck, 0 %, The disk is full."


def test_what_is_over_tells_its_speed() -> None:
    assert words.took(2.0, 3_000_000) == "in 2.0 s, 1.5 MB/s"
    assert words.took(187, 187_000) == "in 3:07 min, 1.0 kB/s"
    assert words.took(0, 5) == "in 0.0 s"
