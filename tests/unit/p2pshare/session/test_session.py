from __future__ import annotations

import gc
import tracemalloc
from itertools import pairwise

import pytest

from p2pshare import limits
from p2pshare.errors import CloseCode, Misuse, PeerFault, Reason
from p2pshare.hashing import FileId
from p2pshare.session.cipher import OVERHEAD_BYTES
from p2pshare.session.events import Closed, Event, HandshakeDone, MessageReceived
from p2pshare.session.greeting import come_again
from p2pshare.session.session import Session
from p2pshare.session.settle import Settled
from p2pshare.session.states import Party
from p2pshare.wire.fields import AddressField, Role
from p2pshare.wire.index import LoggedIn, Login, Publish, Search
from p2pshare.wire.peer import Admitted, Browse, Data, DropFile, Fetch, Have, Knock, OpenFile
from p2pshare.wire.schema import Message, encode
from p2pshare.wire.session import Cancel, Close, Hello, Ping, Pong, Refused
from tests.session_pair import (
    ALICE,
    BOB,
    MALLORY,
    Pair,
    Stranger,
    admitted,
    drain,
    feed,
    frame,
    frames,
    greeted,
    hello,
    records_of,
    session,
    static_of,
)

FILE = FileId(b"f" * 32)
CLIENT, INDEX = hello(Role.CLIENT), hello(Role.INDEX)


def data(size: int, more: bool = False) -> Data:
    return Data(request=1, piece=0, offset=0, size=size, more=more)


def told(message: Message, payload: bytes | None = None) -> MessageReceived:
    return MessageReceived(message, None if payload is None else memoryview(payload))


def close_code(plaintext: bytes) -> int:
    """The code in the one close message that this is."""
    assert plaintext[3] & 0xF0 == 0x90
    assert plaintext[4] == Close.KIND
    return plaintext[5]


# --- conversations -----------------------------------------------------------------------------------


def test_two_who_never_met_greet_each_other_and_talk() -> None:
    pair = Pair(expected=BOB.node_id).transmit()
    assert pair.told_alice == [HandshakeDone(BOB.node_id, CLIENT, Settled(1, frozenset()))]
    assert pair.told_bob == [HandshakeDone(ALICE.node_id, CLIENT, Settled(1, frozenset()))]

    pair.forget().alice.send(Knock(request=1, ticket=b"t" * limits.TICKET_BYTES))
    pair.transmit().bob.send(Admitted(request=1))
    pair.transmit().bob.send(Browse(request=1, folder=""))
    pair.transmit()
    assert pair.told_bob == [told(Knock(request=1, ticket=b"t" * limits.TICKET_BYTES))]
    assert pair.told_alice == [told(Admitted(request=1)), told(Browse(request=1, folder=""))]


def test_payloads_arrive_with_their_messages_and_between_others() -> None:
    pair = admitted()
    large = bytes(range(256)) * 4096
    for message, payload in [
        (data(len(large), more=True), large),
        (DropFile(file=FILE), None),
        (data(1), b"1"),
        (data(65_519), large[:65_519]),
        (Have(file=FILE, pieces=(1, 2)), None),
    ]:
        pair.alice.send(message, payload)
        pair.told_alice.append(told(message, payload))
    assert pair.alice.pending_bytes > len(large)
    pair.transmit()
    assert pair.told_bob == pair.told_alice
    assert pair.alice.pending_bytes == 0


def test_messages_may_follow_the_handshake_in_the_same_breath() -> None:
    pair = Pair()
    pair.bob.receive_data(drain(pair.alice), 0)
    pair.alice.receive_data(drain(pair.bob), 0)
    pair.alice.send(Knock(request=1, ticket=b""))
    events = pair.bob.receive_data(drain(pair.alice), 0)
    assert [type(event) for event in events] == [HandshakeDone, MessageReceived]


def test_many_small_messages_cost_one_record() -> None:
    pair = admitted()
    for number in range(1, 101):
        pair.alice.send(Fetch(request=number, file=FILE, first=number))
    assert len(records_of(drain(pair.alice))) == 1


def test_logging_in_opens_what_was_closed() -> None:
    pair = Pair(CLIENT, INDEX).transmit().forget()
    with pytest.raises(Misuse):
        pair.alice.send(Search(request=1, query="x"))
    pair.alice.send(Login(request=1))
    pair.transmit()
    welcome = LoggedIn(
        request=1, nick="alice", manifest=bytes(16), observed=AddressField(host="127.0.0.1", port=1)
    )
    pair.bob.send(welcome)
    pair.transmit().alice.send(Search(request=2, query="x"))
    pair.transmit()
    assert pair.told_alice == [told(welcome)]
    assert pair.told_bob == [told(Login(request=1)), told(Search(request=2, query="x"))]


