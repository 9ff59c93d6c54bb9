"""A ticket is an index server's word, for two minutes, that one person may dial another (design: brokered).

    nonce(16) || server(32) || asker(32) || target(32) || not_after u64be(8) || signature(64)     184 bytes

`not_after` is in Unix seconds. The signature is the server's, in CONTEXT_TICKET, over everything before it.
A ticket is worth nothing to a thief: the target admits its asker only, who proved its key in the handshake.
"""

from __future__ import annotations

import heapq
from collections.abc import Container
from dataclasses import dataclass

from p2pshare.errors import CloseCode, Misuse, PeerFault
from p2pshare.identity import CONTEXT_TICKET, Identity, NodeId, verify
from p2pshare.limits import CLOCK_SKEW_S, KEY_BYTES, SIGNATURE_BYTES, TICKET_BYTES, TICKET_LIFETIME_S

NONCE_BYTES = 16
_NOT_AFTER_BYTES = 8
_SIGNED_BYTES = TICKET_BYTES - SIGNATURE_BYTES

# Some 3 MB, and two dozen new callers a second for the seven minutes that a ticket is remembered.
TICKETS_REMEMBERED_MAX = 10_000


@dataclass(frozen=True)
class Ticket:
    nonce: bytes  # 16 random bytes: no two tickets are alike
    server: NodeId
    asker: NodeId
    target: NodeId
    not_after: int  # Unix seconds


def issue_ticket(server: Identity, *, asker: NodeId, target: NodeId, nonce: bytes, unix_now: float) -> bytes:
    """A signed ticket that is good for TICKET_LIFETIME_S. `nonce` is 16 fresh random bytes."""
    if len(nonce) != NONCE_BYTES or len(asker) != KEY_BYTES or len(target) != KEY_BYTES:
        raise Misuse("a ticket is made of a nonce of 16 bytes and keys of 32 bytes")
    not_after = (int(unix_now) + TICKET_LIFETIME_S).to_bytes(_NOT_AFTER_BYTES, "big")
    signed = nonce + server.node_id + asker + target + not_after
    return signed + server.sign(CONTEXT_TICKET, signed)


def check_ticket_untrusted(
    ticket: bytes, *, asker: NodeId, target: NodeId, servers: Container[NodeId], unix_now: float
) -> Ticket:
    """Does this ticket let `asker` (proven by the handshake) in at `target` (us), by a server that we use?

    Raises PeerFault(NOT_ADMITTED) and nothing else. Clocks may differ by CLOCK_SKEW_S. The signature comes
    last, because it costs the most.
    """
    if len(ticket) != TICKET_BYTES:
        raise _not_admitted(f"A ticket has {TICKET_BYTES} bytes, not {len(ticket)}.")
    read = _read(ticket)
    if read.server not in servers:
        raise _not_admitted("The ticket is from an index server that is not used here.")
    if read.asker != asker:
        raise _not_admitted("The ticket was given to somebody else.")
    if read.target != target:
        raise _not_admitted("The ticket leads to somebody else.")
    if unix_now > read.not_after + CLOCK_SKEW_S:
        raise _not_admitted("The ticket has expired. Ask the index server for a new one.")
    if unix_now < read.not_after - TICKET_LIFETIME_S - CLOCK_SKEW_S:
        raise _not_admitted("The ticket is valid for too long, or from the future. Check the clock.")
    if not verify(read.server, CONTEXT_TICKET, ticket[:_SIGNED_BYTES], ticket[_SIGNED_BYTES:]):
        raise _not_admitted("The signature of the ticket is wrong.")
    return read


def server_of(ticket: bytes) -> NodeId:
    """Whose clock a ticket goes by, as it says itself; nothing is checked. Any bytes will do."""
    return NodeId(ticket[NONCE_BYTES : NONCE_BYTES + KEY_BYTES])


class TicketMemory:
    """Lets each ticket pass once. Give it checked tickets only.

    It forgets a ticket when it could no longer pass the check. When full it forgets the one that expires
    first: a replay by the very same asker is a smaller harm than shutting everybody out.
    """

    def __init__(self, capacity: int = TICKETS_REMEMBERED_MAX) -> None:
        self._capacity = capacity
        self._seen: set[tuple[NodeId, bytes]] = set()
        self._by_expiry: list[tuple[int, tuple[NodeId, bytes]]] = []  # a heap

    def __len__(self) -> int:
        return len(self._seen)

    def check_and_remember(self, ticket: Ticket, unix_now: float) -> None:
        """Raises PeerFault(NOT_ADMITTED) for a ticket that was here before."""
        while self._by_expiry and self._by_expiry[0][0] + CLOCK_SKEW_S < unix_now:
            self._forget_first()
        key = (ticket.server, ticket.nonce)
        if key in self._seen:
            raise _not_admitted("The ticket was used before. Ask the index server for a new one.")
        if len(self._seen) >= self._capacity:
            self._forget_first()
        self._seen.add(key)
        heapq.heappush(self._by_expiry, (ticket.not_after, key))

    def _forget_first(self) -> None:
        _, key = heapq.heappop(self._by_expiry)
        self._seen.remove(key)


def _read(ticket: bytes) -> Ticket:
    """Cuts 184 bytes; cannot fail."""
    nonce, keys = ticket[:NONCE_BYTES], ticket[NONCE_BYTES : NONCE_BYTES + 3 * KEY_BYTES]
    server, asker, target = (
        NodeId(keys[start : start + KEY_BYTES]) for start in range(0, 3 * KEY_BYTES, KEY_BYTES)
    )
    not_after = ticket[_SIGNED_BYTES - _NOT_AFTER_BYTES : _SIGNED_BYTES]
    return Ticket(nonce, server, asker, target, int.from_bytes(not_after, "big"))


def _not_admitted(text: str) -> PeerFault:
    return PeerFault(CloseCode.NOT_ADMITTED, text)
