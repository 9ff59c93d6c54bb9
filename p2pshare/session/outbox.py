"""What waits to be sent: frames and payloads in order, sealed into records only when the line is free.

Frames are collected into a run until a payload follows or the line takes them. A run, and likewise a payload,
is cut into full records and a last one with the rest; so no record holds both, and only a full one ends
within a frame.
"""

from __future__ import annotations

from p2pshare.session.buffers import SpareBuffers
from p2pshare.session.cipher import OVERHEAD_BYTES, PLAINTEXT_MAX, Sealer

FRAME_LENGTH_BYTES = 3


class Outbox:
    """Plaintext in, sealed records out."""

    __slots__ = ("_buffers", "_frames", "_sealer", "_texts", "pending_bytes")

    def __init__(self, sealer: Sealer, buffers: SpareBuffers) -> None:
        self._sealer = sealer
        self._texts: list[memoryview] = []  # one for each record
        self._frames: bytearray | None = None  # the run that still grows, behind the texts
        self._buffers = buffers
        self.pending_bytes = 0

    def add_frame(self, body: bytes) -> None:
        """Queue one frame; it shares records with the frames before and behind it."""
        frame = len(body).to_bytes(FRAME_LENGTH_BYTES, "big") + body
        self.pending_bytes += len(frame)
        if self._frames is None:
            self._frames = bytearray(frame)
        else:
            self._frames += frame

    def add_payload(self, payload: memoryview) -> None:
        """Queue the bytes behind the frame added last. They are not copied, so they must not change."""
        self.pending_bytes += len(payload)
        self._end_run()
        self._cut(payload)

    def seal(self, limit: int) -> memoryview:
        """Records of at most `limit` bytes together, but one record if there is any. Empty if there is none.

        The memory is used again once nobody looks at it.
        """
        self._end_run()
        count = size = 0
        for text in self._texts:
            if count and size + len(text) + OVERHEAD_BYTES > limit:
                break
            count += 1
            size += len(text) + OVERHEAD_BYTES
        out = self._buffers.take(size)
        self._sealer.seal(self._texts[:count], out)
        del self._texts[:count]
        self.pending_bytes -= size - count * OVERHEAD_BYTES
        return out

    def _end_run(self) -> None:
        if self._frames is not None:
            self._cut(memoryview(self._frames))
            self._frames = None

    def _cut(self, run: memoryview) -> None:
        self._texts += [run[start : start + PLAINTEXT_MAX] for start in range(0, len(run), PLAINTEXT_MAX)]
