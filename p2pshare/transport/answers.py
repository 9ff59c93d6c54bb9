"""What arrives for our own side: messages with their payloads, and the answers to one request."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import trio

from p2pshare import limits
from p2pshare.errors import CloseCode, Disconnected, PeerFault, Refused
from p2pshare.wire.schema import Message
from p2pshare.wire.session import Refused as RefusedMessage

UNREAD_ANSWER_BYTES_MAX = 64 * limits.MIB  # payload of one request that our own side has not looked at


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message and the raw bytes that came with it."""

    message: Message
    payload: memoryview | None = None


Take = Callable[[Incoming], bool]


class Answers:
    """The answers to one request, in order; iteration ends after the last one.

    Raises `Refused` if they say no and `Disconnected` if the connection ends before the last answer.
    """

    def __init__(self, asked: Message, take: Take | None = None) -> None:
        """See `Channel.request`."""
        self.asked = asked
        self.complete = False
        self._send, self._receive = trio.open_memory_channel[Incoming](math.inf)
        self._take = take
        self._unread_bytes = 0
        self._declined = 0  # answers that the iteration has not dealt with yet
        self._in_hand = False  # whether it is at one of them
        self._ending: Disconnected | None = None

    def __aiter__(self) -> Answers:
        return self

    async def __anext__(self) -> Incoming:
        if self._in_hand:
            self._in_hand = False
            self._declined -= 1
        try:
            answer = await self._receive.receive()
        except trio.EndOfChannel:
            if self._ending is not None:
                raise self._ending from None
            raise StopAsyncIteration from None
        self._in_hand = True
        self._unread_bytes -= len(answer.payload or b"")
        message = answer.message
        if isinstance(message, RefusedMessage):
            raise Refused(message.reason, message.text, message.retry_after_s)
        return answer

    def deliver(self, answer: Incoming) -> None:
        """Called by the reader. Raises `PeerFault` if more came than anybody asked for."""
        refused = isinstance(answer.message, RefusedMessage)
        # None overtakes another that is still being dealt with.
        if self._take is not None and not refused and not self._declined and self._take(answer):
            if not getattr(answer.message, "more", False):
                self.complete = True
                self._send.close()
            return
        self._declined += 1
        self._unread_bytes += len(answer.payload or b"")
        if self._unread_bytes > UNREAD_ANSWER_BYTES_MAX:
            raise PeerFault(CloseCode.TOO_FAST, "More data than was asked for.")
        self._send.send_nowait(answer)
        if not getattr(answer.message, "more", False):
            self.complete = True
            self._send.close()

    def end(self, ending: Disconnected) -> None:
        """Called when the connection is over."""
        if not self.complete:
            self._ending = ending
        self._send.close()
