"""The whole error tree on one page. The class says whose fault it was; the text says what to do.

Codes stand here because both the wire (`Close`, `Refused`) and the code that raises need them; protocol.md
prints both tables from these declarations.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class Explained(IntEnum):
    """Numbers that each say in a sentence what they mean."""

    def __new__(cls, value: int, doc: str = "") -> Self:
        member = int.__new__(cls, value)
        member._value_ = value
        member.__doc__ = doc
        return member


class CloseCode(Explained):
    """Why a connection is closed. Sent in `close`, as the last message of a connection."""

    BYE = 0, "The sender is done. Nothing is wrong."
    GOING_AWAY = 1, "The sender shuts down or restarts. Reconnect after `retry_after_s`, with jitter."
    BAD_FRAME = 2, "A record or frame broke the format, or was longer than its kind allows."
    BAD_MESSAGE = 3, "A message broke its declaration."
    UNKNOWN_KIND = 4, "A message of an unknown even kind arrived."
    WRONG_ORDER = 5, "A message that this state or this role does not allow."
    BAD_HANDSHAKE = 6, "The Noise handshake, the identity signature or the expected key did not hold."
    NO_COMMON_VERSION = 7, "The two sides share no protocol version."
    TOO_FAST = 8, "Budget overrun: more messages or bytes than the limits allow."
    TOO_SLOW = 9, "The other side did not read what was sent to it, and the outbox is full."
    SILENT = 10, "Nothing arrived for too long, not even an answer to a ping."
    NOT_ADMITTED = 11, "No valid ticket, or the person is not welcome here."
    TOO_MANY = 12, "Too many connections, in all or from this address, or too many at this moment."
    REPLACED = 13, "The same key logged in again from elsewhere; this connection is the older one."
    BAD_DATA = 14, "Bytes arrived that do not match the hash of their piece."
    INTERNAL = 15, "The sender made a mistake of its own. Try again later."


class Reason(Explained):
    """Why a request was politely refused. Sent in `refused`; the connection goes on."""

    NOT_LOGGED_IN = 1, "Log in first."
    NOT_REGISTERED = 2, "This key has no account here. Register a nick first."
    NICK_TAKEN = 3, "The nick, or one that looks like it, belongs to somebody else."
    NICK_BAD = 4, "The nick breaks the rules; the text says which."
    REGISTRATION_CLOSED = 5, "This server takes no new accounts."
    BANNED = 6, "This account, address or file is banned here; the text says until when and why."
    TOO_MUCH = 7, "A limit of this account is reached; the text says which."
    BUSY = 8, "Overloaded just now. Try again after `retry_after_s`."
    MANIFEST_MISMATCH = 9, "The delta does not lead to the digest it names. Publish everything anew."
    BAD_QUERY = 10, "The query has no word to search for, or a filter that makes no sense."
    NO_SUCH_PERSON = 11, "Nobody of that nick or key is known here."
    OFFLINE = 12, "That person is not online now."
    UNREACHABLE = 13, "No way to connect to that person was found."
    NO_SUCH_FILE = 14, "That file is not shared here, or not any more."
    FILE_CHANGED = 15, "The file changed on disk since it was offered. Search again."
    NOT_HELD = 16, "The file is known here, but not the piece that was asked for."
    NO_SLOT = 17, "No upload slot is held. Open the file and wait for one."
    HASHING = 18, "The file is being hashed. Try again after `retry_after_s`."
    NOT_SHARED_WITH_YOU = 19, "The owner does not share this with you."
    FAILED = 20, "It failed for a reason of the sender's own; the text says which."
    CANCELLED = 21, "The asker cancelled the request."
    NOT_YOUR_ROLE = 22, "That needs a role on this server that the asker does not have."


class P2PError(Exception):
    """Every error this project raises on purpose."""


class PeerFault(P2PError):
    """They broke the protocol. Close the connection with `code`; try another source."""

    def __init__(self, code: CloseCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class BadMessage(PeerFault):
    """A stranger's bytes do not mean anything that is allowed. The only error out of a decoder."""

    def __init__(self, text: str, code: CloseCode = CloseCode.BAD_MESSAGE) -> None:
        super().__init__(code, text)


class Refused(P2PError):
    """They said no, politely. `text` is fit to show to the person."""

    def __init__(self, reason: Reason, text: str = "", retry_after_s: int = 0) -> None:
        super().__init__(text or reason.__doc__)
        self.reason = reason
        self.text = text or str(reason.__doc__)
        self.retry_after_s = retry_after_s


class Disconnected(P2PError):
    """The connection ended: cable, crash, or a polite close. Nobody's fault; try again or elsewhere."""

    def __init__(
        self,
        text: str = "The connection was lost.",
        code: CloseCode | None = None,
        retry_after_s: int = 0,
    ) -> None:
        """`retry_after_s`: what the other side asks to be left alone for."""
        super().__init__(text)
        self.code = code
        self.retry_after_s = retry_after_s


class LocalTrouble(P2PError):
    """Something on this machine stands in the way. The text says what, and what the person can do."""


class Misuse(P2PError):
    """We called our own code wrongly. Never caught on purpose; tests find it."""
