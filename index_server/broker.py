"""How two people come together: who connects to whom, and what each is told.

Addresses leave the server in these two messages only, and only to somebody who can connect to them. Where to
connect and whom to expect there is the server's word; whoever answers proves its key in the handshake.
"""

from __future__ import annotations

from index_server.online import Visitor
from p2pshare.addresses import Address, is_loopback, is_private
from p2pshare.errors import Reason, Refused
from p2pshare.identity import Identity
from p2pshare.tickets import NONCE_BYTES, issue_ticket
from p2pshare.wire.fields import AddressField
from p2pshare.wire.index import Caller, TicketIssued


def introduce(
    server: Identity, request: int, asker: Visitor, target: Visitor, *, nonces: bytes, unix_now: float
) -> tuple[TicketIssued, Caller]:
    """The answer for the asker and the notice for the target. `nonces`: 32 fresh random bytes.

    Raises `Refused(UNREACHABLE)` if neither can connect to the other.
    """
    direct = _address_for(asker, target)
    reverse = _address_for(target, asker)
    if direct is None and reverse is None:
        text = "Neither that person nor you can be connected to from outside. Opening your port would do."
        raise Refused(Reason.UNREACHABLE, text)
    there = issue_ticket(
        server, asker=asker.node, target=target.node, nonce=nonces[:NONCE_BYTES], unix_now=unix_now
    )
    back = issue_ticket(
        server, asker=target.node, target=asker.node, nonce=nonces[NONCE_BYTES:], unix_now=unix_now
    )
    if direct is not None:
        issued = TicketIssued(request=request, ticket=there, addresses=(address_field(direct),))
        return issued, Caller(node=asker.node, nick=asker.nick, ticket=back, addresses=())
    assert reverse is not None
    issued = TicketIssued(request=request, ticket=there, addresses=(), reverse=True)
    addresses = (address_field(reverse),)
    return issued, Caller(node=asker.node, nick=asker.nick, ticket=back, addresses=addresses, reverse=True)


def address_field(address: Address) -> AddressField:
    return AddressField(host=address.host, port=address.port)


def _address_for(dialer: Visitor, other: Visitor) -> Address | None:
    """Where `dialer` can connect to `other`; None if it cannot.

    The address of a client beside the server means something there only: one on the same machine has a
    loopback address, one in the same local network a private one.
    """
    address = other.open_address
    if address is None or is_loopback(dialer.observed.host):
        return address
    far_away = not is_private(dialer.observed.host)
    return None if is_loopback(address.host) or (far_away and is_private(address.host)) else address
