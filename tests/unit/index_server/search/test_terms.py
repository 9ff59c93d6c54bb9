"""What typed filters mean."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from index_server.search.expression import (
    CONTACTS,
    NO_LIMIT,
    Expression,
    FreeNow,
    HeldBy,
    Lossless,
    Number,
    OfKind,
    WithExtension,
    Within,
)
from index_server.search.terms import KEYS, filter_untrusted
from p2pshare.errors import Reason, Refused
from p2pshare.kinds import FileKind


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("kind:Audio,video", OfKind(frozenset({FileKind.AUDIO, FileKind.VIDEO}))),
        ("ext:FLAC,.mp3", WithExtension(frozenset({"flac", "mp3"}))),
        ("size:>10m", Within(Number.SIZE, 10_000_001, NO_LIMIT)),
        ("size:>=1.5gib", Within(Number.SIZE, 3 << 29, NO_LIMIT)),
        ("size:<700kb", Within(Number.SIZE, 0, 699_999)),
        ("size:..1Mi", Within(Number.SIZE, 0, 1 << 20)),
        ("size:12345", Within(Number.SIZE, 12_345, 12_345)),
        ("length:>3min", Within(Number.LENGTH, 181, NO_LIMIT)),
        ("length:3:45", Within(Number.LENGTH, 225, 225)),
        ("length:..1:02:03", Within(Number.LENGTH, 1, 3_723)),
        ("length:1.5h..2h", Within(Number.LENGTH, 5_400, 7_200)),
        ("bitrate:>=256k", Within(Number.BITRATE, 256, NO_LIMIT)),
        ("year:1957..1960", Within(Number.YEAR, 1957, 1960)),
        ("year:<=1960", Within(Number.YEAR, 1, 1960)),
        ("sources:>=2", Within(Number.SOURCES, 2, NO_LIMIT)),
        ("sources:=1", Within(Number.SOURCES, 1, 1)),
        ("lossless:", Lossless()),
        ("free:", FreeNow()),
        ("contacts:", HeldBy(CONTACTS)),
        ("from:Anna", HeldBy("Anna")),
    ],
)
def test_a_filter_says_what_must_hold(typed: str, meant: Expression) -> None:
    key, _, value = typed.partition(":")
    assert filter_untrusted(key, value) == meant


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("kind:song", "audio"),
        ("ext:", "mp3"),
        ("ext:a/b", "mp3"),
        ("size:big", "size:>10m"),
        ("size:", "size:>10m"),
        ("size:..", "size:>10m"),
        ("size:5..1", "Swap"),
        ("length:3:5", "length:>3min"),
        ("year:-5", "year:1957..1960"),
        ("bitrate:>x", "bitrate:>=256"),
        ("lossless:yes", "lossless:"),
        ("from:", "from:alice"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_an_example(typed: str, hint: str) -> None:
    key, _, value = typed.partition(":")
    with pytest.raises(Refused) as caught:
        filter_untrusted(key, value)
    assert caught.value.reason is Reason.BAD_QUERY and hint in caught.value.text


@given(
    st.sampled_from(KEYS), st.one_of(st.text(max_size=20), st.from_regex(r"[<>=.]*[0-9.:]*[a-z]*[.]*[0-9]*"))
)
def test_any_value_is_a_filter_or_refused(key: str, value: str) -> None:
    try:
        filter_untrusted(key, value)
    except Refused as error:
        assert error.reason is Reason.BAD_QUERY and error.text
