from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from noise.connection import Keypair, NoiseConnection  # type: ignore[import-untyped]

from p2pshare import limits
from p2pshare.errors import BadMessage, CloseCode, Misuse, PeerFault
from p2pshare.identity import CONTEXT_NOISE, CONTEXT_TICKET
from p2pshare.session.cipher import Opener, Sealer
from p2pshare.session.handshake import (
    PATTERN_NAME,
    NoiseXX,
    read_introduction_untrusted,
    write_introduction,
)
from p2pshare.wire.schema import encode
from p2pshare.wire.session import Ping
from tests.session_pair import ALICE, BOB, hello, seal_all, static_of

ROOT = Path(__file__).parents[4]
VECTORS = ROOT / "tests/vectors/noise_xx_25519_aesgcm_sha256.json"
PUBLISHED = ROOT.parent / "shared/vectors" / VECTORS.name
PROLOGUE = limits.PROTOCOL_NAME

# RFC 7748 keys of small order: whoever sends one of these forces the shared secret to be zero.
SMALL_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    (2**255 - 20).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
]


def noise(*, dialing: bool, prologue: bytes = PROLOGUE) -> NoiseXX:
    static = static_of(ALICE if dialing else BOB)
    return NoiseXX(
        dialing=dialing,
        static=static.key,
        ephemeral=(b"1" if dialing else b"2") * 32,
        prologue=prologue,
    )


def carried_out() -> tuple[NoiseXX, NoiseXX]:
    alice, bob = noise(dialing=True), noise(dialing=False)
    bob.read_untrusted(alice.write(b""))
    alice.read_untrusted(bob.write(b"from bob"))
    bob.read_untrusted(alice.write(b"from alice"))
    return alice, bob


def vectors() -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads(VECTORS.read_text())["vectors"]
    return loaded


@pytest.mark.parametrize("vector", vectors())
def test_the_published_vectors_hold_from_both_ends(vector: dict[str, Any]) -> None:
    assert vector["protocol_name"].encode() == PATTERN_NAME
    ends = [
        NoiseXX(
            dialing=side == "init",
            static=X25519PrivateKey.from_private_bytes(bytes.fromhex(vector[f"{side}_static"])),
            ephemeral=bytes.fromhex(vector[f"{side}_ephemeral"]),
            prologue=bytes.fromhex(vector[f"{side}_prologue"]),
        )
        for side in ("init", "resp")
    ]
    messages = [(bytes.fromhex(m["payload"]), bytes.fromhex(m["ciphertext"])) for m in vector["messages"]]
    for number, (payload, ciphertext) in enumerate(messages[:3]):
        writer, reader = ends[number % 2], ends[1 - number % 2]
        assert writer.write(payload) == ciphertext
        assert reader.read_untrusted(ciphertext) == payload
    assert ends[0].handshake_hash == ends[1].handshake_hash == bytes.fromhex(vector["handshake_hash"])

    sealers = [Sealer(end.split()[0]) for end in ends]
    openers = [Opener(end.split()[1]) for end in ends]
    for number, (payload, ciphertext) in enumerate(messages[3:], start=3):
        record = seal_all(sealers[number % 2], [payload])
        assert record == len(ciphertext).to_bytes(2, "big") + ciphertext
        assert openers[1 - number % 2].open_untrusted(memoryview(ciphertext)) == payload


def test_our_copy_of_the_vectors_is_the_published_one() -> None:
    if not PUBLISHED.exists():
        pytest.skip("the published vectors do not lie beside this clone; the copy in it was tested")
    assert json.loads(VECTORS.read_text()) == json.loads(PUBLISHED.read_text())


