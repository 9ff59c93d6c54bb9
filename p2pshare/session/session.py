"""One connection from one end: bytes and time in, events out; messages in, bytes out.

    receive_data(data, now) -> events        send(message, payload)
    handle_timer(now)       -> events        data_to_send(limit) -> bytes for the wire
    next_timer()            -> when to call handle_timer

Rule 1: no clock, no socket, no randomness. `now` is in seconds of a clock that never steps back.
Rule 2: whatever the other side sends, memory stays bounded and the outcome is events or one `PeerFault`.
After that, or after `Closed`, the session is over: it reads no more, but what it queued can still be sent.
Rule 3: the same bytes, split in any way, lead to the same events. (Only what the call that finds a fault had
found before it is lost.)
"""

from __future__ import annotations

from p2pshare import limits
from p2pshare.errors import CloseCode, Misuse, PeerFault
from p2pshare.identity import NodeId
from p2pshare.session.budget import TokenBucket
from p2pshare.session.buffers import SpareBuffers
from p2pshare.session.cipher import Opener, Sealer
from p2pshare.session.events import Closed, Event, MessageReceived
from p2pshare.session.greeting import Greeting
from p2pshare.session.handshake import NoiseStatic
from p2pshare.session.inbox import Inbox
from p2pshare.session.outbox import Outbox
from p2pshare.session.states import Party, Phase, Talk, is_allowed, phase_after
from p2pshare.wire.schema import REGISTRY, Message, encode, frame_max_untrusted
from p2pshare.wire.session import Close, Hello, Ping, Pong, Refused

Bytes = bytes | bytearray | memoryview
COME_AGAIN = "The other side takes no more connections at the moment."


