"""Every vector in this folder, run against the code; and the folder against its recipes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from p2pshare import limits
from p2pshare.errors import BadMessage, CloseCode, PeerFault
from p2pshare.hashing import (
    FileHasher,
    FileId,
    check_hashes_untrusted,
    format_file_id,
    hash_piece,
    piece_size_for,
)
from p2pshare.identity import CONTEXT_NOISE, Identity, NodeId, format_node_id, short_id
from p2pshare.links import FileLink, Invite, parse_link_untrusted
from p2pshare.names import fold
from p2pshare.queue_tickets import issue_queue_ticket, joined_untrusted
from p2pshare.receipts import Receipt, read_receipt_untrusted, sign_receipt
from p2pshare.session.buffers import SpareBuffers
from p2pshare.session.cipher import Opener
from p2pshare.session.events import Closed
from p2pshare.session.handshake import NoiseStatic, NoiseXX
from p2pshare.session.inbox import Inbox
from p2pshare.session.session import Session
from p2pshare.session.states import Party, Phase
from p2pshare.tickets import check_ticket_untrusted, issue_ticket
from p2pshare.wire.fields import Offer, Role
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest, offer_hash
from p2pshare.wire.schema import (
    decode_untrusted,
    dump,
    encode,
    load_untrusted,
    peek_kind_untrusted,
    unpack_untrusted,
)
from p2pshare.wire.session import Hello
from tests.conversation import overheard
from tests.recipes.basics import content
from tests.session_pair import seal_all
from tests.vector_file import Vector, format_vector, load_vectors, notation, parse_vector

ROOT = Path(__file__).resolve().parents[2]
VECTORS = load_vectors()

Run = Callable[[Vector], None]


@pytest.mark.parametrize("each", VECTORS, ids=lambda each: each.name)
def test_vector(each: Vector) -> None:
    run = RUNNERS[each["what"]]
    if each["expect"] == "success":
        run(each)
        return
    with pytest.raises(PeerFault) as caught:
        run(each)
    assert caught.value.code is CloseCode[each["code"]]


def test_the_vectors_are_what_their_recipes_make() -> None:
    checked = subprocess.run(
        [sys.executable, "scripts/vectors.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_vector_survives_being_written_and_read() -> None:
    for each in VECTORS:
        assert parse_vector(each.name, format_vector(each)) == each


def test_failures_say_their_class_by_their_name() -> None:
    for each in VECTORS:
        if "_failure_" in each.name:
            assert each["expect"] == each.name.partition("_failure_")[0] + " failure"
        else:
            assert each["expect"] == "success"


# --- one runner for each thing that a vector can be about ---------------------------------------------------


def run_message(each: Vector) -> None:
    message = decode_untrusted(each.data)
    assert message is not None
    assert (message.NAME, message.KIND) == (each["name"], int(each["kind"]))
    assert peek_kind_untrusted(each.data) == message.KIND
    plain = dict(zip((field.name for field in message.FIELDS), dump(message), strict=True))
    for name, value in each.starting("field "):
        assert notation(plain[name]) == value
    if not each.name.startswith(("message_left_out", "message_with_more")):
        assert encode(message) == each.data


def run_plaintext(each: Vector) -> None:
    """The plaintext of one record, said to somebody in a given phase."""
    sides = {"client": Role.CLIENT, "index": Role.INDEX}
    dialer, acceptor = (sides[word] for word in each["connection"].split(" to "))
    sender = Party[each.get("sender", "dialer").upper()]
    hearer = Hearer(sender.other, dialer=dialer, acceptor=acceptor, phase=Phase[each["phase"]])
    with overheard() as conversation:
        hearer.hear(each.data)
    assert [said.message.NAME for said in conversation.said] == each.get("hears").split()


class Hearer:
    """One end of a finished handshake, and the keys of the other end."""

    def __init__(self, party: Party, *, dialer: Role, acceptor: Role, phase: Phase) -> None:
        roles = {Party.DIALER: dialer, Party.ACCEPTOR: acceptor}
        ends = {
            side: Session(
                side,
                NoiseStatic.create(
                    Identity.from_seed(side.name.encode().ljust(32)), bytes([len(side.name)]) * 32
                ),
                Hello(role=roles[side], versions=(1,)),
                now=0,
                ephemeral=bytes([9 + len(side.name)]) * 32,
            )
            for side in Party
        }
        for sender in (Party.DIALER, Party.ACCEPTOR, Party.DIALER):
            ends[sender.other].receive_data(ends[sender].data_to_send(limits.MIB), 0)
        self._session = ends[party]
        self._session._phase = phase
        self._sealer = ends[party.other]._outbox._sealer

    def hear(self, plaintext: bytes) -> None:
        self._session.receive_data(seal_all(self._sealer, [plaintext]), 0)


def run_records(each: Vector) -> None:
    opener = Opener(each.hex("key"))
    at, texts = 0, []
    while at < len(each.data):
        end = at + 2 + int.from_bytes(each.data[at : at + 2], "big")
        Inbox(opener, SpareBuffers())._check_length_untrusted(end - at - 2)
        texts.append(opener.open_untrusted(memoryview(each.data)[at + 2 : end]))
        at = end
    assert [(str(number), text.hex()) for number, text in enumerate(texts)] == each.starting("plaintext ")


def run_handshake(each: Vector) -> None:
    if each["expect"] == "success":
        run_whole_handshake(each)
        return
    party = Party[each["hearer"].upper()]
    session = Session(
        party,
        static_of(each, party),
        Hello(role=Role[each["role"].upper()], versions=(1,), agent="example/1"),
        now=0,
        ephemeral=each.hex(f"{each['hearer']} ephemeral private"),
        expected=NodeId(each.hex("expected identity")) if each.get("expected identity") else None,
    )
    assert session.receive_data(each.data, 0) == []


def static_of(each: Vector, party: Party) -> NoiseStatic:
    who = party.name.lower()
    identity = Identity.from_seed(each.hex(f"{who} identity seed"))
    static = NoiseStatic.create(identity, each.hex(f"{who} static private"))
    assert static.node_id == each.hex(f"{who} identity key")
    public = static.key.public_key().public_bytes_raw()
    assert public == each.hex(f"{who} static public")
    assert static.signature == each.hex(f"{who} static signature") == identity.sign(CONTEXT_NOISE, public)
    return static


def run_no_place(each: Vector) -> None:
    static = static_of(each, Party.DIALER)
    hello, ephemeral = Hello(role=Role.CLIENT, versions=(1,)), each.hex("dialer ephemeral private")
    session = Session(Party.DIALER, static, hello, now=0, ephemeral=ephemeral)
    (closed,) = session.receive_data(each.data, 0)
    assert isinstance(closed, Closed)
    assert (closed.code, str(closed.retry_after_s)) == (CloseCode.TOO_MANY, each["retry after"])
    assert session.over


def run_whole_handshake(each: Vector) -> None:
    noise = {
        party: NoiseXX(
            dialing=party is Party.DIALER,
            static=static_of(each, party).key,
            ephemeral=each.hex(f"{party.name.lower()} ephemeral private"),
            prologue=each.hex("prologue"),
        )
        for party in Party
    }
    wire = b""
    for number, writer in enumerate((Party.DIALER, Party.ACCEPTOR, Party.DIALER), start=1):
        message = noise[writer].write(each.hex(f"payload {number}"))
        assert message == each.hex(f"message {number}")
        assert noise[writer.other].read_untrusted(message) == each.hex(f"payload {number}")
        assert noise[writer]._ck == noise[writer.other]._ck
        assert noise[writer].handshake_hash == each.hex(f"message {number} h after payload")
        wire += len(message).to_bytes(2, "big") + message
    assert wire == each.data
    assert noise[Party.DIALER].split() == (each.hex("key from dialer"), each.hex("key from acceptor"))


def run_conversation(each: Vector) -> None:
    ends = {
        party: Session(
            party,
            static_of(each, party),
            Hello(role=Role.CLIENT, versions=(1,), agent="example/1"),
            now=0,
            ephemeral=each.hex(f"{party.name.lower()} ephemeral private"),
        )
        for party in Party
    }
    spoken: list[str] = []
    for direction, data in each.body:
        hearer = Party.ACCEPTOR if direction == ">" else Party.DIALER
        with overheard() as conversation:
            ends[hearer].receive_data(data, 0)
        ends[hearer].data_to_send(limits.MIB)
        for said in conversation.said:
            if not isinstance(said.message, Hello):
                who = hearer.other.name.lower()
                spoken.append(f"{who} says: {said.message.NAME} {encode(said.message).hex()}")
                # Whoever hears it now would have said it the same way.
                ends[hearer.other]._phase = ends[hearer]._phase
    assert spoken == [f"{key}: {value}" for key, value in each.head if key.endswith(" says")]
    assert each["acceptor sends"] == b"somebody's song".hex()


def run_file(each: Vector) -> None:
    size = int(each["size"])
    hasher = FileHasher(size)
    hasher.update(content(size))
    whole = hasher.finish()
    listed = "".join(value for _, value in each.starting("piece hash "))
    assert (whole.piece_size, whole.hashes.hex()) == (int(each["piece size"]), listed)
    assert whole.file_id == each.data
    assert format_file_id(whole.file_id) == each["file id"]
    check_hashes_untrusted(FileId(each.data), size, whole.piece_size, whole.hashes)


def run_piece_sizes(each: Vector) -> None:
    for size, piece_size in each.starting("size "):
        assert piece_size_for(int(size)) == int(piece_size)


def run_piece_hashes(each: Vector) -> None:
    check_hashes_untrusted(FileId(each.hex("file")), int(each["size"]), int(each["piece size"]), each.data)


def run_piece(each: Vector) -> None:
    if hash_piece(each.data) != each.hex("piece hash"):
        raise PeerFault(CloseCode.BAD_DATA, "A piece does not match its hash.")


def run_ticket(each: Vector) -> None:
    server, asker, target = (NodeId(each.hex(who)) for who in ("server", "asker", "target"))
    ticket = check_ticket_untrusted(
        each.data, asker=asker, target=target, servers={server}, unix_now=int(each["now"])
    )
    assert ticket.nonce == each.hex("nonce")
    issuer = Identity.from_seed(each.hex("server seed"))
    issued = int(each["issued"])
    again = issue_ticket(issuer, asker=asker, target=target, nonce=ticket.nonce, unix_now=issued)
    assert again == each.data


def run_receipt(each: Vector) -> None:
    receipt = read_receipt_untrusted(each.data)
    if not receipt.signed_by_both():
        raise BadMessage("A signature of the receipt is wrong.")
    assert (receipt.giver, receipt.taker) == (each.hex("giver"), each.hex("taker"))
    pair = {"giver": receipt.giver, "taker": receipt.taker, "total": int(each["total"])}
    halves = {
        f"{who}_signature": sign_receipt(Identity.from_seed(each.hex(f"{who} seed")), **pair)
        for who in ("taker", "giver")
    }
    assert Receipt(**pair, **halves).to_bytes() == each.data


def run_queue_ticket(each: Vector) -> None:
    uploader, asker = NodeId(each.hex("uploader")), NodeId(each.hex("asker"))
    joined = joined_untrusted(each.data, uploader=uploader, asker=asker, unix_now=int(each["now"]))
    assert each["joined"] == ("nothing" if joined is None else str(joined))
    if joined is not None:
        issuer = Identity.from_seed(each.hex("uploader seed"))
        again = issue_queue_ticket(issuer, asker=asker, joined=joined, issued=int(each["issued"]))
        assert again == each.data


def run_manifest(each: Vector) -> None:
    digest, before = EMPTY_MANIFEST, b""
    assert each.hex("digest of none") == digest
    steps = [(key, value) for key, value in each.head if key in ("added", "in place of offer 2")]
    columns = zip(steps, each.all("offer"), each.all("offer hash"), each.all("digest"), strict=True)
    for (word, shown), packed, hashed, after in columns:
        offer = load_untrusted(Offer, unpack_untrusted(bytes.fromhex(packed)))
        assert notation(dump(offer)) == shown
        assert offer_hash(offer).hex() == hashed
        removed = [] if word == "added" else [before]
        digest = change_digest(digest, removed=removed, added=[offer_hash(offer)])
        assert digest.hex() == after
        before = offer_hash(offer)
    assert digest == each.data


def run_words(each: Vector) -> None:
    for text, folded in each.starting("fold "):
        assert fold(text) == folded


def run_links(each: Vector) -> None:
    node = NodeId(each.hex("node"))
    assert (format_node_id(node), short_id(node)) == (each["node text"], each["node short"])
    file, invite = parse_link_untrusted(each["file link"]), parse_link_untrusted(each["invite"])
    assert file == FileLink(FileId(each.hex("file id")), each["file name"], int(each["file size"]))
    assert isinstance(invite, Invite)
    assert (invite.server, invite.name) == (node, each["invite name"])
    assert invite.code == each["invite code"]
    assert [str(address) for address in invite.addresses] == each.all("invite address")


RUNNERS: dict[str, Run] = {
    "message": run_message,
    "plaintext": run_plaintext,
    "records": run_records,
    "handshake": run_handshake,
    "no place": run_no_place,
    "conversation": run_conversation,
    "file": run_file,
    "piece sizes": run_piece_sizes,
    "piece hashes": run_piece_hashes,
    "piece": run_piece,
    "ticket": run_ticket,
    "receipt": run_receipt,
    "queue ticket": run_queue_ticket,
    "manifest": run_manifest,
    "words": run_words,
    "links": run_links,
}