@pytest.mark.parametrize("we_dial", [True, False])
def test_another_implementation_understands_us_and_we_understand_it(we_dial: bool) -> None:
    ours = noise(dialing=we_dial)
    theirs = NoiseConnection.from_name(PATTERN_NAME)
    (theirs.set_as_responder if we_dial else theirs.set_as_initiator)()
    theirs.set_prologue(PROLOGUE)
    theirs.set_keypair_from_private_bytes(Keypair.STATIC, b"their static key, 32 bytes long.")
    theirs.start_handshake()
    for number in range(3):
        payload = f"payload of message {number + 1}".encode()
        if we_dial == (number % 2 == 0):
            assert theirs.read_message(ours.write(payload)) == payload
        else:
            assert ours.read_untrusted(bytes(theirs.write_message(payload))) == payload
    assert theirs.get_handshake_hash() == ours.handshake_hash

    send_key, receive_key = ours.split()
    sealer, opener = Sealer(send_key), Opener(receive_key)
    for size in (0, 1, 100, limits.RECORD_PLAINTEXT_MAX, 7):
        text = bytes(size)
        assert theirs.decrypt(seal_all(sealer, [text])[2:]) == text
        assert opener.open_untrusted(memoryview(theirs.encrypt(text))) == text


def test_another_implementation_rekeys_as_we_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REKEY_AFTER_RECORDS", 3)
    ours, theirs = noise(dialing=True), NoiseConnection.from_name(PATTERN_NAME)
    theirs.set_as_responder()
    theirs.set_prologue(PROLOGUE)
    theirs.set_keypair_from_private_bytes(Keypair.STATIC, b"their static key, 32 bytes long.")
    theirs.start_handshake()
    theirs.read_message(ours.write(b""))
    ours.read_untrusted(bytes(theirs.write_message()))
    theirs.read_message(ours.write(b""))
    send_key, receive_key = ours.split()
    sealer, opener = Sealer(send_key), Opener(receive_key)
    for number in range(10):
        if number and number % 3 == 0:
            theirs.rekey_inbound_cipher()
            theirs.rekey_outbound_cipher()
        text = b"record %d" % number
        assert theirs.decrypt(seal_all(sealer, [text])[2:]) == text
        assert opener.open_untrusted(memoryview(theirs.encrypt(text))) == text


def test_both_ends_hold_the_same_keys_crosswise_and_the_same_hash() -> None:
    alice, bob = carried_out()
    assert alice.split() == tuple(reversed(bob.split()))
    assert alice.split()[0] != alice.split()[1]
    assert alice.handshake_hash == bob.handshake_hash
    assert alice.rs == static_of(BOB).key.public_key().public_bytes_raw()
    assert bob.rs == static_of(ALICE).key.public_key().public_bytes_raw()


def test_keys_are_not_given_before_the_handshake_is_complete() -> None:
    with pytest.raises(Misuse):
        noise(dialing=True).split()


def test_nobody_speaks_out_of_turn() -> None:
    alice, bob = noise(dialing=True), noise(dialing=False)
    with pytest.raises(Misuse):
        bob.write(b"")
    with pytest.raises(Misuse):
        alice.read_untrusted(bytes(32))
    alice, bob = carried_out()
    with pytest.raises(Misuse):
        alice.write(b"")


def test_every_flipped_bit_of_every_handshake_message_is_found() -> None:
    for number in range(3):
        length = [32, 32 + 48 + 16 + 8, 48 + 16 + 10][number]
        for position in range(length):
            alice, bob = noise(dialing=True), noise(dialing=False)
            steps = [(alice, bob, b""), (bob, alice, b"from bob"), (alice, bob, b"from alice")]
            with pytest.raises(PeerFault) as caught:
                for step, (writer, reader, payload) in enumerate(steps):
                    message = bytearray(writer.write(payload))
                    if step == number:
                        assert len(message) == length
                        message[position] ^= 1 << position % 8
                    reader.read_untrusted(bytes(message))
            assert caught.value.code is CloseCode.BAD_HANDSHAKE


def test_a_handshake_message_cut_short_anywhere_is_refused() -> None:
    for number in range(3):
        for kept in range(200):
            alice, bob = noise(dialing=True), noise(dialing=False)
            message = alice.write(b"")
            reader = bob
            if number > 0:
                bob.read_untrusted(message)
                message, reader = bob.write(b"from bob"), alice
            if number > 1:
                alice.read_untrusted(message)
                message, reader = alice.write(b"from alice"), bob
            if kept >= len(message):
                break
            with pytest.raises(PeerFault):
                reader.read_untrusted(message[:kept])


