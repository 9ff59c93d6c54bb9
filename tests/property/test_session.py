"""Any split of a conversation says the same; whatever strangers send leads to events or to one fault."""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from p2pshare import limits
from p2pshare.errors import CloseCode
from p2pshare.hashing import FileId
from p2pshare.session.cipher import PLAINTEXT_MAX, Opener, Sealer
from p2pshare.session.events import Closed, Event, MessageReceived
from p2pshare.session.greeting import COME_AGAIN_BYTES
from p2pshare.session.session import Session
from p2pshare.session.states import Party, Phase
from p2pshare.wire.peer import Admitted, Browse, Data, DropFile, Have, Knock, OpenFile
from p2pshare.wire.schema import REGISTRY, Message, encode
from p2pshare.wire.session import Cancel, Close, Ping
from tests.session_pair import (
    ALICE,
    BOB,
    Pair,
    Stranger,
    admitted,
    drain,
    feed,
    frame,
    frames,
    records_of,
    seal_all,
    session,
)

FILE = FileId(b"f" * 32)
SIZES = st.sampled_from([1, 2, 100, PLAINTEXT_MAX - 1, PLAINTEXT_MAX, PLAINTEXT_MAX + 1, 140_000])
Said = tuple[Message, bytes | None]


def data_of(size: int, fill: int) -> Said:
    return Data(request=1, piece=0, offset=0, size=size, more=False), bytes([fill]) * size


SAYINGS: st.SearchStrategy[Said] = st.one_of(
    st.builds(data_of, SIZES, st.integers(0, 255)),
    st.builds(lambda n: (Cancel(request=n), None), st.integers(1, 2**32 - 1)),
    st.builds(
        lambda ns: (Have(file=FILE, pieces=tuple(ns)), None), st.lists(st.integers(0, 65_535), min_size=1)
    ),
    st.just((Ping(), None)),
    st.just((DropFile(file=FILE), None)),
)


@st.composite
def cuts(draw: st.DrawFn, wire: bytes) -> list[bytes]:
    """The stream in pieces; many cuts fall close to where records begin, where it hurts."""
    starts, at = [], 0
    for record in records_of(wire):
        starts.append(at)
        at += len(record)
    near = st.builds(lambda start, by: max(0, start + by), st.sampled_from(starts), st.integers(-3, 8))
    places = sorted(draw(st.lists(st.one_of(near, st.integers(0, len(wire))), max_size=20)))
    return [wire[a:b] for a, b in zip([0, *places], [*places, len(wire)], strict=True)]


def expected_events(sayings: list[Said]) -> list[Event]:
    return [
        MessageReceived(message, None if payload is None else memoryview(payload))
        for message, payload in sayings
        if not isinstance(message, Ping)
    ]


@given(st.lists(SAYINGS, min_size=1, max_size=12), st.integers(1, 400_000), st.data())
def test_any_split_of_the_stream_gives_the_same_events(
    sayings: list[Said], limit: int, choices: st.DataObject
) -> None:
    pair = admitted()
    wire = b""
    for message, payload in sayings:
        pair.alice.send(message, payload)
        if choices.draw(st.booleans()):
            wire += bytes(pair.alice.data_to_send(limit))
    while outgoing := bytes(pair.alice.data_to_send(limit)):
        wire += outgoing
    events, fault = feed(pair.bob, choices.draw(cuts(wire)))
    assert fault is None
    assert events == expected_events(sayings)


@given(st.lists(st.binary(max_size=300), max_size=5), st.sampled_from(Party))
def test_arbitrary_bytes_lead_to_one_fault_or_to_waiting(chunks: list[bytes], party: Party) -> None:
    victim = session(party, BOB)
    events, fault = feed(victim, chunks)
    assert events == []
    assert victim.over == (fault is not None)
    assert feed(victim, chunks)[0] == []


@given(st.binary(max_size=200), st.integers(0, 2))
def test_arbitrary_bytes_as_a_handshake_message_lead_to_one_fault(body: bytes, number: int) -> None:
    pair = Pair()
    victim = pair.bob
    if number > 0:
        pair.bob.receive_data(drain(pair.alice), 0)
        victim = pair.alice
    if number > 1:
        pair.alice.receive_data(drain(pair.bob), 0)
        victim = pair.bob
    events, fault = feed(victim, [len(body).to_bytes(2, "big") + body])
    if number == 1 and len(body) == COME_AGAIN_BYTES:
        [event] = events
        assert isinstance(event, Closed) and event.code is CloseCode.TOO_MANY
        assert victim.over and fault is None
        return
    assert events == []
    assert victim.over == (fault is not None)
    assert fault is not None or number == 0


KINDS = st.one_of(st.sampled_from(sorted(REGISTRY)), st.integers(0, 255))
PLAIN: st.SearchStrategy[bytes] = st.one_of(
    st.sampled_from([b"\xc0", b"\xc2", b"\x01", b"\xcc\xff", b"\xa1x", b"\xa0", b"\x90", b"\xc4\x20" + FILE]),
    st.binary(max_size=6),
)
BODIES = st.one_of(
    st.builds(
        lambda kind, values: bytes([0x91 + len(values), kind]) + b"".join(values),
        KINDS,
        st.lists(PLAIN, max_size=9),
    ),
    SAYINGS.map(lambda said: encode(said[0])),
    st.binary(max_size=60),
)
TEXTS = st.one_of(
    st.lists(BODIES.map(frame), max_size=4).map(b"".join),
    st.binary(max_size=60),
    st.sampled_from([bytes(PLAINTEXT_MAX), frames(Cancel(request=1)) * 10_919 + b"\0"]),
    SAYINGS.map(lambda said: (said[1] or b"")[:PLAINTEXT_MAX]),
)


