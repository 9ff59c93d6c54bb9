"""Types and names of files, as a browser is told."""

from __future__ import annotations

import pytest

from client.engine.playback.media import SAVED_ONLY, TYPES, address_part, disposition, media_type


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.mp4", "video/mp4"),
        ("A.FLAC", "audio/flac"),
        ("a.b.webm", "video/webm"),
        ("mp3", "audio/mpeg"),
        ("page.html", SAVED_ONLY),
        ("picture.svg", SAVED_ONLY),
        ("program.exe", SAVED_ONLY),
        ("", SAVED_ONLY),
    ],
)
def test_the_type_follows_from_the_ending(name: str, kind: str) -> None:
    assert media_type(name) == kind


def test_nothing_that_runs_is_ever_shown() -> None:
    assert not any("html" in kind or "xml" in kind or "script" in kind for kind in TYPES.values())
    assert disposition("page.html").startswith("attachment;")
    assert disposition("a.mp4").startswith("inline;")


@pytest.mark.parametrize(
    "name",
    [
        'a"; filename="b.exe',
        "a\r\nX-Evil: 1.mp4",
        "Bj\u00f6rk \u2013 J\u00f3ga.mp4",
        "..",
        "a/b\\c.mp3",
        "100%.mp3",
    ],
)
def test_no_name_breaks_out_of_its_header_or_its_address(name: str) -> None:
    header, part = disposition(name), address_part(name)
    assert header.isascii() and header.isprintable()
    assert header.count('"') == 2
    assert part.isascii() and not set(part) & set('/\\?#"\r\n ')
    assert part not in ("", ".", "..")
