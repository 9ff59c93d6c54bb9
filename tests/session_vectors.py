"""The recipe of tests/vectors/session_conversation.json: one short conversation with fixed randomness, and
all that lies between the secrets and the bytes on the wire. `python -m tests.session_vectors` writes it anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from p2pshare import limits
from p2pshare.errors import CloseCode
from p2pshare.hashing import FileId
from p2pshare.identity import Identity
from p2pshare.session.handshake import NoiseStatic, NoiseXX, write_introduction
from p2pshare.session.session import Session
from p2pshare.session.states import Party
from p2pshare.wire.fields import Role
from p2pshare.wire.peer import Admitted, Data, Fetch, Knock
from p2pshare.wire.schema import Message, encode
from p2pshare.wire.session import Close, Hello

PATH = Path(__file__).parent / "vectors" / "session_conversation.json"
SLICE_BYTES = 64 * limits.KIB

SEEDS = {Party.DIALER: bytes(range(32)), Party.ACCEPTOR: bytes(range(32, 64))}
STATIC_KEYS = {Party.DIALER: bytes(range(64, 96)), Party.ACCEPTOR: bytes(range(96, 128))}
EPHEMERAL_KEYS = {Party.DIALER: bytes(range(128, 160)), Party.ACCEPTOR: bytes(range(160, 192))}
HELLO = Hello(role=Role.CLIENT, versions=(1,), capabilities=(), agent="example/1")

PAYLOAD = b"somebody's song"
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


def statics() -> dict[Party, NoiseStatic]:
    return {
        party: NoiseStatic.create(Identity.from_seed(SEEDS[party]), STATIC_KEYS[party]) for party in Party
    }


def handshake() -> dict[str, Any]:
    """What both ends compute on the way to their keys."""
    static = statics()
    noise = {
        party: NoiseXX(
            dialing=party is Party.DIALER,
            static=static[party].key,
            ephemeral=EPHEMERAL_KEYS[party],
            prologue=limits.PROTOCOL_NAME,
        )
        for party in Party
    }
    messages = []
    for number, writer in enumerate((Party.DIALER, Party.ACCEPTOR, Party.DIALER), start=1):
        payload = b"" if number == 1 else write_introduction(static[writer], HELLO)
        message = noise[writer].write(payload)
        noise[writer.other].read_untrusted(message)
        messages.append({"from": writer.name.lower(), "payload": payload.hex(), "message": message.hex()})
    from_dialer, from_acceptor = noise[Party.DIALER].split()
    return {
        "messages": messages,
        "handshake_hash": noise[Party.DIALER].handshake_hash.hex(),
        "key_from_dialer": from_dialer.hex(),
        "key_from_acceptor": from_acceptor.hex(),
    }


def conversation() -> dict[str, Any]:
    """The whole file."""
    static = statics()
    ends = {
        party: Session(party, static[party], HELLO, now=0, ephemeral=EPHEMERAL_KEYS[party]) for party in Party
    }
    wire: list[dict[str, Any]] = []

    def carry(sender: Party) -> str:
        data = b""
        while outgoing := ends[sender].data_to_send(SLICE_BYTES):
            data += bytes(outgoing)
        ends[sender.other].receive_data(data, 0)
        return data.hex()

    for sender in (Party.DIALER, Party.ACCEPTOR, Party.DIALER):
        wire.append({"from": sender.name.lower(), "wire": carry(sender)})
    for sender, messages in SAID:
        for message, payload in messages:
            ends[sender].send(message, payload)
        wire.append(
            {
                "from": sender.name.lower(),
                "messages": [
                    {"name": message.NAME, "body": encode(message).hex(), "payload": (payload or b"").hex()}
                    for message, payload in messages
                ],
                "wire": carry(sender),
            }
        )
    return {
        "comment": "A dialer and an acceptor, both clients, from the first byte to the close.",
        "prologue": limits.PROTOCOL_NAME.hex(),
        **{
            party.name.lower(): {
                "identity_seed": SEEDS[party].hex(),
                "identity_key": static[party].node_id.hex(),
                "noise_static_private": STATIC_KEYS[party].hex(),
                "noise_static_public": static[party].key.public_key().public_bytes_raw().hex(),
                "noise_static_signature": static[party].signature.hex(),
                "noise_ephemeral_private": EPHEMERAL_KEYS[party].hex(),
                "hello": encode(HELLO).hex(),
            }
            for party in Party
        },
        "handshake": handshake(),
        "conversation": wire,
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(conversation(), indent=1) + "\n")
