"""Cuts a byte stream into pieces of `u16be length || bytes`: handshake messages and records alike."""

from __future__ import annotations

from collections.abc import Callable

LENGTH_BYTES = 2

CheckLength = Callable[[int], None]  # raises PeerFault if a piece of that length is not welcome


class RecordCutter:
    """Cuts a stream into records and keeps the one that is not all there yet."""

    __slots__ = ("_partial",)

    def __init__(self) -> None:
        self._partial: bytearray | None = None

    @property
    def idle(self) -> bool:
        """Whether the stream stands between two records."""
        return self._partial is None

    @property
    def held_bytes(self) -> int:
        """Of the record that is not all there yet."""
        return len(self._partial) if self._partial is not None else 0

    def cut_untrusted(self, data: memoryview, at: int, check: CheckLength) -> tuple[memoryview | None, int]:
        """(the next record with its length in front or None, where in `data` to go on).

        `check` sees the length before anything is waited for, and raises `PeerFault`.
        """
        partial = self._partial
        if partial is None:
            if len(data) - at >= LENGTH_BYTES:
                end = at + LENGTH_BYTES + _checked_length(data[at : at + LENGTH_BYTES], check)
                if end <= len(data):
                    return data[at:end], end
            self._partial = bytearray(data[at:])
            return None, len(data)
        at = _grow(partial, LENGTH_BYTES, data, at)
        if len(partial) < LENGTH_BYTES:
            return None, at
        size = LENGTH_BYTES + _checked_length(partial, check)
        at = _grow(partial, size, data, at)
        if len(partial) < size:
            return None, at
        self._partial = None
        return memoryview(partial), at


def _grow(partial: bytearray, size: int, data: memoryview, at: int) -> int:
    """Bring `partial` up to `size` bytes from `data[at:]`, as far as they go; returns where to go on."""
    end = min(len(data), at + max(0, size - len(partial)))
    partial += data[at:end]
    return end


def _checked_length(start: memoryview | bytearray, check: CheckLength) -> int:
    length = start[0] << 8 | start[1]
    check(length)
    return length
