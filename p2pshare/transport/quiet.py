"""Channels for a server that holds ten thousand, most of which say nothing for minutes.

Each has one task, which reads; what arrives is shown to a function at once instead of waiting in an inbox.
Writing costs no task either unless the line is full, and all timers are looked at by one `Pulse`.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from p2pshare import limits
from p2pshare.errors import CloseCode, Disconnected
from p2pshare.session.events import Closed, Event
from p2pshare.transport.answers import Incoming
from p2pshare.transport.channel import WRITE_BYTES, Channel
from p2pshare.transport.greet import Greeted
from p2pshare.transport.line import LOST
from p2pshare.transport.pulse import Pulse
from p2pshare.transport.serve import MISTAKE
from p2pshare.wire.session import Close

Hear = Callable[[Incoming], None]
"""What a request or notice leads to. Must not wait; may raise `PeerFault`."""


class QuietChannel(Channel):
    """A channel that its own task reads."""

    __slots__ = ("_hear", "_slow")
    OUTBOX_BYTES_MAX = limits.INDEX_OUTBOX_BYTES_MAX

    def __init__(self, greeted: Greeted, nursery: trio.Nursery) -> None:
        """`nursery` outlives the channel, and is where it writes if the line is full."""
        super().__init__(greeted, nursery)
        if not self._line.is_socket:
            self._reading = trio.CancelScope()
        self._slow: trio.CancelScope | None = None

    async def attend(self, hear: Hear, events: list[Event], pulse: Pulse) -> None:
        """Read until the connection is over, show `hear` what arrives, and close. `ending` tells why.

        `events` came with the end of the handshake. Raises no error of theirs.
        """
        self._hear = hear
        if (due := self._session.next_timer()) is not None:
            pulse.watch(self, due)
        code, text = CloseCode.BYE, ""
        try:
            await self._read(events)
        except Exception:
            code, text = CloseCode.INTERNAL, MISTAKE
            raise
        finally:
            pulse.forget(self)
            if self.ending is None:
                with trio.CancelScope(shield=True):  # bounded by FAREWELL_S
                    await self.aclose(code, text)
            del self._hear  # it holds whoever holds this channel

    def close_soon(self, code: CloseCode, text: str = "", retry_after_s: int = 0) -> None:
        """Say farewell without waiting for it: `attend` returns when it is out, or nearly at once."""
        if self.ending is None and not self._session.over:
            self._session.send(Close(code=code, text=text, retry_after_s=retry_after_s))
            self._nursery.start_soon(self.aclose, code)

    def tick(self, now: float) -> float | None:
        """See `Pulse`."""
        if self.ending is not None:
            return None
        if self._writing is not None and self._writing is self._slow:
            self._finish(Disconnected("The other side does not read.", CloseCode.TOO_SLOW))
            return None
        self._slow = self._writing  # still the same the next time: then it never came to an end
        for event in self._session.handle_timer(now):
            assert isinstance(event, Closed)
            self._finish(Disconnected(event.text, event.code))
            return None
        self._start_writing()
        return self._session.next_timer()

    async def _read_until_the_end(self, events: list[Event]) -> None:
        while True:
            for event in events:
                await self._deliver(event)
            if self.ending is not None:
                return
            try:
                data = await self._line.arrival()
            except LOST as error:
                raise Disconnected("The connection was lost.") from error
            seen = self._line.look() if data is None else data
            if seen is None:
                continue
            if not seen:
                raise Disconnected("The other side hung up.")
            events = self._session.receive_data(seen, trio.current_time())
            del seen, data  # the memory is shared
            self._start_writing()  # a ping was answered

    async def _hand_in(self, incoming: Incoming) -> None:
        self._hear(incoming)

    def _start_writing(self) -> None:
        while self._writing is None and self.ending is None:
            outgoing = self._session.data_to_send(WRITE_BYTES)
            if not outgoing:
                return
            try:
                written = self._line.write_now(outgoing)
            except Disconnected as ending:
                self._finish(ending)
                return
            if written < len(outgoing):
                self._writing = trio.CancelScope()
                self._nursery.start_soon(self._write, self._writing, outgoing[written:])
