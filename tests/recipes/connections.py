"""Vectors of whole connections: the handshake step by step, records, frames, order, and a conversation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from p2pshare import limits
from p2pshare.errors import CloseCode
from p2pshare.hashing import FileId
from p2pshare.identity import CONTEXT_NOISE, Identity
from p2pshare.session.cipher import PLAINTEXT_MAX, Sealer
from p2pshare.session.greeting import come_again
from p2pshare.session.handshake import NoiseStatic, NoiseXX, write_introduction
from p2pshare.session.session import Session
from p2pshare.session.states import Party, Phase
from p2pshare.wire import index, peer
from p2pshare.wire.fields import Role
from p2pshare.wire.peer import Admitted, Data, Fetch, Knock
from p2pshare.wire.schema import Message, dump, encode, pack
from p2pshare.wire.session import Close, Hello, Ping
from tests.session_pair import seal_all
from tests.vector_file import Vector, notation, vector
from tests.wire_values import example

SEEDS = {Party.DIALER: bytes(range(32)), Party.ACCEPTOR: bytes(range(32, 64))}
STATIC_KEYS = {Party.DIALER: bytes(range(64, 96)), Party.ACCEPTOR: bytes(range(96, 128))}
EPHEMERAL_KEYS = {Party.DIALER: bytes(range(128, 160)), Party.ACCEPTOR: bytes(range(160, 192))}
HELLO = Hello(role=Role.CLIENT, versions=(1,), capabilities=(), agent="example/1")
KEY = bytes(range(192, 224))
PAYLOAD = b"somebody's song"
MIXED_IN = {1: ("e", "payload"), 2: ("e", "s", "payload"), 3: ("s", "payload")}  # by message


def vectors() -> Iterator[Vector]:
    yield handshake()
    yield no_place()
    yield from handshake_failures()
    yield conversation()
    yield from records()
    yield from frames()
    yield from orders()


# --- the handshake ------------------------------------------------------------------------------------------


def static_of(party: Party) -> NoiseStatic:
    return NoiseStatic.create(Identity.from_seed(SEEDS[party]), STATIC_KEYS[party])


class TracedNoise(NoiseXX):
    """Tells h, ck and k after every step of the message being written."""

    def __init__(self, party: Party, prologue: bytes = limits.PROTOCOL_NAME) -> None:
        self.trace: list[tuple[str, bytes]] = []
        static = static_of(party).key
        super().__init__(
            dialing=party is Party.DIALER, static=static, ephemeral=EPHEMERAL_KEYS[party], prologue=prologue
        )

    def _mix_hash(self, data: bytes) -> None:
        super()._mix_hash(data)
        self.trace.append(("h", self._h))

    def _mix_shared_untrusted(self, token: str) -> None:
        super()._mix_shared_untrusted(token)
        assert self._k is not None
        self.trace += [(f"ck after {token}", self._ck), (f"k after {token}", self._k)]


def both() -> dict[Party, TracedNoise]:
    return {party: TracedNoise(party) for party in Party}


def keys_of(party: Party) -> list[tuple[str, object]]:
    static = static_of(party)
    who = party.name.lower()
    return [
        (f"{who} identity seed", SEEDS[party]),
        (f"{who} identity key", static.node_id),
        (f"{who} static private", STATIC_KEYS[party]),
        (f"{who} static public", static.key.public_key().public_bytes_raw()),
        (f"{who} static signature", static.signature),
        (f"{who} ephemeral private", EPHEMERAL_KEYS[party]),
    ]


def introduction(party: Party, hello: Hello = HELLO) -> bytes:
    return write_introduction(static_of(party), hello)


def prefixed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def handshake() -> Vector:
    noise = both()
    head: list[tuple[str, object]] = [
        ("what", "handshake"),
        ("prologue", limits.PROTOCOL_NAME),
        *keys_of(Party.DIALER),
        *keys_of(Party.ACCEPTOR),
        ("hello of both", notation([HELLO.KIND, *dump(HELLO)])),
        ("h at first", noise[Party.DIALER].trace.pop()[1]),
    ]
    body = []
    for number, writer in enumerate((Party.DIALER, Party.ACCEPTOR, Party.DIALER), start=1):
        payload = b"" if number == 1 else introduction(writer)
        noise[writer].trace.clear()
        message = noise[writer].write(payload)
        noise[writer.other].read_untrusted(message)
        mixed = iter(MIXED_IN[number])
        head += [(f"payload {number}", payload)]
        for name, value in noise[writer].trace:
            step = f"h after {next(mixed)}" if name == "h" else name
            head.append((f"message {number} {step}", value))
        head += [(f"message {number}", message)]
        body.append((">" if writer is Party.DIALER else "<", prefixed(message)))
    from_dialer, from_acceptor = noise[Party.DIALER].split()
    head += [("key from dialer", from_dialer), ("key from acceptor", from_acceptor)]
    comment = (
        "A whole handshake: h after everything that is mixed in, ck and k after every Diffie-Hellman."
        " In hex, the three messages with their lengths."
    )
    return vector("handshake", "success", comment, head, body)


def no_place() -> Vector:
    comment = "Instead of message 2: no place now, come again in 9 seconds. The dialer ends the connection."
    head: list[tuple[str, object]] = [("what", "no place"), *keys_of(Party.DIALER), ("retry after", 9)]
    return vector("handshake_no_place", "success", comment, head, come_again(9))


def handshake_failures() -> Iterator[Vector]:
    """Each feeds one end that has the keys of `handshake.txt`."""

    def case(
        name: str,
        comment: str,
        hearer: Party,
        body: list[bytes],
        code: CloseCode = CloseCode.BAD_HANDSHAKE,
        *,
        hearer_role: Role = Role.CLIENT,
        expected: bytes = b"",
    ) -> Vector:
        head = [
            ("what", "handshake"),
            ("hearer", hearer.name.lower()),
            ("role", hearer_role.name.lower()),
            *keys_of(hearer),
            *([("expected identity", expected)] if expected else []),
            ("code", code),
        ]
        return vector(f"handshake_failure_{name}", "handshake failure", comment, head, b"".join(body))

    noise = both()
    first = noise[Party.DIALER].write(b"")
    noise[Party.ACCEPTOR].read_untrusted(first)
    second = noise[Party.ACCEPTOR].write(introduction(Party.ACCEPTOR))
    noise[Party.DIALER].read_untrusted(second)

    def second_with(payload: bytes, prologue: bytes = limits.PROTOCOL_NAME) -> bytes:
        acceptor = TracedNoise(Party.ACCEPTOR, prologue)
        acceptor.read_untrusted(first)
        return prefixed(acceptor.write(payload))

    dialer, acceptor = Party.DIALER, Party.ACCEPTOR
    yield case("payload_first", "Message 1 carries nothing.", acceptor, [prefixed(first + b"!")])
    yield case("short", "Message 1 is a key.", acceptor, [prefixed(first[:-1])])
    yield case("no_place_back", "Only an acceptor can have no place.", acceptor, [come_again(9)])
    yield case("zero_key", "A key of zeros forces the secret.", acceptor, [prefixed(bytes(32))])
    yield case(
        "too_long",
        f"More than {limits.HANDSHAKE_BYTES_MAX} bytes, seen by the length alone.",
        acceptor,
        [(limits.HANDSHAKE_BYTES_MAX + 1).to_bytes(2, "big")],
    )
    yield case("another_protocol", "Not a handshake at all.", acceptor, [b"GET / HTTP/1.1\r\n\r\n"])
    damaged = second[:-1] + bytes([second[-1] ^ 1])
    yield case("damaged", "The last tag is wrong.", dialer, [prefixed(damaged)])
    yield case(
        "prologue",
        "The other end has another prologue.",
        dialer,
        [second_with(introduction(acceptor), b"p2pshare/2")],
    )
    stolen = static_of(acceptor)
    forged = replace(stolen, signature=Identity.from_seed(KEY).sign(CONTEXT_NOISE, b"x" * 32))
    yield case(
        "signature",
        "The identity key did not sign this Noise key.",
        dialer,
        [second_with(write_introduction(forged, HELLO))],
    )
    stranger = Identity.from_seed(KEY).node_id
    yield case("somebody_else", "Not the one who was dialled.", dialer, [prefixed(second)], expected=stranger)
    yield case("no_hello", "The introduction ends early.", dialer, [second_with(introduction(acceptor)[:96])])
    yield case(
        "another_message",
        "A ping stands in the place of the hello.",
        dialer,
        [second_with(introduction(acceptor)[:96] + encode(Ping()))],
    )
    yield case(
        "version",
        "No common version.",
        dialer,
        [second_with(introduction(acceptor, replace(HELLO, versions=(2, 3))))],
        CloseCode.NO_COMMON_VERSION,
    )
    yield case(
        "two_servers",
        "An index server does not dial an index server.",
        dialer,
        [second_with(introduction(acceptor, replace(HELLO, role=Role.INDEX)))],
        CloseCode.WRONG_ORDER,
        hearer_role=Role.INDEX,
    )


# --- a conversation -----------------------------------------------------------------------------------------


SAID: list[tuple[Party, list[tuple[Message, bytes | None]]]] = [
    (Party.DIALER, [(Knock(request=1, ticket=b""), None)]),
    (Party.ACCEPTOR, [(Admitted(request=1), None)]),
    (Party.DIALER, [(Fetch(request=2, file=FileId(b"f" * 32), first=0), None)]),
    (
        Party.ACCEPTOR,
        [
            (Data(request=2, piece=0, offset=0, size=len(PAYLOAD), more=False), PAYLOAD),
            (Close(code=CloseCode.BYE), None),
        ],
    ),
]


def conversation() -> Vector:
    ends = {
        party: Session(party, static_of(party), HELLO, now=0, ephemeral=EPHEMERAL_KEYS[party])
        for party in Party
    }
    head: list[tuple[str, object]] = [
        ("what", "conversation"),
        *keys_of(Party.DIALER),
        *keys_of(Party.ACCEPTOR),
    ]
    body: list[tuple[str, bytes]] = []

    def carry(sender: Party) -> None:
        data = b""
        while outgoing := ends[sender].data_to_send(limits.MIB):
            data += bytes(outgoing)
        ends[sender.other].receive_data(data, 0)
        body.append((">" if sender is Party.DIALER else "<", data))

    for sender in (Party.DIALER, Party.ACCEPTOR, Party.DIALER):
        carry(sender)
    for sender, messages in SAID:
        for message, payload in messages:
            ends[sender].send(message, payload)
            head.append((f"{sender.name.lower()} says", f"{message.NAME} {encode(message).hex()}"))
            if payload:
                head.append((f"{sender.name.lower()} sends", payload))
        carry(sender)
    comment = (
        "Two clients, from the first byte to the close, with the keys and hellos of handshake.txt."
        " Consecutive messages of one end share its line of hex."
    )
    return vector("conversation", "success", comment, head, _merged(body))


def _merged(body: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    merged: list[tuple[str, bytes]] = []
    for direction, data in body:
        if merged and merged[-1][0] == direction:
            merged[-1] = (direction, merged[-1][1] + data)
        else:
            merged.append((direction, data))
    return merged


# --- records ------------------------------------------------------------------------------------------------


def records() -> Iterator[Vector]:
    texts = [b"first", b"second", b"third"]
    whole = seal_all(Sealer(KEY), texts)
    head: list[tuple[str, object]] = [("what", "records"), ("key", KEY)]
    plain = [(f"plaintext {n}", text) for n, text in enumerate(texts)]
    yield vector("records", "success", "Records 0, 1 and 2 under one key.", [*head, *plain], whole)
    one = len(texts[0]) + 2 + limits.RECORD_TAG_BYTES
    failing = [*head, ("code", CloseCode.BAD_FRAME)]
    for name, comment, data in (
        ("damaged", "One bit is wrong.", whole[:5] + bytes([whole[5] ^ 1]) + whole[6:]),
        ("repeated", "Record 0 comes twice.", whole[:one] + whole),
        ("left_out", "Record 0 is missing.", whole[one:]),
        ("empty", "A record without a byte in it, although it would open.", seal_all(Sealer(KEY), [b""])),
    ):
        yield vector(f"frame_failure_record_{name}", "frame failure", comment, failing, data)


# --- frames and order -------------------------------------------------------------------------------


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + body


def frames() -> Iterator[Vector]:
    """Plaintexts of single records that an admitted client says to a client."""
    ping, knows_not = framed(encode(Ping())), pack([127, "from the future"])
    head: list[tuple[str, object]] = [
        ("what", "plaintext"),
        ("connection", "client to client"),
        ("phase", "READY"),
    ]
    yield vector(
        "frames", "success", "Two messages share a record.", [*head, ("hears", "ping ping")], ping + ping
    )
    yield vector(
        "frame_unknown_odd",
        "success",
        "A kind that is unknown and odd is skipped.",
        [*head, ("hears", "ping")],
        framed(knows_not) + ping,
    )
    data = framed(encode(Data(request=1, piece=0, offset=0, size=4, more=False)))
    too_long = (peer.Browse.FRAME_MAX + 1).to_bytes(3, "big") + pack([peer.Browse.KIND, 1])
    unknown_long = (limits.UNKNOWN_FRAME_BYTES_MAX + 1).to_bytes(3, "big") + knows_not
    for name, comment, code, text in (
        (
            "too_long",
            "Longer than its kind allows, judged by its first five bytes.",
            CloseCode.BAD_FRAME,
            too_long,
        ),
        ("unknown_odd_long", "Too long even to be skipped.", CloseCode.BAD_FRAME, unknown_long),
        ("unknown_even", "A kind that is unknown and even.", CloseCode.UNKNOWN_KIND, framed(pack([126, 1]))),
        ("no_array", "A frame begins with an array and a kind.", CloseCode.BAD_FRAME, framed(b"\xc0\x04")),
        ("no_kind", "One byte cannot hold a kind.", CloseCode.BAD_FRAME, framed(b"\x90") + ping),
        ("cut", "A record that is not full ends within a frame.", CloseCode.BAD_FRAME, ping[:-1]),
        ("behind_payload", "A payload has records of its own.", CloseCode.BAD_FRAME, data + ping),
    ):
        yield vector(f"frame_failure_{name}", "frame failure", comment, [*head, ("code", code)], text)
    assert len(too_long) < PLAINTEXT_MAX


def orders() -> Iterator[Vector]:
    """Messages that are sound but not allowed to this sender now."""
    to_index, to_client, to_peer = ("client to index", "index to client", "client to client")
    cases: list[tuple[str, str, str, Phase, Party, type[Message]]] = [
        (
            "search_first",
            "Nobody searches before the login.",
            to_index,
            Phase.GREETED,
            Party.DIALER,
            index.Search,
        ),
        ("login_back", "A server does not log in.", to_index, Phase.GREETED, Party.ACCEPTOR, index.Login),
        ("login_twice", "Once is enough.", to_index, Phase.READY, Party.DIALER, index.Login),
        (
            "caller_up",
            "Only the server announces callers.",
            to_index,
            Phase.READY,
            Party.DIALER,
            index.Caller,
        ),
        ("fetch_first", "Nobody fetches before the knock.", to_peer, Phase.GREETED, Party.DIALER, peer.Fetch),
        ("knock_back", "Who was dialled does not knock.", to_peer, Phase.GREETED, Party.ACCEPTOR, peer.Knock),
        ("knock_twice", "Once is enough.", to_peer, Phase.READY, Party.DIALER, peer.Knock),
        (
            "publish_to_peer",
            "A client is no index server.",
            to_peer,
            Phase.READY,
            Party.DIALER,
            index.Publish,
        ),
        (
            "fetch_from_index",
            "An index server has no files.",
            to_index,
            Phase.READY,
            Party.DIALER,
            peer.Fetch,
        ),
        (
            "probe",
            "A server that tests a port says nothing.",
            to_client,
            Phase.GREETED,
            Party.DIALER,
            index.Caller,
        ),
        ("hello_again", "A hello is a part of the handshake.", to_peer, Phase.READY, Party.DIALER, Hello),
    ]
    for name, comment, connection, phase, sender, message_class in cases:
        head: list[tuple[str, object]] = [
            ("what", "plaintext"),
            ("connection", connection),
            ("phase", phase.name),
            ("sender", sender.name.lower()),
            ("code", CloseCode.WRONG_ORDER),
        ]
        yield vector(
            f"order_failure_{name}", "order failure", comment, head, framed(encode(example(message_class)))
        )
