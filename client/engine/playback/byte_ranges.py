"""Which bytes of a file an HTTP request is for (RFC 9110, section 14). Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

RANGES_MAX = 16  # players ask for one, some for two
TEXT_CHARS_MAX = 512  # sixteen ranges of a large file

_UNIT = re.compile(r"bytes\s*=", re.IGNORECASE | re.ASCII)
_RANGE = re.compile(r"(?P<first>[0-9]*)-(?P<last>[0-9]*)")


@dataclass(frozen=True, order=True)
class Span:
    """Bytes from `first` up to, without, `end`."""

    first: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.first


def parse_range_untrusted(text: str, size: int) -> tuple[Span, ...] | None:
    """The spans of a file of `size` bytes that a Range header asks for, in order, none touching another.

    None if the header says nothing that is understood, or too much: then the whole file is the answer.
    Empty if it asks only for what lies behind the end.
    """
    unit = _UNIT.match(text)
    if unit is None or len(text) > TEXT_CHARS_MAX:
        return None
    # Empty elements between commas mean nothing, by the rules of lists in HTTP.
    parts = [part for each in text[unit.end() :].split(",") if (part := each.strip(" \t"))]
    if not 0 < len(parts) <= RANGES_MAX:
        return None
    spans = []
    for part in parts:
        match = _RANGE.fullmatch(part)
        if match is None or not (match["first"] or match["last"]):
            return None
        if not match["first"]:
            span = Span(max(0, size - int(match["last"])), size)
        else:
            first = int(match["first"])
            last = int(match["last"]) if match["last"] else max(first, size)
            if last < first:
                return None
            span = Span(first, min(last + 1, size))
        if span.first < span.end:
            spans.append(span)
    return _joined(spans)


def _joined(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Those that overlap or touch are one: nothing is ever sent twice in one answer."""
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.first <= joined[-1].end:
            joined[-1] = Span(joined[-1].first, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return tuple(joined)
