"""Whatever a moderator types becomes one stored form, or a sentence."""

from __future__ import annotations

import pytest

from index_server.rules.targets import target_untrusted
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import FileId, format_file_id
from p2pshare.wire.fields import Subject

FILE = format_file_id(FileId(b"f" * 32))


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        (" 203.0.113.7/24 ", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:1::/48", "2001:db8:1::/48"),
    ],
)
def test_addresses_and_ranges(text: str, stored: str) -> None:
    assert target_untrusted(Subject.ADDRESS, text) == stored
    assert target_untrusted(Subject.ADDRESS, stored) == stored


@pytest.mark.parametrize(
    "text",
    ["", "example.org", "1.2.3", "1.2.3.4/33", "0.0.0.0/0", "10.0.0.0/7", "::/0", "fe80::1%eth0", "1" * 900],
)
def test_what_is_no_range_or_far_too_wide_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        target_untrusted(Subject.ADDRESS, text)
    assert refused.value.reason is Reason.FAILED


def test_files_and_words() -> None:
    assert target_untrusted(Subject.FILE, f" {FILE.upper()} ") == FILE
    assert target_untrusted(Subject.WORD, " ÄRGER! ") == "arger"
    for subject, text in ((Subject.FILE, "abc"), (Subject.WORD, "two words"), (Subject.WORD, "!?")):
        with pytest.raises(Refused):
            target_untrusted(subject, text)