def test_whoever_dials_itself_is_told_so_by_the_peer() -> None:
    alice, mirror = session(Party.DIALER, ALICE), session(Party.ACCEPTOR, ALICE)
    mirror.receive_data(drain(alice), 0)
    (done,) = alice.receive_data(drain(mirror), 0)
    assert isinstance(done, HandshakeDone)
    assert done.peer == ALICE.node_id


def test_a_slice_for_the_wire_stays_near_its_limit() -> None:
    pair = admitted()
    pair.alice.send(data(limits.DATA_BYTES_MAX), bytes(limits.DATA_BYTES_MAX))
    sizes = []
    while outgoing := pair.alice.data_to_send(200_000):
        sizes.append(len(outgoing))
    assert max(sizes) <= 200_000
    assert len(sizes) < 9


# --- any split ---------------------------------------------------------------------------------------


def small_conversation() -> bytes:
    """All that alice says to bob, from the first byte to the close; the same every time."""
    pair = Pair()
    wire = drain(pair.alice)
    pair.bob.receive_data(wire, 0)
    pair.alice.receive_data(drain(pair.bob), 0)
    pair.alice.send(Knock(request=1, ticket=b""))
    wire += said(pair.alice, pair.bob)
    pair.bob.send(Admitted(request=1))
    pair.alice.receive_data(drain(pair.bob), 0)
    pair.alice.send(OpenFile(request=2, file=FILE))
    pair.alice.send(data(30), b"thirty bytes of somebody's son")
    pair.alice.send(Ping())
    wire += said(pair.alice, pair.bob)
    pair.alice.send(Close(code=CloseCode.BYE))
    return wire + said(pair.alice, pair.bob)


def said(alice: Session, bob: Session) -> bytes:
    wire = drain(alice)
    bob.receive_data(wire, 0)
    return wire


class Listener:
    """A fresh bob who admits whoever knocks, as in the small conversation."""

    def __init__(self) -> None:
        self.bob = session(Party.ACCEPTOR, BOB)
        self.events: list[Event] = []
        self.fault: PeerFault | None = None

    def hear(self, *chunks: bytes) -> Listener:
        for chunk in chunks:
            events, self.fault = feed(self.bob, [chunk])
            self.events += events
            if events and events[-1] == told(Knock(request=1, ticket=b"")):
                self.bob.send(Admitted(request=1))
            if self.fault is not None:
                break
        return self


CONVERSATION = small_conversation()
PARTS = records_of(CONVERSATION)
HEARD = Listener().hear(*PARTS).events


def test_the_small_conversation_has_everything_in_it() -> None:
    kinds = [type(e.message).NAME if isinstance(e, MessageReceived) else type(e).__name__ for e in HEARD]
    assert kinds == ["HandshakeDone", "knock", "open_file", "data", "Closed"]


def test_byte_by_byte_says_the_same() -> None:
    listener = Listener().hear(*(bytes([byte]) for byte in CONVERSATION))
    assert listener.events == HEARD
    assert listener.fault is None


@pytest.mark.parametrize("size", [2, 3, 7, 20, 64, 100])
def test_chunks_of_any_size_say_the_same(size: int) -> None:
    chunks = (CONVERSATION[start : start + size] for start in range(0, len(CONVERSATION), size))
    assert Listener().hear(*chunks).events == HEARD


def test_a_conversation_that_breaks_off_anywhere_has_a_start_of_the_events_and_no_fault() -> None:
    for end in range(len(CONVERSATION)):
        listener = Listener().hear(*records_of(CONVERSATION[:end]))
        assert listener.fault is None
        assert listener.events == HEARD[: len(listener.events)]
        assert len(listener.events) < len(HEARD)


# --- damage ------------------------------------------------------------------------------------------


def test_damage_anywhere_ends_in_a_fault_and_nothing_is_heard_that_was_not_said() -> None:
    boundaries = [sum(len(part) for part in PARTS[:count]) for count in range(len(PARTS) + 1)]
    for position in range(len(CONVERSATION)):
        start, end = next((a, b) for a, b in pairwise(boundaries) if a <= position < b)
        damaged = bytearray(CONVERSATION)
        damaged[position] ^= 1 << position % 8
        before = records_of(CONVERSATION[:start])
        # Zeros behind it, so that a length that became longer is not waited for.
        listener = Listener().hear(*before, bytes(damaged[start:end]), bytes(damaged[end:]) + bytes(70_000))
        assert listener.fault is not None, position
        assert listener.events == HEARD[: len(listener.events)]
        assert listener.bob.over


