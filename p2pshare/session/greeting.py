"""The start of a connection: three handshake messages on the wire, then both sides know whom they talk to.

Each message travels as `u16be length || bytes`, like the records that come after it.
"""

from __future__ import annotations

from p2pshare import limits
from p2pshare.errors import CloseCode, PeerFault
from p2pshare.identity import NodeId
from p2pshare.session.events import HandshakeDone
from p2pshare.session.handshake import NoiseStatic, NoiseXX, read_introduction_untrusted, write_introduction
from p2pshare.session.records import LENGTH_BYTES, RecordCutter
from p2pshare.session.settle import settle
from p2pshare.session.states import Party, Talk, settle_talk
from p2pshare.wire.session import Hello

COME_AGAIN_BYTES = 2  # far less than a handshake message has


def come_again(after_s: int) -> bytes:
    """What an acceptor that has no place sends instead of its handshake message: it costs no cryptography."""
    seconds = min(limits.COME_AGAIN_S_MAX, after_s)
    return COME_AGAIN_BYTES.to_bytes(LENGTH_BYTES, "big") + seconds.to_bytes(COME_AGAIN_BYTES, "big")


class Greeting:
    """The handshake as one end sees it. `done` is None until the other side is known."""

    __slots__ = (
        "_cutter",
        "_expected",
        "_hello",
        "_noise",
        "_party",
        "_static",
        "_to_send",
        "come_again_s",
        "done",
        "talk",
    )

    def __init__(
        self, party: Party, static: NoiseStatic, hello: Hello, ephemeral: bytes, expected: NodeId | None
    ) -> None:
        self._party = party
        self._static = static
        self._hello = hello
        self._expected = expected
        self._cutter = RecordCutter()
        self._noise = NoiseXX(
            dialing=party is Party.DIALER,
            static=static.key,
            ephemeral=ephemeral,
            prologue=limits.PROTOCOL_NAME,
        )
        self.done: HandshakeDone | None = None
        self.come_again_s: int | None = None
        """The acceptor has no place at the moment: when to try again. It has not said who it is."""
        self.talk = Talk.PEERS  # until the hellos tell
        self._to_send = b""
        if party is Party.DIALER:
            self._write(b"")

    def receive_untrusted(self, data: memoryview) -> int:
        """Take handshake messages from the start of `data`; returns how much that was. Raises `PeerFault`."""
        at = 0
        while self.done is None and self.come_again_s is None and at < len(data):
            message, at = self._cutter.cut_untrusted(data, at, _check_length_untrusted)
            if message is not None:
                self._read_untrusted(bytes(message[LENGTH_BYTES:]))
        return at

    def take_to_send(self) -> bytes:
        """The handshake messages that are to be sent now; they are given once."""
        to_send, self._to_send = self._to_send, b""
        return to_send

    def keys(self) -> tuple[bytes, bytes]:
        """(key to send with, key to receive with), once done."""
        return self._noise.split()

    def _read_untrusted(self, message: bytes) -> None:
        if len(message) == COME_AGAIN_BYTES and self._party is Party.DIALER:
            self.come_again_s = min(limits.COME_AGAIN_S_MAX, int.from_bytes(message, "big"))
            return
        payload = self._noise.read_untrusted(message)
        if self._noise.passed == 1:
            if payload:
                raise PeerFault(CloseCode.BAD_HANDSHAKE, "The first handshake message has a payload.")
            self._write(write_introduction(self._static, self._hello))
            return
        peer, theirs = read_introduction_untrusted(payload, self._noise.rs, self._expected)
        settled = settle(self._hello, theirs)
        roles = (self._hello.role, theirs.role)
        self.talk = settle_talk(*(roles if self._party is Party.DIALER else reversed(roles)))
        # Only now, when everything about the acceptor has held, does the dialer say who it is.
        if self._party is Party.DIALER:
            self._write(write_introduction(self._static, self._hello))
        self.done = HandshakeDone(peer, theirs, settled)

    def _write(self, payload: bytes) -> None:
        message = self._noise.write(payload)
        self._to_send += len(message).to_bytes(LENGTH_BYTES, "big") + message


def _check_length_untrusted(length: int) -> None:
    if length > limits.HANDSHAKE_BYTES_MAX:
        raise PeerFault(CloseCode.BAD_HANDSHAKE, "A handshake message is too long. Is this another protocol?")
