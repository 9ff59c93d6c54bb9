"""Every trouble with the disk is one or two plain sentences."""

from __future__ import annotations

import errno
import os

import pytest

from client.engine.downloads.trouble import amount, disk_full, disk_trouble


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOENT, "is not there any more. Put it back"),
        (errno.ELOOP, "leads through a link"),
        (errno.EACCES, "may not be written in /music. Allow it"),
        (errno.EROFS, "can only be read"),
        (errno.ENAMETOOLONG, "too long"),
        (errno.EFBIG, "larger than a file may be"),
        (errno.EIO, "reports an error. Check the drive"),
        (errno.ENOTSUP, "cannot be written"),
    ],
)
def test_the_sentence_names_what_happened_and_what_to_do(code: int, words: str) -> None:
    sentence = str(disk_trouble(OSError(code, os.strerror(code)), "song.mp3", "/music"))
    assert words in sentence and "song.mp3" in sentence and "/music" in sentence
    assert sentence.endswith(".")


def test_a_full_disk_is_told_with_what_it_lacks() -> None:
    assert str(disk_full("film.mkv", "/films", 1_210_000_000)) == (
        "The disk is full: film.mkv needs 1.3 GB more in /films. Free some space, it goes on by itself."
    )


def test_amounts_are_rounded_up() -> None:
    assert [amount(size) for size in (1, 1_000, 1_001, 999_999, 1_000_000, 2_000_001, 5 * 10**9)] == [
        "1 kB", "1 kB", "2 kB", "1000 kB", "1 MB", "2.1 MB", "5 GB",
    ]  # fmt: skip
