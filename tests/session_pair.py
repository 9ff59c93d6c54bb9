"""Two sessions with a wire between them that moves only when told to, and a stranger without manners."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from p2pshare import limits
from p2pshare.errors import PeerFault
from p2pshare.identity import Identity, NodeId
from p2pshare.session.cipher import OVERHEAD_BYTES, Opener, Sealer
from p2pshare.session.events import Event, HandshakeDone
from p2pshare.session.handshake import NoiseStatic, NoiseXX, write_introduction
from p2pshare.session.session import Session
from p2pshare.session.states import Party
from p2pshare.wire.fields import Role
from p2pshare.wire.peer import Admitted, Knock
from p2pshare.wire.schema import Message, encode
from p2pshare.wire.session import Hello

ALICE, BOB, MALLORY = (Identity.from_seed(name * 32) for name in (b"a", b"b", b"m"))
SLICE_BYTES = 256 * limits.KIB
TURNS_MAX = 10  # no exchange in these tests takes more


@cache
def static_of(identity: Identity) -> NoiseStatic:
    return NoiseStatic.create(identity, bytes(reversed(identity.seed()[1:])) + b"s")


def hello(role: Role = Role.CLIENT, versions: tuple[int, ...] = (limits.PROTOCOL_VERSION,)) -> Hello:
    return Hello(role=role, versions=versions, agent="test")


def session(
    party: Party,
    identity: Identity,
    said: Hello | None = None,
    *,
    expected: NodeId | None = None,
    now: float = 0.0,
) -> Session:
    """One end with fixed randomness; alice and bob differ in it."""
    ephemeral = identity.seed()[:31] + party.name[:1].encode()
    return Session(
        party, static_of(identity), said or hello(), now=now, ephemeral=ephemeral, expected=expected
    )


def drain(sender: Session) -> bytes:
    """All it has to send, now."""
    slices = []
    while outgoing := sender.data_to_send(SLICE_BYTES):
        slices.append(bytes(outgoing))
    return b"".join(slices)


class Pair:
    """Alice dials Bob. `events` collects what each of them was told."""

    def __init__(
        self,
        dialer: Hello | None = None,
        acceptor: Hello | None = None,
        *,
        expected: NodeId | None = None,
        now: float = 0.0,
    ) -> None:
        self.now = now
        self.alice = session(Party.DIALER, ALICE, dialer, expected=expected, now=now)
        self.bob = session(Party.ACCEPTOR, BOB, acceptor, now=now)
        self.told_alice: list[Event] = []
        self.told_bob: list[Event] = []

    def transmit(self) -> Pair:
        """Carry everything in both directions until nobody has anything to say."""
        for _ in range(TURNS_MAX):
            to_bob, to_alice = drain(self.alice), drain(self.bob)
            if not to_bob and not to_alice:
                return self
            self.told_bob += self.bob.receive_data(to_bob, self.now)
            self.told_alice += self.alice.receive_data(to_alice, self.now)
        raise AssertionError(f"they were still talking after {TURNS_MAX} turns")

    def forget(self) -> Pair:
        """Start collecting events afresh."""
        self.told_alice, self.told_bob = [], []
        return self


def greeted() -> Pair:
    """Two clients whose handshake is done."""
    return Pair().transmit().forget()


def admitted() -> Pair:
    """Two clients, ready for anything."""
    pair = greeted()
    pair.alice.send(Knock(request=1, ticket=b""))
    pair.transmit().bob.send(Admitted(request=1))
    return pair.transmit().forget()


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + body


def frames(*messages: Message) -> bytes:
    return b"".join(frame(encode(message)) for message in messages)


class Stranger:
    """Dials a session with a handshake of its own and can then seal whatever it likes."""

    def __init__(self, said: Hello | None = None) -> None:
        self.victim = session(Party.ACCEPTOR, BOB)
        static = static_of(MALLORY)
        noise = NoiseXX(dialing=True, static=static.key, ephemeral=b"e" * 32, prologue=limits.PROTOCOL_NAME)
        self.tell(length_prefixed(noise.write(b"")))
        noise.read_untrusted(drain(self.victim)[2:])
        introduction = write_introduction(static, said or hello())
        (done,) = self.tell(length_prefixed(noise.write(introduction)))
        assert isinstance(done, HandshakeDone)
        send_key, receive_key = noise.split()
        self._sealer, self._opener = Sealer(send_key), Opener(receive_key)

    def tell(self, data: bytes, now: float = 0.0) -> list[Event]:
        return self.victim.receive_data(data, now)

    def sealed(self, *texts: bytes) -> bytes:
        """One genuine record for each text."""
        return seal_all(self._sealer, texts)

    def say(self, *texts: bytes, now: float = 0.0) -> list[Event]:
        return self.tell(self.sealed(*texts), now)

    def come_in(self) -> Stranger:
        """Be admitted as a peer, so that every message between clients is allowed."""
        self.say(frames(Knock(request=1, ticket=b"")))
        self.victim.send(Admitted(request=1))
        self.hear()
        return self

    def hear(self) -> bytes:
        """The plaintext of everything the victim has to say."""
        wire, heard, at = memoryview(drain(self.victim)), b"", 0
        while at < len(wire):
            end = at + 2 + int.from_bytes(wire[at : at + 2], "big")
            heard += self._opener.open_untrusted(wire[at + 2 : end])
            at = end
        return heard


def length_prefixed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def seal_all(sealer: Sealer, texts: Sequence[bytes]) -> bytes:
    out = bytearray(sum(len(text) + OVERHEAD_BYTES for text in texts))
    sealer.seal([memoryview(text) for text in texts], memoryview(out))
    return bytes(out)


def records_of(wire: bytes) -> list[bytes]:
    """The stream cut at its length prefixes, each piece with its prefix."""
    pieces, at = [], 0
    while at < len(wire):
        end = at + 2 + int.from_bytes(wire[at : at + 2], "big")
        pieces.append(wire[at:end])
        at = end
    return pieces


def feed(
    receiver: Session, chunks: Iterable[bytes], now: float = 0.0
) -> tuple[list[Event], PeerFault | None]:
    """Every event that came out, and the fault that ended it, if one did.

    As on a real connection, all chunks come in the same memory: whatever is kept of one must be copied.
    """
    events: list[Event] = []
    memory = bytearray()
    try:
        for chunk in chunks:
            memory.extend(bytes(max(0, len(chunk) - len(memory))))
            memory[: len(chunk)] = chunk
            with memoryview(memory) as view, view[: len(chunk)] as seen:
                events += receiver.receive_data(seen, 0)
            memory[:] = b"\xee" * len(memory)
    except PeerFault as fault:
        return events, fault
    return events, None
