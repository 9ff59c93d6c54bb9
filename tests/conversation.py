"""What passed between sessions while a test ran: who said what to whom, and what was refused.

    with overheard() as conversation:
        ...
    print(conversation.arrows(names))

It listens at the one place where a message from the other side has been checked and allowed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import trio

from p2pshare.errors import PeerFault
from p2pshare.identity import NodeId
from p2pshare.session.events import Event
from p2pshare.session.greeting import Greeting
from p2pshare.session.session import Bytes, Session
from p2pshare.wire.schema import Message

REMEMBERED = 400  # messages kept for telling
STRANGERS = (NodeId(b""), NodeId(b""))  # at the ends of a connection that was there before


@dataclass(frozen=True)
class Said:
    at: float
    sender: NodeId
    hearer: NodeId
    message: Message


@dataclass
class Conversation:
    """Everything overheard so far."""

    said: deque[Said] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    kinds: set[type[Message]] = field(default_factory=set)
    """Every kind that a session accepted from the other side."""
    faults: list[PeerFault] = field(default_factory=list)

    def arrows(self, names: Mapping[NodeId, str], last: int = 40) -> list[str]:
        """The last messages as numbered arrows."""
        lines = []
        first = max(0, len(self.said) - last)
        for number, one in list(enumerate(self.said))[first:]:
            sender, hearer = (names.get(node, node.hex()[:6]) for node in (one.sender, one.hearer))
            fields = ", ".join(
                f"{each.name}={_short(getattr(one.message, each.name))}" for each in one.message.FIELDS
            )
            lines.append(f"{number:4} {one.at:10.3f} {sender} -> {hearer}: {one.message.NAME}({fields})")
        return lines


def _short(value: object) -> str:
    text = value.hex() if isinstance(value, bytes) else repr(value)
    return text if len(text) <= 24 else f"{text[:20]}..."


@contextmanager
def overheard() -> Iterator[Conversation]:
    """Listen to every session of this process while the block runs."""
    conversation = Conversation()
    ends: dict[int, tuple[NodeId, NodeId]] = {}  # by id of the session: (itself, the other side)
    establish, take, receive = Session._establish, Session._take_untrusted, Session.receive_data

    def listening_establish(self: Session, greeting: Greeting) -> None:
        assert greeting.done is not None
        ends[id(self)] = (greeting._static.node_id, greeting.done.peer)
        note(self, greeting.done.hello)
        establish(self, greeting)

    def listening_take(
        self: Session, message: Message, payload: memoryview | None, events: list[Event]
    ) -> None:
        take(self, message, payload, events)
        note(self, message)

    def listening_receive(self: Session, data: Bytes, now: float) -> list[Event]:
        try:
            return receive(self, data, now)
        except PeerFault as fault:
            conversation.faults.append(fault)
            raise

    def note(session: Session, message: Message) -> None:
        hearer, sender = ends.get(id(session), STRANGERS)
        conversation.kinds.add(type(message))
        try:
            at = trio.current_time()
        except RuntimeError:
            at = 0.0
        conversation.said.append(Said(at, sender, hearer, message))

    Session._establish = listening_establish  # type: ignore[method-assign]
    Session._take_untrusted = listening_take  # type: ignore[method-assign]
    Session.receive_data = listening_receive  # type: ignore[method-assign]
    try:
        yield conversation
    finally:
        Session._establish, Session._take_untrusted, Session.receive_data = establish, take, receive  # type: ignore[method-assign]
