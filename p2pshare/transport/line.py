"""Reads and writes one byte stream with as little as possible in between.

A TCP stream is read into one piece of memory that all connections of a program share: whoever reads has
looked at everything before any other task runs. A stream of another kind (a simulated one) is read and
written by its own calls. Errors of the stream become `Disconnected`.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Awaitable

import trio

from p2pshare.errors import Disconnected
from p2pshare.limits import DATA_BYTES_MAX, KIB

READ_BYTES = 512 * KIB  # read at a time at most: with more, other tasks wait noticeably longer
WAKE_BYTES_MAX = 256 * KIB  # of a long payload, so much is waited for before the reader is woken ...
WAKE_EVERY_S = 0.002  # ... or what arrives in this time, if that is less
STRIDE_S = 0.05  # whoever has something to say waits behind so much of the data before it
STRIDE_BYTES_MIN = 64 * KIB
STRIDE_BYTES_MAX = DATA_BYTES_MAX
UNSENT_PART = 4  # this part of a stride is left to the system unsent: enough for it to go on while we sleep
UNSENT_BYTES_MIN = 16 * KIB
FALL = 1 / 4  # weight of a new measurement of the rate

# Elsewhere a reader may sleep for ever: there, the mark may be higher than what a full buffer holds.
CAN_WAKE_LATE = sys.platform == "linux"
LOST = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)

_shared: trio.lowlevel.RunVar[memoryview] = trio.lowlevel.RunVar("memory to read into")


class Line:
    """One stream, read by one task and written by one other."""

    __slots__ = (
        "_read_at",
        "_socket",
        "_stream",
        "_torn",
        "_unsent_bytes",
        "_wake_bytes",
        "_wake_bytes_wanted",
        "_write_rate",
    )

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._socket: trio.socket.SocketType | None = None
        if isinstance(stream, trio.SocketStream) and hasattr(os, "readv"):  # a socket is a descriptor
            self._socket = stream.socket
        self._wake_bytes = 1  # as the system was told
        self._wake_bytes_wanted = 1
        self._read_at = 0.0
        self._write_rate = 0.0  # bytes a second, while there was more to write than could be; 0: unknown
        self._unsent_bytes = 0
        self._torn = False  # whether a write was given up in the middle

    @property
    def is_socket(self) -> bool:
        """Whether `look` and `hang_up` do anything."""
        return self._socket is not None

    @property
    def stride(self) -> int:
        """How many bytes to send as a whole, so that nobody waits long for their end."""
        if not self._write_rate:
            return STRIDE_BYTES_MAX // 4
        return min(STRIDE_BYTES_MAX, max(STRIDE_BYTES_MIN, int(self._write_rate * STRIDE_S)))

    # --- reading ------------------------------------------------------------------------------------

    async def read(self, expected: int) -> bytes | bytearray | memoryview:
        """What is there, empty at the end. Look at all of it before awaiting anything: the memory is shared.

        `expected`: at least so many bytes of a payload are still to come; 0 if nothing is known of.
        """
        try:
            if self._socket is None:
                return await self._stream.receive_some(READ_BYTES)
            self._wake_at(expected)
            while True:
                if self._socket.fileno() < 0:  # closed; trio must not be made to wait for that
                    raise trio.ClosedResourceError
                await trio.lowlevel.wait_readable(self._socket)
                if (data := self.look()) is not None:
                    return data
        except LOST as error:
            raise Disconnected("The connection was lost.") from error

    def arrival(self) -> Awaitable[bytes | bytearray | None]:
        """Wait for something to `look` at, or get it at once where nothing can be looked at.

        Like `read`, but with no coroutine of ours, which is memory while it waits, and with raw errors.
        """
        if self._socket is None:
            return self._stream.receive_some(READ_BYTES)
        if self._socket.fileno() < 0:
            raise trio.ClosedResourceError
        return trio.lowlevel.wait_readable(self._socket)  # noqa: ASYNC105

    def look(self) -> memoryview | None:
        """What is there at this moment; None if nothing is. Raises `Disconnected`."""
        if self._socket is None:
            return None
        memory = _shared_memory()
        try:
            count = os.readv(self._socket.fileno(), (memory,))
        except BlockingIOError:
            return None
        except OSError as error:
            raise Disconnected("The connection was lost.") from error
        self._note_read(count)
        return memory[:count]

    def _note_read(self, count: int) -> None:
        now = trio.current_time()
        in_time = int(count * WAKE_EVERY_S / max(now - self._read_at, 1e-6))
        self._read_at = now
        self._wake_bytes_wanted = min(WAKE_BYTES_MAX, in_time)

    def _wake_at(self, expected: int) -> None:
        """In the middle of a payload that comes fast, sleep until there is something worth waking for."""
        assert self._socket is not None
        wake = min(expected, self._wake_bytes_wanted)
        wake = 1 << (wake.bit_length() - 1) if wake >= UNSENT_BYTES_MIN else 1
        if wake != self._wake_bytes and CAN_WAKE_LATE:
            self._wake_bytes = wake
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wake)

    def hang_up(self) -> None:
        """Close a socket, which wakes whoever waits for it with an error."""
        if self._socket is not None:
            self._socket.close()

    # --- writing ------------------------------------------------------------------------------------

    async def write(self, data: memoryview) -> None:
        """All of it. `data` must not change meanwhile.

        If this is cancelled, nothing can be written any more: it would stand behind half a record.
        """
        if self._torn:
            raise Disconnected("The connection was lost.")
        self._torn = True
        try:
            if self._socket is None:
                await self._stream.send_all(data)
                self._torn = False
                return
            began, at, waited = trio.current_time(), 0, False
            while True:
                try:
                    at += os.write(self._socket.fileno(), data[at:] if at else data)
                except BlockingIOError:
                    pass
                if at == len(data):
                    break
                waited = True
                await trio.lowlevel.wait_writable(self._socket)
            self._torn = False
            if waited:
                self._note_written(len(data), trio.current_time() - began)
            else:
                await trio.lowlevel.checkpoint()
        except LOST as error:
            raise Disconnected("The connection was lost.") from error

    def write_now(self, data: memoryview) -> int:
        """As much as the system takes at this moment; returns how much that was. Raises `Disconnected`.

        Only while nobody is in `write`, and what is left must be the next that is written.
        """
        if self._socket is None:
            return 0
        try:
            return os.write(self._socket.fileno(), data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise Disconnected("The connection was lost.") from error

    def _note_written(self, count: int, took_s: float) -> None:
        rate = count / max(took_s, 1e-6)
        self._write_rate += (rate - self._write_rate) * (FALL if self._write_rate else 1.0)
        unsent = max(UNSENT_BYTES_MIN, self.stride // UNSENT_PART)
        unsent = 1 << (unsent.bit_length() - 1)
        if unsent != self._unsent_bytes and self._socket is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            self._unsent_bytes = unsent
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, unsent)


def _shared_memory() -> memoryview:
    try:
        return _shared.get()
    except LookupError:
        memory = memoryview(bytearray(READ_BYTES))
        _shared.set(memory)
        return memory
