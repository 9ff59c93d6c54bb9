"""Large buffers, used again as soon as nobody looks at them any more.

Making a bytearray of 1 MiB means clearing 1 MiB: a fifth of the time that decrypting into it takes.
"""

from __future__ import annotations

KEPT = 16  # as many as pieces that wait for the disk; all are let go of when a connection has been idle
WASTE_MAX = 4  # memory is at most so many times what is asked for: whoever gets it may hold it for long
WORTH_KEEPING_BYTES = 64 * 1024  # below that, a new one costs nothing and memory that lies idle does


class SpareBuffers:
    """Hands out memory; what was let go of comes round again."""

    __slots__ = ("_spares",)

    def __init__(self) -> None:
        self._spares: tuple[bytearray, ...] = ()

    def take(self, size: int) -> memoryview:
        """`size` bytes of any content, that nobody else looks at."""
        for spare in self._spares:
            if size <= len(spare) <= WASTE_MAX * size and _is_free(spare):
                return memoryview(spare)[:size]
        fresh = bytearray(size)
        if size >= WORTH_KEEPING_BYTES:
            self._spares = (fresh, *self._spares[: KEPT - 1])
        return memoryview(fresh)

    def release(self) -> None:
        """Keep nothing."""
        self._spares = ()


def _is_free(spare: bytearray) -> bool:
    """Whether no memoryview of it is left: while one is, Python lets nobody change its length."""
    try:
        spare.append(spare.pop())
    except BufferError:
        return False
    return True
