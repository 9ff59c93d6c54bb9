"""From a byte stream to messages: records are opened, frames put together, payloads filled.

What is held at most, whatever arrives: one unfinished record, one unfinished frame within the limit of its
kind, and one payload. Nothing here knows what is allowed: `admit` is asked before a frame is waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from p2pshare.errors import CloseCode, PeerFault
from p2pshare.session.buffers import SpareBuffers
from p2pshare.session.cipher import (
    OVERHEAD_BYTES,
    PLAINTEXT_MAX,
    TAG_BYTES,
    Opener,
    check_payload_record_untrusted,
)
from p2pshare.session.outbox import FRAME_LENGTH_BYTES
from p2pshare.session.records import LENGTH_BYTES, RecordCutter
from p2pshare.wire.schema import Message, decode_untrusted, peek_kind_untrusted

KIND_BYTES = 2  # the start of a frame body, which tells its kind

Admit = Callable[[int, int], None]  # (kind, bytes of the body): raises PeerFault if it is not welcome
Received = tuple[Message, memoryview | None]


class _Arriving:
    """A message whose payload is on its way."""

    __slots__ = ("filled", "memory", "message", "size")

    def __init__(self, message: Message, size: int) -> None:
        self.message = message
        self.size = size
        self.filled = 0
        self.memory: memoryview | None = None  # taken when the first record is there, not on a mere promise


class Inbox:
    """Sealed records in, messages out."""

    __slots__ = ("_admitted", "_arriving", "_buffers", "_cutter", "_opener", "_partial")

    def __init__(self, opener: Opener, buffers: SpareBuffers) -> None:
        self._opener = opener
        self._cutter = RecordCutter()
        self._buffers = buffers
        self._partial = b""  # an unfinished frame
        self._admitted = False  # whether its start was seen and found welcome
        self._arriving: _Arriving | None = None

    @property
    def records_opened(self) -> int:
        """How many records have proven genuine so far."""
        return self._opener.counter

    @property
    def expected_bytes(self) -> int:
        """At least so many bytes of a payload are still to come."""
        arriving = self._arriving
        return max(0, arriving.size - arriving.filled - self._cutter.held_bytes) if arriving else 0

    def read_untrusted(self, data: memoryview, admit: Admit) -> Iterator[Received]:
        """Every message that is complete with `data`. Raises `PeerFault`."""
        at = 0
        while at < len(data):
            arriving = self._arriving
            if arriving is not None and self._cutter.idle and _has_payload_record(arriving, len(data) - at):
                at += self._fill_untrusted(arriving, data[at:])
            else:
                record, at = self._cutter.cut_untrusted(data, at, self._check_length_untrusted)
                if record is None:
                    return
                if arriving is None:
                    text = self._opener.open_untrusted(record[LENGTH_BYTES:])
                    yield from self._read_frames_untrusted(text, admit)
                    continue
                self._fill_untrusted(arriving, record)
            if arriving.filled == arriving.size:
                self._arriving = None
                yield arriving.message, arriving.memory

    def _check_length_untrusted(self, length: int) -> None:
        if self._arriving is not None:
            check_payload_record_untrusted(length, self._arriving.size - self._arriving.filled)
        elif length <= TAG_BYTES:
            raise PeerFault(CloseCode.BAD_FRAME, "A record holds nothing.")

    def _fill_untrusted(self, arriving: _Arriving, data: memoryview) -> int:
        """Open payload records at the start of `data`; returns how many bytes they took."""
        if arriving.memory is None:
            arriving.memory = self._buffers.take(arriving.size)
        used, filled = self._opener.open_run_untrusted(data, arriving.memory[arriving.filled :])
        arriving.filled += filled
        return used

    def _read_frames_untrusted(self, text: bytes, admit: Admit) -> Iterator[Received]:
        """The messages that are complete with the plaintext of one record."""
        full = len(text) == PLAINTEXT_MAX
        view = memoryview(self._partial + text if self._partial else text)
        self._partial = b""
        while len(view) >= FRAME_LENGTH_BYTES + KIND_BYTES and self._arriving is None:
            length = int.from_bytes(view[:FRAME_LENGTH_BYTES], "big")
            end = FRAME_LENGTH_BYTES + length
            if not self._admitted:
                admit(peek_kind_untrusted(view[FRAME_LENGTH_BYTES:end]), length)
                self._admitted = True
            if end > len(view):
                break
            message = decode_untrusted(view[FRAME_LENGTH_BYTES:end])
            view = view[end:]
            self._admitted = False
            if message is None:
                continue  # an unknown odd kind
            size = getattr(message, message.PAYLOAD) if message.PAYLOAD else 0
            if size:
                self._arriving = _Arriving(message, size)
            else:
                yield message, memoryview(b"") if message.PAYLOAD else None
        if view and (self._arriving is not None or not full):
            # protocol.md: "A record that is not full, or that a payload follows, ends where a frame ends."
            raise PeerFault(CloseCode.BAD_FRAME, "A record ends within a frame, or goes on before a payload.")
        self._partial = bytes(view)


def _has_payload_record(arriving: _Arriving, available: int) -> bool:
    return available >= OVERHEAD_BYTES + min(PLAINTEXT_MAX, arriving.size - arriving.filled)
