"""One session on one byte stream: ask and be answered, say, and hear what the other side asks.

    async with run_channel(greeted) as channel:
        hits = await channel.ask(Search(request=channel.next_request(), query="wu-tang"))

Rule 1: one task reads, at most one task writes; nobody else touches the stream, so cancelling whoever waits
for an answer or for room never leaves half a record on the wire.
Rule 2: whatever ends the connection wakes everybody who waits on it with `Disconnected`.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import trio

from p2pshare import limits
from p2pshare.errors import CloseCode, Disconnected, Misuse, PeerFault, Reason
from p2pshare.identity import NodeId
from p2pshare.session.events import Closed, Event, MessageReceived
from p2pshare.transport.answers import Answers, Incoming, Take
from p2pshare.transport.background import background
from p2pshare.transport.greet import FAREWELL_S, Greeted
from p2pshare.transport.line import Line
from p2pshare.wire.schema import Message
from p2pshare.wire.session import Cancel, Close, Hello
from p2pshare.wire.session import Refused as RefusedMessage

WRITE_BYTES = 512 * limits.KIB  # sealed and handed to the stream at a time
INBOX_MESSAGES = 64  # requests and notices that wait for our own side; beyond, the stream is left unread
LOOK_S = 0.1  # for bytes that are there already, before silence is concluded


class Channel:
    """What both ends of a connection talk through. Made by `run_channel`, or by `attend_channel` (quiet.py).

    A server holds thousands that say nothing, so whatever is not always needed is made when it is.
    """

    __slots__ = (
        "_abandoned",
        "_inbox",
        "_last_request",
        "_line",
        "_nursery",
        "_open_requests",
        "_over",
        "_reading",
        "_room",
        "_session",
        "_to_inbox",
        "_waiting",
        "_writing",
        "dialed",
        "ending",
        "hello",
        "peer",
        "remote",
    )
    OUTBOX_BYTES_MAX = limits.OUTBOX_BYTES_MAX

    def __init__(self, greeted: Greeted, nursery: trio.Nursery) -> None:
        self.peer: NodeId = greeted.done.peer
        self.hello: Hello = greeted.done.hello
        self.remote = greeted.remote
        self.dialed = greeted.dialed
        self.ending: Disconnected | None = None
        """Why the connection is over; None while it is not."""
        self._over: trio.Event | None = None
        self._line = Line(greeted.stream)
        self._session = greeted.session
        self._nursery = nursery
        self._reading: trio.CancelScope | None = None
        self._writing: trio.CancelScope | None = None
        self._room: trio.lowlevel.ParkingLot | None = None
        self._last_request = 0
        self._open_requests: trio.Semaphore | None = None
        self._waiting: dict[int, Answers] = {}
        self._abandoned: dict[int, type[Message]] = {}
        self._to_inbox: trio.MemorySendChannel[Incoming] | None = None
        self._inbox: trio.MemoryReceiveChannel[Incoming] | None = None

    @property
    def over(self) -> trio.Event:
        """Set when the connection is over."""
        if self._over is None:
            self._over = trio.Event()
            if self.ending is not None:
                self._over.set()
        return self._over

    # --- asking -------------------------------------------------------------------------------------

    def next_request(self) -> int:
        """A number for a new request, never used before on this channel."""
        self._last_request += 1
        return self._last_request

    async def ask(self, message: Message) -> Any:
        """The one answer to a request. Raises `Refused` or `Disconnected`."""
        async with self.request(message) as answers:
            async for answer in answers:
                return answer.message
        raise Misuse("A complete request had no answer.")

    @asynccontextmanager
    async def request(self, message: Message, take: Take | None = None) -> AsyncIterator[Answers]:
        """All answers to a request. Leaving before the last one tells the other side to stop.

        `take` is shown answers by the task that reads the stream, which saves a change of task, and says
        whether it dealt with one; the others are iterated over, and so is whatever arrives before those are
        dealt with. It must not wait, may raise `PeerFault`, and is never shown a refusal.
        """
        number: int = message.request  # type: ignore[attr-defined]
        answers = Answers(message, take)
        if self._open_requests is None:
            self._open_requests = trio.Semaphore(limits.REQUESTS_OPEN_MAX)
        async with self._open_requests:
            self._check_open()
            self._waiting[number] = answers
            try:
                await self.send(message)
                yield answers
            finally:
                self._waiting.pop(number, None)
                if not answers.complete and self.ending is None:
                    self._abandoned[number] = type(message)
                    self.post(Cancel(request=number))

    # --- saying -------------------------------------------------------------------------------------

    async def send(self, message: Message, payload: bytes | bytearray | memoryview | None = None) -> None:
        """Say something; waits while much is unsent. `payload` must not change until it is sent.

        Raises `Disconnected`.
        """
        self._check_open()
        self._session.send(message, payload)
        self._start_writing()
        while self._session.pending_bytes > self.stride and self.ending is None:
            await self._change()
        self._check_open()
        await trio.lowlevel.checkpoint_if_cancelled()

    @property
    def stride(self) -> int:
        """How many bytes to send with one message, so that what others say does not wait long behind them."""
        return self._line.stride

    def post(self, message: Message) -> None:
        """Say something without ever waiting. A reader who lets too much pile up is disconnected."""
        if self.ending is not None or self._session.over:
            return
        self._session.send(message, None)
        self._start_writing()
        if self._session.pending_bytes > self.OUTBOX_BYTES_MAX:
            self._finish(Disconnected("The other side does not read.", CloseCode.TOO_SLOW))

    def post_if_room(self, message: Message) -> bool:
        """Say something that may be left out. False if it was, since a slow reader has enough to read."""
        if self._session.pending_bytes > limits.OUTBOX_SPARE_BYTES:
            return False
        self.post(message)
        return self.ending is None

    async def refuse(self, request: int, reason: Reason, text: str = "", retry_after_s: int = 0) -> None:
        """Say no to a request. Raises `Disconnected`."""
        await self.send(
            RefusedMessage(request=request, reason=reason, text=text, retry_after_s=retry_after_s)
        )

    # --- hearing ------------------------------------------------------------------------------------

    def incoming(self) -> trio.MemoryReceiveChannel[Incoming]:
        """What the other side asks and says; iterating ends with the connection (`ending` tells why)."""
        assert self._inbox is not None, "whoever attends a channel is shown what arrives"
        return self._inbox

    # --- ending -------------------------------------------------------------------------------------

    async def aclose(self, code: CloseCode = CloseCode.BYE, text: str = "", retry_after_s: int = 0) -> None:
        """Say farewell and end the connection. `retry_after_s`: not to come back before that."""
        if self.ending is None:
            if not self._session.over:
                self._session.send(Close(code=code, text=text, retry_after_s=retry_after_s), None)
            await self._farewell()
            self._finish(Disconnected("We closed the connection.", code))

    def _check_open(self) -> None:
        if self.ending is not None:
            raise Disconnected(str(self.ending), self.ending.code, self.ending.retry_after_s)
        if self._session.over:  # the last words are just being sent
            raise Disconnected

    def _finish(self, ending: Disconnected) -> None:
        if self.ending is not None:
            return
        # Without the frames that it came through: they hold this channel, and only a pass of the garbage
        # collector would find the two.
        self.ending = ending = Disconnected(str(ending), ending.code, ending.retry_after_s)
        if self._over is not None:
            self._over.set()
        if self._to_inbox is not None:
            self._to_inbox.close()
        for answers in self._waiting.values():
            answers.end(ending)
        self._changed()
        if self._reading is None:
            self._line.hang_up()
        else:
            self._reading.cancel()
        if self._writing is not None:
            self._writing.cancel()

    async def _farewell(self) -> None:
        """Wait until the last message is out, within limits."""
        self._start_writing()
        with trio.move_on_after(FAREWELL_S, shield=True):
            while self._writing is not None and self.ending is None:
                await self._change()

    async def _change(self) -> None:
        """Wait until there is more room, or the connection is over."""
        if self._room is None:
            self._room = trio.lowlevel.ParkingLot()
        await self._room.park()

    def _changed(self) -> None:
        if self._room is not None:
            self._room.unpark_all()

    # --- the two tasks ------------------------------------------------------------------------------

    async def _read(self, events: list[Event]) -> None:
        try:
            with self._reading or nullcontext():
                await self._read_until_the_end(events)
        except PeerFault as fault:
            if not self._session.over:  # otherwise it found the fault itself and has queued its last words
                self._session.send(Close(code=fault.code, text=fault.text), None)
            await self._farewell()
            self._finish(Disconnected(f"They broke the protocol: {fault.text}", fault.code))
        except Disconnected as ending:
            self._finish(ending)

    async def _read_until_the_end(self, events: list[Event]) -> None:
        timer: float | None = None
        until = math.inf
        while True:
            while events and self.ending is None:
                await self._deliver(events.pop(0))  # and keep no payload alive while waiting
            data: bytes | bytearray | memoryview | None = None
            if (due := self._session.next_timer()) != timer:
                timer, until = due, math.inf if due is None else max(due, trio.current_time() + LOOK_S)
            with trio.move_on_at(until):
                data = await self._line.read(self._session.expected_bytes)
            if data is None:  # a look at the stream before that: what waits there is no silence
                data = self._line.look()
            if data is not None and not data:
                raise Disconnected("The other side hung up.")
            now = trio.current_time()
            events = self._session.receive_data(data, now) if data is not None else []
            if now >= until:  # even if something came: bytes that never make a whole record are silence, too
                events += self._session.handle_timer(now)
            self._start_writing()  # a ping is due, or one was answered

    async def _deliver(self, event: Event) -> None:
        if isinstance(event, Closed):
            text = event.text or f"They closed the connection: {event.code.__doc__}"
            raise Disconnected(text, event.code, event.retry_after_s)
        assert isinstance(event, MessageReceived)
        message = event.message
        if not message.ANSWERS and not isinstance(message, RefusedMessage):
            await self._hand_in(Incoming(message, event.payload))
            return
        number: int = message.request  # type: ignore[attr-defined]
        answers = self._waiting.get(number)
        asked = (
            type(answers.asked)
            if answers is not None and not answers.complete
            else self._abandoned.get(number)
        )
        if asked is None or (message.ANSWERS and asked not in message.ANSWERS):
            raise PeerFault(CloseCode.WRONG_ORDER, f"{message.NAME} answers nothing that was asked.")
        if answers is not None:
            answers.deliver(Incoming(message, event.payload))
        elif not getattr(message, "more", False):
            del self._abandoned[number]

    async def _hand_in(self, incoming: Incoming) -> None:
        """Raises `Disconnected` if our own side takes nothing for too long.

        That happens to somebody who asks on and on without reading the answers: the task that answers waits
        for room to send, so the inbox stays full, and nothing would ever notice the silence.
        """
        assert self._to_inbox is not None
        with trio.move_on_after(limits.SILENT_AFTER_S):
            try:
                await self._to_inbox.send(incoming)
            except trio.ClosedResourceError:  # the connection ended meanwhile
                raise Disconnected from None
            return
        raise Disconnected("The other side asks but does not read.", CloseCode.TOO_SLOW)

    def _start_writing(self) -> None:
        # No task waits beside an idle connection: one is started when there is something to write.
        if self._writing is None and self._session.pending_bytes and self.ending is None:
            self._writing = trio.CancelScope()
            self._nursery.start_soon(self._write, self._writing)

    async def _write(self, scope: trio.CancelScope, begun: memoryview | None = None) -> None:
        """All there is to say. `begun`: the rest of what is on the line in part."""
        try:
            with scope:
                if begun is not None:
                    await self._line.write(begun)
                    begun = None  # its memory is used again
                while outgoing := self._session.data_to_send(WRITE_BYTES):
                    await self._line.write(outgoing)
                    if self._session.pending_bytes <= self.stride:
                        self._changed()
        except Disconnected as ending:
            self._finish(ending)
        finally:
            self._writing = None
            self._changed()


@asynccontextmanager
async def run_channel(greeted: Greeted) -> AsyncIterator[Channel]:
    """A running channel, closed on leaving: politely, and with its code if a `PeerFault` leaves the block.

    Errors of the block come out as they are. A connection that ends does not end the block: it finds out when
    it next asks or says something, or by `over`.
    """
    try:
        async with background() as nursery:
            channel = Channel(greeted, nursery)
            channel._reading = trio.CancelScope()
            channel._to_inbox, channel._inbox = trio.open_memory_channel[Incoming](INBOX_MESSAGES)
            nursery.start_soon(channel._read, greeted.events)
            code, text = CloseCode.BYE, ""
            try:
                yield channel
            except PeerFault as fault:
                code, text = fault.code, fault.text
                raise
            finally:
                with trio.CancelScope(shield=True):  # bounded by FAREWELL_S
                    await channel.aclose(code, text)
    finally:
        await trio.aclose_forcefully(greeted.stream)