@pytest.mark.parametrize("number", range(len(PARTS) - 1))
def test_a_record_left_out_repeated_or_swapped_ends_in_a_fault(number: int) -> None:
    before, this, after, rest = PARTS[:number], PARTS[number], PARTS[number + 1], PARTS[number + 2 :]
    for parts in ([after, *rest], [this, this, after, *rest], [after, this, *rest]):
        listener = Listener().hear(*before, *parts, bytes(70_000))
        assert listener.fault is not None
        assert listener.events == HEARD[: len(listener.events)]


def test_a_conversation_played_back_to_another_session_says_nothing() -> None:
    other = Session(
        Party.ACCEPTOR, static_of(BOB), CLIENT, now=0, ephemeral=b"another, fresh ephemeral key.###"
    )
    events, fault = feed(other, [CONVERSATION])
    assert events == []
    assert fault is not None


def test_what_an_observer_reflects_to_the_sender_is_refused() -> None:
    pair = admitted()
    pair.alice.send(Have(file=FILE, pieces=(1,)))
    with pytest.raises(PeerFault):
        pair.alice.receive_data(drain(pair.alice), 0)


# --- strangers with good keys and bad manners --------------------------------------------------------

LONG_FETCH = (Fetch.FRAME_MAX + 1).to_bytes(3, "big") + bytes([0x95, Fetch.KIND])

BAD_MANNERS = {
    "a frame over the limit of its kind": (LONG_FETCH, CloseCode.BAD_FRAME),
    "an unknown even kind": (frame(b"\x91\x7e"), CloseCode.UNKNOWN_KIND),
    "an unknown odd kind that is too long": (b"\xff\xff\xff\x91\x7f", CloseCode.BAD_FRAME),
    "a message only a server says": (frame(b"\x93" + bytes([50]) + b"\x01\x01"), CloseCode.WRONG_ORDER),
    "a hello in a frame": (frames(hello()), CloseCode.WRONG_ORDER),
    "a second knock": (frames(Knock(request=2, ticket=b"")), CloseCode.WRONG_ORDER),
    "no array": (frame(b"\xc0\xc0"), CloseCode.BAD_FRAME),
    "fields of another type": (frame(b"\x92" + bytes([Cancel.KIND]) + b"\xa1x"), CloseCode.BAD_MESSAGE),
    "data of no size": (
        frame(encode(data(1)).replace(b"\x01\xc2", b"\x00\xc2")),
        CloseCode.BAD_MESSAGE,
    ),
    "a record that holds nothing": (b"", CloseCode.BAD_FRAME),
}


@pytest.mark.parametrize(("text", "code"), BAD_MANNERS.values(), ids=BAD_MANNERS.keys())
def test_bad_manners_end_the_session_and_are_answered_with_the_reason(text: bytes, code: CloseCode) -> None:
    stranger = Stranger().come_in()
    with pytest.raises(PeerFault) as caught:
        stranger.say(text)
    assert caught.value.code is code
    assert close_code(stranger.hear()) == code
    assert stranger.victim.over
    assert stranger.say(frames(Cancel(request=1))) == []
    assert stranger.victim.next_timer() is None
    with pytest.raises(Misuse):
        stranger.victim.send(Cancel(request=1))


def test_a_frame_that_is_not_welcome_is_refused_before_it_is_there() -> None:
    stranger = Stranger()
    publish = frame(b"\x96" + bytes([Publish.KIND]) + bytes(200_000))
    with pytest.raises(PeerFault) as caught:
        stranger.say(publish[:65_519])
    assert caught.value.code is CloseCode.WRONG_ORDER


def test_a_stranger_who_was_not_admitted_may_only_knock() -> None:
    for message in (OpenFile(request=1, file=FILE), data(1), Browse(request=1, folder="")):
        with pytest.raises(PeerFault) as caught:
            Stranger().say(frames(message))
        assert caught.value.code is CloseCode.WRONG_ORDER


def test_an_unknown_odd_kind_is_skipped() -> None:
    stranger = Stranger()
    assert stranger.say(frame(b"\x91\x7f") + frames(Cancel(request=1))) == [told(Cancel(request=1))]