@given(st.booleans(), st.lists(TEXTS, max_size=6), st.data())
def test_whatever_a_peer_with_good_keys_says_leads_to_events_or_one_fault(
    come_in: bool, texts: list[bytes], choices: st.DataObject
) -> None:
    stranger = Stranger().come_in() if come_in else Stranger()
    wire = stranger.sealed(*texts)
    events, fault = feed(stranger.victim, [wire])
    assert stranger.victim.over == (fault is not None or any(isinstance(event, Closed) for event in events))

    same = Stranger().come_in() if come_in else Stranger()
    events_cut, fault_cut = feed(same.victim, choices.draw(cuts(same.sealed(*texts))) if texts else [])
    assert (fault and (fault.code, fault.text)) == (fault_cut and (fault_cut.code, fault_cut.text))
    # Only what the call with the fault had found before is lost, and that call was shorter here.
    assert events_cut[: len(events)] == events
    assert fault is not None or events_cut == events
    if fault is not None:
        assert frames(Close(code=fault.code, text=fault.text)) in stranger.hear()


@given(st.lists(st.binary(max_size=50), max_size=12), st.integers(1, 5))
def test_what_was_sealed_is_opened_with_any_rekeying(texts: list[bytes], rekey_after: int) -> None:
    sealer, opener = Sealer(FILE), Opener(FILE)
    sealer._rekey_after = opener._rekey_after = rekey_after
    records = records_of(seal_all(sealer, texts))
    assert [opener.open_untrusted(memoryview(record)[2:]) for record in records] == texts


class TwoSessions(RuleBasedStateMachine):
    """Alice and Bob say what they may, time passes, the wire delivers when it likes: they never disagree."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.ends = {"alice": session(Party.DIALER, ALICE), "bob": session(Party.ACCEPTOR, BOB)}
        self.wires: dict[str, deque[bytes]] = {"alice": deque(), "bob": deque()}  # towards whom
        self.said: dict[str, list[Event]] = {"alice": [], "bob": []}
        self.heard: dict[str, list[Event]] = {"alice": [], "bob": []}
        self.knocked = self.closing = False

    def other(self, name: str) -> str:
        return "bob" if name == "alice" else "alice"

    def say(self, name: str, message: Message, payload: bytes | None = None) -> None:
        self.ends[name].send(message, payload)
        self.said[name] += expected_events([(message, payload)])

    def is_greeted(self, name: str) -> bool:
        return self.ends[name]._greeting is None and not self.ends[name].over

    @rule(name=st.sampled_from(["alice", "bob"]), limit=st.integers(1, 200_000))
    def put_on_the_wire(self, name: str, limit: int) -> None:
        if outgoing := bytes(self.ends[name].data_to_send(limit)):
            self.wires[self.other(name)].append(outgoing)

    @rule(name=st.sampled_from(["alice", "bob"]), part=st.floats(0, 1))
    def deliver(self, name: str, part: float) -> None:
        if wire := self.wires[name]:
            first = wire.popleft()
            cut = round(len(first) * part)
            if first[cut:]:
                wire.appendleft(first[cut:])
            events = self.ends[name].receive_data(first[:cut], self.now)
            self.heard[name] += [event for event in events if isinstance(event, MessageReceived)]

    @precondition(lambda self: not self.knocked and self.is_greeted("alice"))
    @rule()
    def knock(self) -> None:
        self.knocked = True
        self.say("alice", Knock(request=1, ticket=b""))

    @precondition(lambda self: any(isinstance(e.message, Knock) for e in self.heard["bob"]))
    @rule()
    def admit(self) -> None:
        if self.is_greeted("bob") and self.ends["bob"]._phase is Phase.GREETED:
            self.say("bob", Admitted(request=1))

    @rule(name=st.sampled_from(["alice", "bob"]), saying=SAYINGS)
    def talk(self, name: str, saying: Said) -> None:
        if self.is_greeted(name) and self.ends[name]._phase is Phase.READY:
            self.say(name, *saying)

    @rule(name=st.sampled_from(["alice", "bob"]))
    def ask(self, name: str) -> None:
        if self.is_greeted(name) and self.ends[name]._phase is Phase.READY:
            self.say(name, OpenFile(request=1, file=FILE))
            self.say(name, Browse(request=2, folder=""))

    @rule(seconds=st.floats(0, 20))
    def pass_time(self, seconds: float) -> None:
        # Never so long without delivery that one of them gives the other up.
        if all(self.now + seconds < self.silent_at(end) for end in self.ends.values()):
            self.now += seconds
            for end in self.ends.values():
                assert end.handle_timer(self.now) == []

    def silent_at(self, end: Session) -> float:
        if end._greeting is not None:
            return limits.HANDSHAKE_TIMEOUT_S
        return end._silent_at()

    @invariant()
    def each_heard_a_start_of_what_the_other_said(self) -> None:
        for name, heard in self.heard.items():
            assert heard == self.said[self.other(name)][: len(heard)]

    @invariant()
    def bob_is_never_behind_alice(self) -> None:
        if self.is_greeted("alice") and self.ends["alice"]._phase is Phase.READY:
            assert self.ends["bob"]._phase is Phase.READY

    def teardown(self) -> None:
        for _ in range(20):
            for name, end in self.ends.items():
                self.wires[self.other(name)].append(drain(end))
                while self.wires[name]:
                    self.deliver(name, 1.0)
        for name, heard in self.heard.items():
            assert heard == self.said[self.other(name)]
        for end in self.ends.values():
            assert end.pending_bytes == 0


TwoSessions.TestCase.settings = settings(stateful_step_count=40)
TestTwoSessions = TwoSessions.TestCase
