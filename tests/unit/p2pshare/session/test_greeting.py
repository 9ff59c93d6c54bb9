from __future__ import annotations

import pytest

from p2pshare import limits
from p2pshare.errors import CloseCode, PeerFault
from p2pshare.identity import NodeId
from p2pshare.session.events import HandshakeDone
from p2pshare.session.greeting import Greeting, come_again
from p2pshare.session.handshake import NoiseXX
from p2pshare.session.settle import Settled
from p2pshare.session.states import Party, Talk
from p2pshare.wire.fields import Role
from p2pshare.wire.session import Hello
from tests.session_pair import ALICE, BOB, MALLORY, hello, length_prefixed, static_of

CLIENT, INDEX = hello(Role.CLIENT), hello(Role.INDEX)


def greeting(party: Party, said: Hello = CLIENT, expected: NodeId | None = None) -> Greeting:
    identity = ALICE if party is Party.DIALER else BOB
    return Greeting(party, static_of(identity), said, party.name.ljust(32, "-").encode(), expected)


def dialer(said: Hello = CLIENT, expected: NodeId | None = None) -> Greeting:
    return greeting(Party.DIALER, said, expected)


def acceptor(said: Hello = CLIENT) -> Greeting:
    return greeting(Party.ACCEPTOR, said)


def meet(alice: Greeting, bob: Greeting) -> None:
    for reader, writer in ((bob, alice), (alice, bob), (bob, alice)):
        wire = writer.take_to_send()
        assert reader.receive_untrusted(memoryview(wire)) == len(wire)


def test_both_learn_who_the_other_is_and_hold_matching_keys() -> None:
    alice, bob = dialer(), acceptor()
    meet(alice, bob)
    assert alice.done == HandshakeDone(BOB.node_id, CLIENT, Settled(1, frozenset()))
    assert bob.done == HandshakeDone(ALICE.node_id, CLIENT, Settled(1, frozenset()))
    assert alice.keys() == tuple(reversed(bob.keys()))


@pytest.mark.parametrize(
    ("dials", "accepts", "talk"),
    [(CLIENT, INDEX, Talk.WITH_INDEX), (CLIENT, CLIENT, Talk.PEERS), (INDEX, CLIENT, Talk.PROBE)],
)
def test_the_roles_tell_both_what_they_have_to_talk_about(dials: Hello, accepts: Hello, talk: Talk) -> None:
    alice, bob = dialer(dials), acceptor(accepts)
    meet(alice, bob)
    assert alice.talk is bob.talk is talk


def test_two_index_servers_have_nothing_to_talk_about() -> None:
    with pytest.raises(PeerFault):
        meet(dialer(INDEX), acceptor(INDEX))


def test_the_dialer_tells_nobody_else_than_the_expected_who_it_is() -> None:
    alice, bob = dialer(expected=MALLORY.node_id), acceptor()
    bob.receive_untrusted(memoryview(alice.take_to_send()))
    with pytest.raises(PeerFault) as caught:
        alice.receive_untrusted(memoryview(bob.take_to_send()))
    assert caught.value.code is CloseCode.BAD_HANDSHAKE
    assert alice.take_to_send() == b""
    assert alice.done is None


def test_without_a_common_version_the_dialer_stops_before_it_introduces_itself() -> None:
    alice, bob = dialer(hello(versions=(7, 8))), acceptor()
    bob.receive_untrusted(memoryview(alice.take_to_send()))
    with pytest.raises(PeerFault, match="7, 8") as caught:
        alice.receive_untrusted(memoryview(bob.take_to_send()))
    assert caught.value.code is CloseCode.NO_COMMON_VERSION
    assert alice.take_to_send() == b""


def test_whoever_dials_itself_finds_its_own_key() -> None:
    alice, mirror = dialer(), Greeting(Party.ACCEPTOR, static_of(ALICE), CLIENT, b"e" * 32, None)
    meet(alice, mirror)
    assert alice.done is not None
    assert alice.done.peer == ALICE.node_id


def test_bytes_behind_the_handshake_are_left_for_others() -> None:
    alice, bob = dialer(), acceptor()
    bob.receive_untrusted(memoryview(alice.take_to_send()))
    alice.receive_untrusted(memoryview(bob.take_to_send()))
    last = alice.take_to_send()
    assert bob.receive_untrusted(memoryview(last + b"records")) == len(last)


def test_a_payload_in_the_first_message_is_refused() -> None:
    noise = NoiseXX(
        dialing=True, static=static_of(ALICE).key, ephemeral=b"e" * 32, prologue=limits.PROTOCOL_NAME
    )
    bob = acceptor()
    with pytest.raises(PeerFault) as caught:
        bob.receive_untrusted(memoryview(length_prefixed(noise.write(b"hi"))))
    assert caught.value.code is CloseCode.BAD_HANDSHAKE
    assert bob.take_to_send() == b""


@pytest.mark.parametrize("start", [b"\x10\x01", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00"])
def test_a_longer_message_than_a_handshake_needs_is_refused_by_its_length(start: bytes) -> None:
    with pytest.raises(PeerFault) as caught:
        acceptor().receive_untrusted(memoryview(start))
    assert caught.value.code is CloseCode.BAD_HANDSHAKE


def test_an_acceptor_without_a_place_says_when_to_come_again() -> None:
    alice = dialer()
    alice.receive_untrusted(memoryview(come_again(7)))
    assert (alice.come_again_s, alice.done) == (7, None)


def test_whoever_has_not_proven_who_it_is_cannot_send_anybody_away_for_long() -> None:
    alice = dialer()
    alice.receive_untrusted(memoryview(b"\x00\x02\xff\xff"))
    assert alice.come_again_s == limits.COME_AGAIN_S_MAX


def test_a_dialer_cannot_send_an_acceptor_away() -> None:
    with pytest.raises(PeerFault):
        acceptor().receive_untrusted(memoryview(come_again(7)))