class Session:
    """The rules of one connection, for either end. It deals with ping, pong and close itself."""

    __slots__ = (
        "_buffers",
        "_bytes_budget",
        "_greeting",
        "_heard_at",
        "_inbox",
        "_message_budget",
        "_now",
        "_outbox",
        "_party",
        "_phase",
        "_pinged_at",
        "_sent_at",
        "_started_at",
        "_talk",
        "_unsealed",
        "over",
    )
    # These exist once the greeting is over and `_greeting` is None.
    _inbox: Inbox
    _outbox: Outbox
    _talk: Talk
    _heard_at: float
    _sent_at: float
    _pinged_at: float

    def __init__(
        self,
        party: Party,
        static: NoiseStatic,
        hello: Hello,
        *,
        now: float,
        ephemeral: bytes,
        expected: NodeId | None = None,
        buffers: SpareBuffers | None = None,
    ) -> None:
        """`ephemeral`: 32 random bytes, used only here. `expected`: whom we mean to reach, if known.
        `buffers`: shared with other sessions.
        """
        self._party = party
        self._buffers = buffers or SpareBuffers()
        self._greeting: Greeting | None = Greeting(party, static, hello, ephemeral, expected)
        self._unsealed = self._greeting.take_to_send()
        self._phase = Phase.GREETED
        self._message_budget = TokenBucket(limits.CONTROL_MESSAGES_PER_S, limits.CONTROL_MESSAGES_BURST, now)
        self._bytes_budget = TokenBucket(limits.CONTROL_BYTES_PER_S, limits.CONTROL_BYTES_BURST, now)
        self._started_at = self._now = now
        self.over = False

    @property
    def pending_bytes(self) -> int:
        """How much waits to be sent, in bytes before sealing."""
        return len(self._unsealed) + (self._outbox.pending_bytes if self._greeting is None else 0)

    @property
    def expected_bytes(self) -> int:
        """At least so many bytes are still to come before the next message; 0 if that is not known."""
        return self._inbox.expected_bytes if self._greeting is None else 0

    # --- receiving -----------------------------------------------------------------------------------

    def receive_data(self, data: Bytes, now: float) -> list[Event]:
        """What the bytes mean. Raises `PeerFault`; `data_to_send` then has a `close` that tells them why."""
        if self.over:
            return []
        self._now = now
        events: list[Event] = []
        try:
            self._receive_untrusted(memoryview(data), events)
        except PeerFault as fault:
            self._end(fault.code, fault.text)
            raise
        return events

    def _receive_untrusted(self, data: memoryview, events: list[Event]) -> None:
        if self._greeting is not None:
            data = data[self._greeting.receive_untrusted(data) :]
            self._unsealed += self._greeting.take_to_send()
            if (after_s := self._greeting.come_again_s) is not None:
                self.over = True
                when = f"in {after_s} s" if after_s else "now"  # they said 0, whatever they mean by it
                events.append(Closed(CloseCode.TOO_MANY, f"{COME_AGAIN} Try again {when}.", after_s))
                return
            if self._greeting.done is None:
                return
            events.append(self._greeting.done)
            self._establish(self._greeting)
        opened = self._inbox.records_opened
        for message, payload in self._inbox.read_untrusted(data, self._admit_untrusted):
            self._take_untrusted(message, payload, events)
            if self.over:
                return
        if self._inbox.records_opened > opened:  # whole and genuine: a byte a minute is silence
            self._heard_at = self._now

    def _establish(self, greeting: Greeting) -> None:
        send_key, receive_key = greeting.keys()
        self._talk = greeting.talk
        self._outbox = Outbox(Sealer(send_key), self._buffers)
        self._inbox = Inbox(Opener(receive_key), self._buffers)
        self._heard_at = self._sent_at = self._pinged_at = self._now
        self._greeting = None

    def _admit_untrusted(self, kind: int, length: int) -> None:
        """Judge a frame by its kind and length, before it is held. Raises `PeerFault`."""
        if length > frame_max_untrusted(kind):
            raise PeerFault(CloseCode.BAD_FRAME, f"A frame of kind {kind} with {length} bytes is too long.")
        message_class = REGISTRY.get(kind)
        if message_class is not None and not is_allowed(
            self._talk, self._phase, self._party.other, message_class
        ):
            raise PeerFault(CloseCode.WRONG_ORDER, f"`{message_class.NAME}` is not allowed here and now.")
        if message_class is not None and _answers_a_request(message_class):
            return  # as many as were asked for
        if not self._message_budget.take(1, self._now):
            raise PeerFault(CloseCode.TOO_FAST, "Too many messages a second.")
        if not self._bytes_budget.take(length, self._now):
            raise PeerFault(CloseCode.TOO_FAST, "Too many bytes of messages a second.")

    def _take_untrusted(self, message: Message, payload: memoryview | None, events: list[Event]) -> None:
        self._phase = phase_after(self._talk, self._phase, type(message))
        if isinstance(message, Close):
            self.over = True
            events.append(Closed(message.code, message.text, message.retry_after_s))
        elif isinstance(message, Ping):
            if self.pending_bytes > limits.OUTBOX_BYTES_MAX:
                raise PeerFault(CloseCode.TOO_SLOW, "Pings arrive, but what is sent is not read.")
            self._outbox.add_frame(encode(Pong()))
            self._buffers.release()  # who pings has little else to say
        elif not isinstance(message, Pong):
            events.append(MessageReceived(message, payload))

    # --- sending -------------------------------------------------------------------------------------

    def send(self, message: Message, payload: Bytes | None = None) -> None:
        """Queue a message. Its payload is not copied: leave it unchanged until sent. Raises `Misuse`."""
        if self.over or self._greeting is not None:
            raise Misuse(f"{message.NAME}: the connection is {'over' if self.over else 'not ready yet'}.")
        if not is_allowed(self._talk, self._phase, self._party, type(message)):
            raise Misuse(f"{message.NAME}: not allowed here and now.")
        behind = memoryview(b"" if payload is None else payload).cast("B")
        announced = getattr(message, message.PAYLOAD) if message.PAYLOAD else 0
        if len(behind) != announced:
            raise Misuse(f"{message.NAME}: announces {announced} bytes of payload, has {len(behind)}.")
        self._outbox.add_frame(encode(message))
        if behind:
            self._outbox.add_payload(behind)
        self._phase = phase_after(self._talk, self._phase, type(message))
        self.over = isinstance(message, Close)

    def data_to_send(self, limit: int) -> memoryview:
        """Bytes for the wire: records of at most `limit` bytes, but at least one; empty if there is nothing.

        Write them before asking again, and then let go of them: their memory is used again.
        """
        if self._unsealed:
            unsealed, self._unsealed = self._unsealed, b""
            return memoryview(unsealed)
        if self._greeting is not None or not self._outbox.pending_bytes:
            return memoryview(b"")
        self._sent_at = self._now  # or a little later; so a ping goes out too early rather than too late
        return self._outbox.seal(limit)

    # --- time ----------------------------------------------------------------------------------------

    def next_timer(self) -> float | None:
        """When to call `handle_timer`; it moves with everything that is received or sent."""
        if self.over:
            return None
        if self._greeting is not None:
            return self._started_at + limits.HANDSHAKE_TIMEOUT_S
        return min(self._silent_at(), self._ping_at())

    def handle_timer(self, now: float) -> list[Event]:
        """Send a ping, or give up on a silent peer, if it is time to."""
        due = self.next_timer()
        if due is None or now < due:
            return []
        self._now = now
        if self._greeting is not None:
            return self._give_up(f"The handshake took longer than {limits.HANDSHAKE_TIMEOUT_S} seconds.")
        if now >= self._silent_at():
            return self._give_up(f"Nothing arrived for {limits.SILENT_AFTER_S} seconds.")
        self._pinged_at = now
        self._outbox.add_frame(encode(Ping()))
        self._buffers.release()
        return []

    def _silent_at(self) -> float:
        return self._heard_at + limits.SILENT_AFTER_S

    def _ping_at(self) -> float:
        """Each side speaks up when it has heard nothing, and also when it has said nothing for a while.

        The second is for one who only receives: the other's pings may wait behind megabytes on a slow line.
        """
        # The acceptor waits a little longer, so that between idle programs only one of the two pings.
        after_s = limits.PING_AFTER_S if self._party is Party.DIALER else limits.SILENT_AFTER_S / 2
        return max(min(self._heard_at, self._sent_at), self._pinged_at) + after_s

    def _give_up(self, text: str) -> list[Event]:
        self._end(CloseCode.SILENT, text)
        return [Closed(CloseCode.SILENT, text)]

    def _end(self, code: CloseCode, text: str) -> None:
        if self._greeting is None:
            self._outbox.add_frame(encode(Close(code=code, text=text)))
        self.over = True


def _answers_a_request(message_class: type[Message]) -> bool:
    """Answers are not charged: the asker decided how many there are, and refuses those it did not ask for."""
    return message_class is Refused or (bool(message_class.ANSWERS) and message_class is not Pong)