def test_a_fault_in_the_handshake_sends_nothing() -> None:
    bob = session(Party.ACCEPTOR, BOB)
    with pytest.raises(PeerFault):
        bob.receive_data(b"GET / HTTP/1.1\r\n\r\n", 0)
    assert drain(bob) == b""
    assert bob.over
    assert bob.receive_data(CONVERSATION, 0) == []


def test_the_wrong_peer_is_refused_before_we_say_who_we_are() -> None:
    pair = Pair(expected=MALLORY.node_id)
    with pytest.raises(PeerFault) as caught:
        pair.transmit()
    assert caught.value.code is CloseCode.BAD_HANDSHAKE
    assert drain(pair.alice) == b""


def test_two_without_a_common_version_part_with_both_lists_named() -> None:
    with pytest.raises(PeerFault, match=r"we speak 2, they speak 1\.") as caught:
        Pair(hello(versions=(2,))).transmit()
    assert caught.value.code is CloseCode.NO_COMMON_VERSION


def test_what_waits_behind_a_begun_payload_still_reaches_them_before_the_close() -> None:
    stranger = Stranger().come_in()
    stranger.victim.send(data(100_000), bytes(100_000))
    stranger.victim.data_to_send(1)
    with pytest.raises(PeerFault):
        stranger.say(b"")
    assert stranger.victim.pending_bytes > 100_000


# --- budgets -----------------------------------------------------------------------------------------


@pytest.fixture
def small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONTROL_MESSAGES_BURST", 100)
    monkeypatch.setattr(limits, "CONTROL_MESSAGES_PER_S", 20)
    monkeypatch.setattr(limits, "CONTROL_BYTES_BURST", 10_000)
    monkeypatch.setattr(limits, "CONTROL_BYTES_PER_S", 1_000)


@pytest.mark.usefixtures("small_budget")
def test_more_messages_than_a_burst_are_too_fast() -> None:
    stranger = Stranger()
    stranger.say(frames(Cancel(request=1)) * 100)
    with pytest.raises(PeerFault) as caught:
        stranger.say(frames(Cancel(request=1)))
    assert caught.value.code is CloseCode.TOO_FAST


@pytest.mark.usefixtures("small_budget")
def test_at_the_steady_rate_they_may_talk_for_ever() -> None:
    stranger = Stranger()
    stranger.say(frames(Cancel(request=1)) * 80)
    for second in range(1, 30):
        stranger.say(frames(Cancel(request=1)) * 20, now=second)
    with pytest.raises(PeerFault):
        stranger.say(frames(Cancel(request=1)) * 41, now=30)


@pytest.mark.usefixtures("small_budget")
@pytest.mark.parametrize(
    "text", [frames(Ping()), frames(Pong()), frame(b"\x91\x7f")], ids=["ping", "pong", "odd"]
)
def test_pings_pongs_and_unknown_kinds_are_charged_too(text: bytes) -> None:
    stranger = Stranger()
    stranger.say(text * 100)
    with pytest.raises(PeerFault) as caught:
        stranger.say(text)
    assert caught.value.code is CloseCode.TOO_FAST


