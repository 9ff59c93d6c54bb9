"""The typed filters of the query language, `key:value`. PURE.

    kind:audio,video    ext:flac,mp3    lossless:    free:    contacts:    from:NICK or from:KEY
    size:>10m    length:2min..4min    bitrate:>=256    year:1957..1960    sources:>=2

A number stands alone, with <, <=, > or >= before it, or as a span a..b, a.. or ..b with both ends included.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

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
from p2pshare import limits
from p2pshare.errors import Reason, Refused
from p2pshare.kinds import FileKind

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)([kmgt]?)(i?)b?")
_LENGTH = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(s|sec|m|min|h|)")
_CLOCK = re.compile(r"(?:(\d{1,5}):)?(\d{1,5}):(\d\d)")
_BITRATE = re.compile(r"(\d{1,9})(?:k|kbps|kbit/s)?")
_WHOLE = re.compile(r"\d{1,15}")
_UNIT_S = {"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}


def _bytes(text: str) -> int | None:
    if (match := _SIZE.fullmatch(text)) is None:
        return None
    step = 1024 if match[3] else 1000
    return int(Decimal(match[1]) * step ** " kmgt".index(match[2] or " "))


def _seconds(text: str) -> int | None:
    if clock := _CLOCK.fullmatch(text):
        return int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + int(clock[3])
    match = _LENGTH.fullmatch(text)
    return int(Decimal(match[1]) * _UNIT_S[match[2]]) if match else None


def _kbps(text: str) -> int | None:
    match = _BITRATE.fullmatch(text)
    return int(match[1]) if match else None


def _whole(text: str) -> int | None:
    return int(text) if _WHOLE.fullmatch(text) and text.isascii() else None


_NUMBERS: dict[str, tuple[Number, Callable[[str], int | None], str]] = {
    "size": (Number.SIZE, _bytes, "size:>10m"),
    "length": (Number.LENGTH, _seconds, "length:>3min"),
    "bitrate": (Number.BITRATE, _kbps, "bitrate:>=256"),
    "year": (Number.YEAR, _whole, "year:1957..1960"),
    "sources": (Number.SOURCES, _whole, "sources:>=2"),
}
_FLAGS: dict[str, Expression] = {"lossless": Lossless(), "free": FreeNow(), "contacts": HeldBy(CONTACTS)}
KEYS = ("kind", "ext", "from", *_NUMBERS, *_FLAGS)


def filter_untrusted(key: str, value: str) -> Expression:
    """What `key:value` asks for; the key is one of KEYS. Raises `Refused(BAD_QUERY)` and nothing else."""
    if key in _FLAGS:
        if value:
            raise _bad(f"Nothing stands behind {key}: as in `{key}:` or `-{key}:`.")
        return _FLAGS[key]
    if key == "kind":
        return OfKind(frozenset(_kind(name) for name in value.split(",")))
    if key == "ext":
        return with_extension_untrusted(value.split(","))
    if key == "from":
        if not value:
            raise _bad("Name somebody behind from: as in `from:alice`.")
        return HeldBy(value)
    number, read, example = _NUMBERS[key]
    span = _span(value.lower(), read)
    if span is None:
        raise _bad(f"`{key}:` does not take that. Write it as in `{example}`, or `{key}:A..B`.")
    return within_untrusted(number, *span)


def within_untrusted(number: Number, low: int, high: int) -> Expression:
    """From `low` to `high`; not those who do not say it. Raises `Refused(BAD_QUERY)`."""
    if low > high:
        raise _bad(f"The least {number.name.lower()} is greater than the greatest. Swap the two.")
    if number in (Number.LENGTH, Number.BITRATE, Number.YEAR):
        low = max(low, 1)
    return Within(number, low, high)


def with_extension_untrusted(extensions: list[str]) -> Expression:
    """One of these. Raises `Refused(BAD_QUERY)`."""
    lower = frozenset(extension.removeprefix(".").lower() for extension in extensions)
    if len(lower) > limits.EXTENSIONS_MAX or not all(extension.isalnum() for extension in lower):
        raise _bad(
            f"An extension has letters and digits only, as in mp3; at most {limits.EXTENSIONS_MAX} of them."
        )
    return WithExtension(lower)


def _kind(name: str) -> FileKind:
    try:
        return FileKind[name.upper()]
    except KeyError:
        names = ", ".join(kind.name.lower() for kind in FileKind)
        raise _bad(f"The kinds are {names}, as in `kind:audio`.") from None


def _span(text: str, read: Callable[[str], int | None]) -> tuple[int, int] | None:
    first, dots, last = text.partition("..")
    if dots:
        low, high = read(first) if first else 0, read(last) if last else NO_LIMIT
        return None if low is None or high is None or not (first or last) else (low, high)
    sign = re.match(r"[<>]?=?", text)
    assert sign is not None  # it matches nothing, too
    number = read(text[sign.end() :])
    if number is None:
        return None
    spans = {">": (number + 1, NO_LIMIT), ">=": (number, NO_LIMIT), "<": (0, number - 1), "<=": (0, number)}
    return spans.get(sign[0], (number, number))


def _bad(text: str) -> Refused:
    return Refused(Reason.BAD_QUERY, text)
