"""Range headers, as players and strangers write them."""

from __future__ import annotations

import pytest

from client.engine.playback.byte_ranges import RANGES_MAX, Span, parse_range_untrusted

SIZE = 1_000


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("bytes=0-", [(0, 1000)]),
        ("bytes=0-0", [(0, 1)]),
        ("bytes=0-499", [(0, 500)]),
        ("bytes=500-5000", [(500, 1000)]),
        ("bytes=-1", [(999, 1000)]),
        ("bytes=-5000", [(0, 1000)]),
        ("BYTES=1-2", [(1, 3)]),
        ("bytes = 1-2", [(1, 3)]),
        ("bytes=1-2, \t 8-9", [(1, 3), (8, 10)]),
        ("bytes=,1-2,,", [(1, 3)]),
        ("bytes=900-,0-1", [(0, 2), (900, 1000)]),
        ("bytes=0-99,50-149,150-199", [(0, 200)]),
        ("bytes=5000-,1-2", [(1, 3)]),
        (f"bytes=0-{10**30}", [(0, 1000)]),
    ],
)
def test_what_is_understood(text: str, spans: list[tuple[int, int]]) -> None:
    assert parse_range_untrusted(text, SIZE) == tuple(Span(*span) for span in spans)


@pytest.mark.parametrize("text", ["bytes=1000-", "bytes=5000-6000", "bytes=-0", f"bytes={10**30}-"])
def test_behind_the_end_there_is_nothing(text: str) -> None:
    assert parse_range_untrusted(text, SIZE) == ()


def test_an_empty_file_has_no_ranges() -> None:
    assert parse_range_untrusted("bytes=0-", 0) == parse_range_untrusted("bytes=-1", 0) == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=2-1",
        "bytes=1",
        "bytes=1-2-3",
        "bytes=+1-2",
        "bytes=1_0-20",
        "bytes=\u0661-\u0662",
        "bytes=0x1-2",
        "items=0-1",
        "bytes=0-1 2",
        "bytes=0-1;2-3",
        "bytes=" + ",".join(["0-1"] * (RANGES_MAX + 1)),
        "bytes=0-" + "9" * 10_000,
    ],
)
def test_what_means_nothing_gets_the_whole_file(text: str) -> None:
    assert parse_range_untrusted(text, SIZE) is None