@pytest.mark.usefixtures("small_budget")
def test_more_bytes_than_a_burst_are_too_fast() -> None:
    stranger = Stranger().come_in()
    have = frames(Have(file=FILE, pieces=tuple(range(500))))
    stranger.say(have * (9_500 // len(have)))
    with pytest.raises(PeerFault) as caught:
        stranger.say(have)
    assert caught.value.code is CloseCode.TOO_FAST


@pytest.mark.usefixtures("small_budget")
def test_answers_and_payloads_are_not_charged() -> None:
    stranger = Stranger().come_in()
    stranger.say(frames(Refused(request=1, reason=Reason.BUSY)) * 500)
    stranger.say(*[frames(data(100_000)), bytes(65_519), bytes(100_000 - 65_519)] * 200)


# --- time --------------------------------------------------------------------------------------------


def pass_time(pair: Pair, until: float) -> list[tuple[str, float]]:
    """Let both live until then; returns who woke up when."""
    woke: list[tuple[str, float]] = []
    for _ in range(1_000):
        timers = [(end.next_timer(), name, end) for name, end in (("alice", pair.alice), ("bob", pair.bob))]
        due, name, end = min((timer, name, end) for timer, name, end in timers if timer is not None)
        if due > until:
            return woke
        pair.now = due
        events = end.handle_timer(due)
        (pair.told_alice if end is pair.alice else pair.told_bob).extend(events)
        woke.append((name, due))
        pair.transmit()
    raise AssertionError("they woke up without end")


def test_of_two_idle_ends_only_the_dialer_pings_and_nobody_is_told() -> None:
    pair = greeted()
    woke = pass_time(pair, 1_000)
    assert woke == [("alice", n * limits.PING_AFTER_S) for n in range(1, 1_000 // limits.PING_AFTER_S + 1)]
    assert pair.told_alice == pair.told_bob == []


def test_the_acceptor_gives_the_ping_of_the_dialer_time_to_arrive() -> None:
    pair = greeted()
    alice, bob = pair.alice.next_timer(), pair.bob.next_timer()
    assert alice is not None
    assert bob is not None
    assert alice + 5 < bob < 60  # many routers forget a connection that was idle for a minute


def test_silence_ends_in_closed() -> None:
    pair = greeted()
    alice, seen, closed = pair.alice, [], []
    while (timer := alice.next_timer()) is not None:
        seen.append(timer)
        closed += alice.handle_timer(timer)
        drain(alice)
    assert seen == [limits.PING_AFTER_S, 2 * limits.PING_AFTER_S, limits.SILENT_AFTER_S]
    assert [event.code for event in closed if isinstance(event, Closed)] == [CloseCode.SILENT]
    assert alice.over


def test_the_acceptor_notices_silence_at_the_same_time() -> None:
    bob = greeted().bob
    closed: list[Event] = []
    while (timer := bob.next_timer()) is not None:
        closed += bob.handle_timer(timer)
    assert [event.code for event in closed if isinstance(event, Closed)] == [CloseCode.SILENT]
    assert timer is None


def test_a_timer_that_is_early_does_nothing() -> None:
    alice = greeted().alice
    assert alice.handle_timer(limits.PING_AFTER_S - 0.1) == []
    assert alice.pending_bytes == 0


def test_an_unfinished_handshake_ends_in_closed() -> None:
    bob = session(Party.ACCEPTOR, BOB, now=100.0)
    bob.receive_data(CONVERSATION[:40], 105.0)
    assert bob.next_timer() == 100.0 + limits.HANDSHAKE_TIMEOUT_S
    (closed,) = bob.handle_timer(110.0)
    assert isinstance(closed, Closed)
    assert closed.code is CloseCode.SILENT
    assert bob.handle_timer(200.0) == []


def test_a_byte_a_minute_is_silence() -> None:
    pair = admitted()
    pair.alice.send(Have(file=FILE, pieces=tuple(range(100))))
    wire = drain(pair.alice)
    for minute in range(1, 3):
        pair.bob.receive_data(wire[minute : minute + 1], 50.0 * minute)
    events: list[Event] = []
    while (timer := pair.bob.next_timer()) is not None and timer <= limits.SILENT_AFTER_S:
        events += pair.bob.handle_timer(timer)
    assert [type(event) for event in events] == [Closed]


def test_one_who_only_receives_still_says_that_it_is_there() -> None:
    # Alice sends a long file over a slow line: her own ping would wait behind it, so Bob has to speak up.
    pair = admitted()
    spoke_at: list[float] = []
    for second in range(1, 300):
        pair.alice.send(data(10), bytes(10))
        pair.bob.receive_data(drain(pair.alice), second)
        if (timer := pair.bob.next_timer()) is not None and timer <= second:
            pair.bob.handle_timer(second)
        if from_bob := drain(pair.bob):
            spoke_at.append(second)
            pair.alice.receive_data(from_bob, second)
    assert len(spoke_at) >= 5
    assert max(b - a for a, b in pairwise([0, *spoke_at])) < 60
    assert not pair.alice.over


def test_a_ping_is_answered_at_once_and_unseen() -> None:
    stranger = Stranger()
    assert stranger.say(frames(Ping())) == []
    assert stranger.hear() == frames(Pong())
    assert stranger.say(frames(Pong())) == []


def test_pings_of_one_who_does_not_read_do_not_pile_up() -> None:
    stranger = Stranger().come_in()
    for _ in range(limits.OUTBOX_BYTES_MAX // limits.DATA_BYTES_MAX + 1):
        stranger.victim.send(data(limits.DATA_BYTES_MAX), bytes(limits.DATA_BYTES_MAX))
    with pytest.raises(PeerFault) as caught:
        stranger.say(frames(Ping()))
    assert caught.value.code is CloseCode.TOO_SLOW


# --- closing -----------------------------------------------------------------------------------------


def test_a_close_is_the_last_word_of_both() -> None:
    pair = admitted()
    pair.alice.send(Have(file=FILE, pieces=(1,)))
    pair.alice.send(Close(code=CloseCode.GOING_AWAY, text="Back in a minute."))
    assert pair.alice.over
    with pytest.raises(Misuse):
        pair.alice.send(Cancel(request=1))
    pair.transmit()
    assert pair.told_bob == [
        told(Have(file=FILE, pieces=(1,))),
        Closed(CloseCode.GOING_AWAY, "Back in a minute."),
    ]
    with pytest.raises(Misuse):
        pair.bob.send(Cancel(request=1))


@pytest.mark.parametrize("code", CloseCode)
def test_every_close_code_survives_the_way(code: CloseCode) -> None:
    pair = admitted()
    pair.alice.send(Close(code=code, text="why"))
    assert pair.transmit().told_bob == [Closed(code, "why")]


def test_nothing_that_follows_a_close_is_read() -> None:
    stranger = Stranger()
    text = frames(Close(code=CloseCode.BYE), Cancel(request=1)) + b"rubbish"
    assert stranger.say(text) == [Closed(CloseCode.BYE, "")]
    assert stranger.tell(b"more rubbish") == []


# --- misuse ------------------------------------------------------------------------------------------


def test_nothing_is_sent_before_the_handshake_is_done() -> None:
    with pytest.raises(Misuse):
        session(Party.DIALER, ALICE).send(Knock(request=1, ticket=b""))


def test_what_the_table_forbids_is_not_sent() -> None:
    pair = greeted()
    for message in (Admitted(request=1), OpenFile(request=1, file=FILE), Login(request=1), hello()):
        with pytest.raises(Misuse):
            pair.alice.send(message)
    assert pair.alice.pending_bytes == 0


@pytest.mark.parametrize(
    ("message", "payload"),
    [(data(5), None), (data(5), b"1234"), (data(5), b"123456"), (DropFile(file=FILE), b"1")],
)
def test_a_payload_of_another_size_than_announced_is_not_sent(
    message: Message, payload: bytes | None
) -> None:
    pair = admitted()
    with pytest.raises(Misuse):
        pair.alice.send(message, payload)
    assert pair.alice.pending_bytes == 0


# --- keys and memory ---------------------------------------------------------------------------------


def test_keys_change_on_the_way_and_nobody_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REKEY_AFTER_RECORDS", 3)
    pair = admitted()
    for number in range(20):
        pair.alice.send(data(100_000), bytes([number]) * 100_000)
        pair.bob.send(Have(file=FILE, pieces=(number,)))
        pair.transmit()
    assert pair.told_bob == [told(data(100_000), bytes([n]) * 100_000) for n in range(20)]
    assert len(pair.told_alice) == 20


def test_an_idle_session_is_small() -> None:
    pairs = [admitted()]  # whatever is made once is made now
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(20):
            pair = admitted()
            pair.alice.send(data(300_000), bytes(300_000))
            pair.transmit().forget()
            pass_time(pair, limits.PING_AFTER_S)
            pairs.append(pair)
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used / 20 / 2 < 2.5 * limits.KIB


def test_memory_stays_bounded_whatever_arrives() -> None:
    stranger = Stranger().come_in()
    stranger.say(frames(data(limits.DATA_BYTES_MAX)))
    wire = stranger.sealed(bytes(65_519), bytes(65_519))
    gc.collect()
    tracemalloc.start()
    try:
        for start in range(0, len(wire) - 1, 1_000):
            stranger.tell(wire[start : start + 1_000])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limits.DATA_BYTES_MAX + 4 * (65_519 + OVERHEAD_BYTES)


def test_a_hello_of_any_legal_size_fits_the_handshake() -> None:
    said_by_alice = Hello(
        role=Role.CLIENT,
        versions=tuple(range(1, 17)),
        capabilities=tuple(f"capability {n:020}" for n in range(16)),
        agent="a" * limits.AGENT_BYTES_MAX,
    )
    pair = Pair(said_by_alice).transmit()
    assert isinstance(pair.told_bob[0], HandshakeDone)
    assert pair.told_bob[0].hello == said_by_alice


# --- the written-down conversation -------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "when"), [(0, "now."), (7, "in 7 s.")])
def test_whoever_finds_no_place_reads_when_to_try_again(seconds: int, when: str) -> None:
    [closed] = session(Party.DIALER, ALICE).receive_data(come_again(seconds), 0.0)
    assert isinstance(closed, Closed)
    assert closed.text.endswith(f"Try again {when}")
