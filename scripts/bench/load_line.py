"""One connection of a load test: the real session of the protocol on a socket that never blocks, and no more.

A thousand of them are served by one loop; neither task nor nursery stands behind any. The only part of the
protocol that is not done as a client does it: of the files in an answer to a search, only the number is read,
for making objects of them would take as long as the server took to find them.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from errno import EINPROGRESS
from itertools import count

import msgspec

from p2pshare.errors import CloseCode, PeerFault
from p2pshare.identity import NodeId
from p2pshare.limits import KEY_BYTES, KIB, PROTOCOL_VERSION
from p2pshare.session import inbox
from p2pshare.session.buffers import SpareBuffers
from p2pshare.session.events import Closed, Event, HandshakeDone, MessageReceived
from p2pshare.session.handshake import NoiseStatic
from p2pshare.session.session import Session
from p2pshare.session.states import Party
from p2pshare.wire.fields import Role
from p2pshare.wire.index import SearchHits
from p2pshare.wire.schema import Message, decode_untrusted
from p2pshare.wire.session import Hello

READ_BYTES = 256 * KIB
WRITE_BYTES = 256 * KIB
HELLO = Hello(role=Role.CLIENT, versions=(PROTOCOL_VERSION,), agent="p2pshare load test")
NO_ITEMS = b"\x90"  # an empty array in MessagePack
HITS_AT = 1 + [field.name for field in SearchHits.FIELDS].index("hits")  # the kind comes first

_split = msgspec.msgpack.Decoder(list[msgspec.Raw])
_buffers = SpareBuffers()

Answered = Callable[[Message], None]


def read_cheaply_untrusted(body: bytes | bytearray | memoryview) -> Message | None:
    """As `decode_untrusted`, but no hit of a search is looked at."""
    kind = SearchHits.KIND
    if len(body) > 2 and body[0] & 0xF0 == 0x90 and body[1] == kind:
        items = [bytes(item) for item in _split.decode(body)]
        items[HITS_AT] = NO_ITEMS
        return decode_untrusted(bytes([0x90 | len(items)]) + b"".join(items))
    return decode_untrusted(body)


def read_hits_cheaply() -> None:
    """From now on, in this whole process."""
    inbox.decode_untrusted = read_cheaply_untrusted  # type: ignore[attr-defined]


class Ended(Exception):
    """The connection is over."""

    def __init__(self, code: CloseCode | None, text: str, retry_after_s: int = 0) -> None:
        """`code`: None if it was lost without a word."""
        super().__init__(text)
        self.code = code
        self.retry_after_s = retry_after_s


class Line:
    """Whoever owns it waits for its socket, and calls `read` and `flush` when there is something to."""

    __slots__ = ("_numbers", "_unsent", "greeted", "heard", "open", "session", "socket")

    def __init__(self, stream: socket.socket, session: Session) -> None:
        self.socket = stream
        self.session = session
        self.open: dict[int, Answered] = {}
        """What answers are waited for, by request."""
        self.greeted: Callable[[], None] | None = None
        """Called once the handshake is done."""
        self.heard: Callable[[Message], None] | None = None
        """Called with whatever was not asked for."""
        self._numbers = count(1)
        self._unsent = b""

    def ask(self, build: Callable[[int], Message], answered: Answered) -> None:
        """Ask something; `answered` is called with the answer, be it a refusal."""
        number = next(self._numbers)
        self.open[number] = answered
        self.session.send(build(number))

    def read(self) -> None:
        """Take what is there. Raises `Ended`."""
        try:
            data = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            raise Ended(None, f"The connection was lost: {error.strerror}.") from None
        if not data:
            raise Ended(None, "The server hung up.")
        try:
            events = self.session.receive_data(data, time.monotonic())
        except PeerFault as fault:
            raise Ended(fault.code, f"The server broke the protocol: {fault.text}") from None
        self._take(events)

    def tick(self) -> None:
        """The session's timer is due. Raises `Ended`."""
        self._take(self.session.handle_timer(time.monotonic()))

    def flush(self) -> bool:
        """Send what can be sent now. True if more is left, for which there is no room. Raises `Ended`."""
        try:
            while True:
                if not self._unsent:
                    self._unsent = bytes(self.session.data_to_send(WRITE_BYTES))
                if not self._unsent:
                    return False
                sent = self.socket.send(self._unsent)
                self._unsent = self._unsent[sent:]
        except BlockingIOError:
            return True
        except OSError as error:
            raise Ended(None, f"The connection was lost: {error.strerror}.") from None

    def _take(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, MessageReceived):
                message = event.message
                answered = self.open.pop(getattr(message, "request", 0), None)
                if answered is not None:
                    answered(message)
                elif self.heard is not None:
                    self.heard(message)
            elif isinstance(event, HandshakeDone):
                if self.greeted is not None:
                    self.greeted()
            elif isinstance(event, Closed):
                raise Ended(event.code, event.text, event.retry_after_s)


def dial(static: NoiseStatic, address: str, host: str, port: int, expected: NodeId) -> Line:
    """A connection from a local address that is just being made. Raises `OSError`."""
    stream = socket.socket()
    stream.setblocking(False)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream.setsockopt(socket.SOL_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: the port is chosen when it connects
    stream.bind((address, 0))
    error = stream.connect_ex((host, port))
    if error not in (0, EINPROGRESS):
        stream.close()
        raise OSError(error, os.strerror(error))
    return Line(stream, _session(Party.DIALER, static, expected))


def answer(static: NoiseStatic, stream: socket.socket) -> Line:
    """A connection that somebody else began."""
    stream.setblocking(False)
    return Line(stream, _session(Party.ACCEPTOR, static, None))


def _session(party: Party, static: NoiseStatic, expected: NodeId | None) -> Session:
    return Session(
        party,
        static,
        HELLO,
        now=time.monotonic(),
        ephemeral=os.urandom(KEY_BYTES),
        expected=expected,
        buffers=_buffers,
    )
