"""Messages that every connection knows, whoever is at its ends."""

from __future__ import annotations

from typing import Annotated

from p2pshare import limits
from p2pshare.errors import CloseCode, Reason
from p2pshare.wire.fields import RequestId, Role, Seconds, Text
from p2pshare.wire.schema import Message, Range, Size, spec


class Hello(Message, kind=0, name="hello"):
    """Who speaks and what it can do. Travels inside the handshake, never in a frame."""

    role: Role = spec("What the sender is.")
    versions: Annotated[tuple[Annotated[int, Range(1, 65_535)], ...], Size(1, 16)] = spec(
        "Every protocol version it speaks."
    )
    capabilities: Annotated[tuple[Annotated[str, Size(1, 32)], ...], Size(0, 16)] = spec(
        "Optional abilities by name; both sides use those that both name.", default=()
    )
    agent: Annotated[str, Size(0, limits.AGENT_BYTES_MAX)] = spec(
        "Program and version, for people and logs; never to decide anything.", default=""
    )


class Close(Message, kind=2, name="close", frame_max=2 * limits.KIB):
    """The last message of a connection: why it ends."""

    code: CloseCode = spec("The reason.")
    text: Text = spec("The reason in one sentence, fit to show.", default="")
    retry_after_s: Seconds = spec("Not to connect again before that, in seconds.", default=0)


class Ping(Message, kind=4, name="ping"):
    """Are you there?"""


class Pong(Message, kind=6, name="pong", answers=(Ping,)):
    """Yes."""


class Refused(Message, kind=8, name="refused", frame_max=2 * limits.KIB):
    """A polite no to any request. The connection goes on."""

    request: RequestId = spec("The request it answers.")
    reason: Reason = spec("Why not.")
    text: Text = spec("Why not, in one sentence fit to show.", default="")
    retry_after_s: Seconds = spec("When asking again makes sense, in seconds; 0 if it does not.", default=0)


class Cancel(Message, kind=9, name="cancel"):
    """The asker wants no more answers to a request."""

    request: RequestId = spec("The request.")