@pytest.mark.parametrize("key", SMALL_ORDER, ids=lambda key: key.hex()[:8])
def test_a_key_that_forces_the_shared_secret_is_refused(key: bytes) -> None:
    bob = noise(dialing=False)
    bob.read_untrusted(key)
    with pytest.raises(PeerFault) as caught:
        bob.write(b"")
    assert caught.value.code is CloseCode.BAD_HANDSHAKE

    alice = noise(dialing=True)
    alice.write(b"")
    with pytest.raises(PeerFault):
        alice.read_untrusted(key + bytes(64))


def test_another_protocol_over_the_same_pattern_fails_at_once() -> None:
    alice, bob = noise(dialing=True, prologue=b"p2pshare/2"), noise(dialing=False)
    bob.read_untrusted(alice.write(b""))
    with pytest.raises(PeerFault):
        alice.read_untrusted(bob.write(b""))


# --- introductions -----------------------------------------------------------------------------------

ALICES_KEY = static_of(ALICE).key.public_key().public_bytes_raw()


def test_an_introduction_tells_who_speaks_and_what_it_can_do() -> None:
    introduction = write_introduction(static_of(ALICE), hello())
    assert introduction[:32] == ALICE.node_id
    assert read_introduction_untrusted(introduction, ALICES_KEY, None) == (ALICE.node_id, hello())
    assert read_introduction_untrusted(introduction, ALICES_KEY, ALICE.node_id) == (ALICE.node_id, hello())


BAD_INTRODUCTIONS = {
    "empty": b"",
    "a key alone": ALICE.node_id,
    "signature cut short": write_introduction(static_of(ALICE), hello())[:95],
    "no hello": write_introduction(static_of(ALICE), hello())[:96],
    "another message than a hello": ALICE.node_id + static_of(ALICE).signature + encode(Ping()),
    "a message of an unknown odd kind": ALICE.node_id + static_of(ALICE).signature + b"\x91\x7f",
    "signature of somebody else": ALICE.node_id + static_of(BOB).signature + encode(hello()),
    "signature over another key": (BOB.node_id + BOB.sign(CONTEXT_NOISE, bytes(32)) + encode(hello())),
    "signature for another purpose": (
        ALICE.node_id + ALICE.sign(CONTEXT_TICKET, ALICES_KEY) + encode(hello())
    ),
    "key and signature of somebody else": write_introduction(static_of(BOB), hello()),
    "no key at all": bytes(32) + static_of(ALICE).signature + encode(hello()),
}


@pytest.mark.parametrize("payload", BAD_INTRODUCTIONS.values(), ids=BAD_INTRODUCTIONS.keys())
def test_an_introduction_that_does_not_hold_is_refused(payload: bytes) -> None:
    with pytest.raises(PeerFault) as caught:
        read_introduction_untrusted(payload, ALICES_KEY, None)
    assert caught.value.code is CloseCode.BAD_HANDSHAKE or isinstance(caught.value, BadMessage)


def test_somebody_else_than_expected_is_refused() -> None:
    introduction = write_introduction(static_of(ALICE), hello())
    with pytest.raises(PeerFault, match="Somebody else answered") as caught:
        read_introduction_untrusted(introduction, ALICES_KEY, BOB.node_id)
    assert caught.value.code is CloseCode.BAD_HANDSHAKE


def test_the_static_key_shows_no_secret_when_printed() -> None:
    printed = repr(static_of(ALICE))
    assert static_of(ALICE).key.private_bytes_raw().hex() not in printed
    assert ALICE.seed().hex() not in printed


def test_a_signature_that_was_verified_once_holds_for_that_key_and_identity_only() -> None:
    static, public = static_of(ALICE), static_of(ALICE).key.public_key().public_bytes_raw()
    introduction = write_introduction(static, hello())
    others = {
        "another static key": (introduction, static_of(BOB).key.public_key().public_bytes_raw()),
        "another identity": (BOB.node_id + introduction[limits.KEY_BYTES :], public),
        "another signature": (introduction[:40] + bytes([introduction[40] ^ 1]) + introduction[41:], public),
    }
    for _ in range(2):
        assert read_introduction_untrusted(introduction, public, None)[0] == ALICE.node_id
        for payload, rs in others.values():
            with pytest.raises(PeerFault, match="did not sign"):
                read_introduction_untrusted(payload, rs, None)
