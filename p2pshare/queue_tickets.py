"""A queue ticket is an uploader's word that somebody has waited since then. It outlives restarts of both.

    uploader(32) || asker(32) || joined u64be(8) || issued u64be(8) || signature(64)     144 bytes

`joined` and `issued` are in Unix seconds of the uploader's clock. The signature is the uploader's, in
CONTEXT_QUEUE_TICKET, over everything before it. Nobody but the asker, who proved its key in the handshake,
gets anything for it, and nobody but the uploader needs to understand it.
"""

from __future__ import annotations

from p2pshare.errors import Misuse
from p2pshare.identity import CONTEXT_QUEUE_TICKET, Identity, NodeId, verify
from p2pshare.limits import (
    CLOCK_SKEW_S,
    KEY_BYTES,
    QUEUE_TICKET_BYTES,
    QUEUE_TICKET_LIFETIME_S,
    SIGNATURE_BYTES,
)

_SIGNED_BYTES = QUEUE_TICKET_BYTES - SIGNATURE_BYTES


def issue_queue_ticket(uploader: Identity, *, asker: NodeId, joined: int, issued: int) -> bytes:
    """A signed ticket that is good for QUEUE_TICKET_LIFETIME_S. Times in Unix seconds."""
    if len(asker) != KEY_BYTES or not 0 <= joined <= issued:
        raise Misuse("a queue ticket is for a key of 32 bytes, and for somebody who joined before")
    signed = uploader.node_id + asker + joined.to_bytes(8, "big") + issued.to_bytes(8, "big")
    return signed + uploader.sign(CONTEXT_QUEUE_TICKET, signed)


def joined_untrusted(ticket: bytes, *, uploader: NodeId, asker: NodeId, unix_now: float) -> int | None:
    """Since when `asker` (proven by the handshake) waits at `uploader` (us), in Unix seconds.

    None if the ticket does not say so: it is somebody else's, forged, too old or from the future. Never
    raises. The signature comes last, because it costs the most.
    """
    if len(ticket) != QUEUE_TICKET_BYTES or ticket[: 2 * KEY_BYTES] != uploader + asker:
        return None
    joined = int.from_bytes(ticket[2 * KEY_BYTES :][:8], "big")
    issued = int.from_bytes(ticket[2 * KEY_BYTES + 8 :][:8], "big")
    if not joined <= issued <= unix_now + CLOCK_SKEW_S or unix_now > issued + QUEUE_TICKET_LIFETIME_S:
        return None
    if not verify(uploader, CONTEXT_QUEUE_TICKET, ticket[:_SIGNED_BYTES], ticket[_SIGNED_BYTES:]):
        return None
    return joined
