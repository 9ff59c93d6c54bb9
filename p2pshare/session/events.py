"""What a session tells whoever runs it. The whole vocabulary on one page."""

from __future__ import annotations

from dataclasses import dataclass

from p2pshare.errors import CloseCode
from p2pshare.identity import NodeId
from p2pshare.session.settle import Settled
from p2pshare.wire.schema import Message
from p2pshare.wire.session import Hello


@dataclass(frozen=True, slots=True)
class HandshakeDone:
    """The other side is known and messages may pass."""

    peer: NodeId
    """Its proven identity. It may be our own: whoever dials decides what to make of that."""
    hello: Hello
    """What it says of itself."""
    settled: Settled
    """What both sides speak."""


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A whole, checked message that this state allows."""

    message: Message
    """Never a ping, pong or close: the session deals with those."""
    payload: memoryview | None
    """The raw bytes behind a message that declares them. Let go of it soon: then its memory is used again."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is over: they closed it, or were silent for too long. Nothing follows."""

    code: CloseCode
    text: str
    retry_after_s: int = 0
    """Not to connect again before that."""


Event = HandshakeDone | MessageReceived | Closed
