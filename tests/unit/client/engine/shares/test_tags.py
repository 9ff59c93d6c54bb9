from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.engine.shares.tags import _Bounded, read_tags, tags_of
from p2pshare.limits import TAG_TEXT_BYTES_MAX
from p2pshare.wire.fields import NO_TAGS, Tags
from p2pshare.wire.schema import dump
from tests.media_samples import flac, mp3, png, wav


@pytest.mark.parametrize(
    ("content", "tags"),
    [
        (wav(seconds=2), Tags(length_s=2, bitrate_kbps=128, lossless=True)),
        (
            flac(3, TITLE="Jóga", ARTIST="Björk", ALBUM="Homogenic", TRACKNUMBER="2", DATE="1997-09-22"),
            Tags(
                title="Jóga", artist="Björk", album="Homogenic", track=2, year=1997, length_s=3, lossless=True
            ),
        ),
        (
            mp3(2, TIT2="Jóga", TPE1="Björk", TRCK="2/10", TYER="1997"),
            Tags(title="Jóga", artist="Björk", track=2, year=1997, length_s=2, bitrate_kbps=128),
        ),
        (png(30, 20), Tags(width=30, height=20)),
        (b"", NO_TAGS),
        (b"neither sound nor picture" * 100, NO_TAGS),
    ],
    ids=["wav", "flac", "mp3", "png", "empty", "junk"],
)
def test_a_file_says_what_is_in_it(content: bytes, tags: Tags) -> None:
    assert read_tags(io.BytesIO(content)) == tags


def test_no_more_of_a_file_is_read_than_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client.engine.shares.tags.READ_BYTES_MAX", 10)
    bounded = _Bounded(io.BytesIO(b"0123456789abcdef"))
    assert [bounded.read(6), bounded.read(6), bounded.read(6)] == [b"012345", b"6789", b""]


def report(general: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    return {"media": {"track": [{"@type": "General", **general}, *others]}}


def test_a_video_has_the_size_of_its_picture_and_the_rate_of_all_of_it() -> None:
    video = {"@type": "Video", "Width": "1920", "Height": "1080"}
    sound = {"@type": "Audio", "BitRate": "128000"}
    tags = tags_of(report({"OverallBitRate": "5000000", "Duration": "61.6", "Movie": "A"}, video, sound))
    assert tags == Tags(title="A", width=1920, height=1080, bitrate_kbps=5000, length_s=62)


def test_other_fields_stand_in_for_the_usual_ones() -> None:
    tags = tags_of(
        report({"Track": "T", "Part_Position": "3/9", "extra": {"ARTIST": "A", "ALBUM": "B", "DATE": "2001"}})
    )
    assert tags == Tags(title="T", artist="A", album="B", track=3, year=2001)
    assert tags_of(report({"Director": "D", "Released_Date": "UTC 1984-01-01"})) == Tags(
        artist="D", year=1984
    )


@pytest.mark.parametrize(
    ("audio", "lossless"),
    [
        ({"Format": "FLAC", "Compression_Mode": "Lossless"}, True),
        ({"Format": "AAC", "Compression_Mode": "Lossy"}, False),
        ({"Format": "ALAC"}, True),
        ({"Format": "WMA"}, False),
        ({}, False),
    ],
)
def test_what_is_lossless(audio: dict[str, str], lossless: bool) -> None:
    assert tags_of(report({}, {"@type": "Audio", **audio})).lossless is lossless


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("BjÃ¶rk", "Björk"),  # UTF-8 that was taken for Latin-1
        ("Björk", "Björk"),
        ("two\nlines\x00 \x1b[31m", "two lines [31m"),
        ("\u202egnp.exe", "gnp.exe"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("é" * 150, "é" * 100),
        ("x" * 199 + "é", "x" * 199),
    ],
)
def test_text_is_one_clean_line_that_fits_the_wire(text: str, shown: str) -> None:
    assert tags_of(report({"Title": text})).title == shown


@given(st.text(), st.text(), st.text() | st.floats().map(str) | st.integers().map(str))
def test_whatever_a_file_says_fits_the_wire(title: str, date: str, number: str) -> None:
    general = {"Title": title, "Recorded_Date": date, "Track_Position": number, "Duration": number}
    tags = tags_of(
        report(general, {"@type": "Image", "Width": number}, {"@type": "Audio", "BitRate": number})
    )
    assert dump(tags) and len(tags.title.encode()) <= TAG_TEXT_BYTES_MAX


@pytest.mark.parametrize("nothing", [{}, {"media": None}, {"media": {}}, {"media": {"track": []}}])
def test_a_report_without_tracks_says_nothing(nothing: dict[str, Any]) -> None:
    assert tags_of(nothing) == NO_TAGS
