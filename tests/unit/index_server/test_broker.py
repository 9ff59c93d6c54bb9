"""Who connects to whom, and what each is told."""

from __future__ import annotations

import pytest

from index_server.broker import introduce
from index_server.online import Visitor
from p2pshare.addresses import Address
from p2pshare.errors import Reason, Refused
from p2pshare.identity import Identity
from p2pshare.tickets import check_ticket_untrusted
from p2pshare.wire.fields import AddressField
from p2pshare.wire.index import Caller, TicketIssued

SERVER = Identity.from_seed(b"s" * 32)
ASKER, TARGET = Identity.from_seed(b"a" * 32), Identity.from_seed(b"t" * 32)
NOW = 1_000_000


def visitor(identity: Identity, host: str, port: int | None) -> Visitor:
    """`port`: where it can be reached; None if it cannot."""
    observed, token = Address(host, 50_000), bytes(16)
    return Visitor(1, identity.node_id, "nick", None, observed, token, port, reachable=port is not None)


def brought_together(asker: Visitor, target: Visitor) -> tuple[TicketIssued, Caller]:
    return introduce(SERVER, 5, asker, target, nonces=bytes(range(32)), unix_now=NOW)


def test_whoever_can_be_reached_is_dialled_and_sees_no_address() -> None:
    issued, caller = brought_together(visitor(ASKER, "192.0.2.1", 9), visitor(TARGET, "192.0.2.2", 8))
    assert issued.addresses == (AddressField(host="192.0.2.2", port=8),)
    assert not issued.reverse and not caller.reverse
    assert caller.addresses == ()
    assert caller.node == ASKER.node_id


def test_whoever_cannot_be_reached_dials_and_the_asker_sees_no_address() -> None:
    issued, caller = brought_together(visitor(ASKER, "192.0.2.1", 9), visitor(TARGET, "192.0.2.2", None))
    assert issued.reverse and caller.reverse
    assert issued.addresses == ()
    assert caller.addresses == (AddressField(host="192.0.2.1", port=9),)


def test_two_that_cannot_be_reached_get_a_no_that_says_what_helps() -> None:
    with pytest.raises(Refused, match="port") as caught:
        brought_together(visitor(ASKER, "192.0.2.1", None), visitor(TARGET, "192.0.2.2", None))
    assert caught.value.reason is Reason.UNREACHABLE


def test_each_gets_a_ticket_in_its_own_direction() -> None:
    issued, caller = brought_together(visitor(ASKER, "192.0.2.1", 9), visitor(TARGET, "192.0.2.2", 8))
    servers = {SERVER.node_id}
    there = check_ticket_untrusted(
        issued.ticket, asker=ASKER.node_id, target=TARGET.node_id, servers=servers, unix_now=NOW
    )
    back = check_ticket_untrusted(
        caller.ticket, asker=TARGET.node_id, target=ASKER.node_id, servers=servers, unix_now=NOW
    )
    assert there.nonce != back.nonce


@pytest.mark.parametrize(
    ("asker", "target", "direct"),
    [
        ("192.0.2.1", "127.0.0.1", False),  # on the server's machine: its address leads nowhere for others
        ("192.168.0.7", "127.0.0.1", False),
        ("192.0.2.1", "192.168.0.7", False),  # in the server's local network
        ("192.168.0.8", "192.168.0.7", True),
        ("127.0.0.1", "192.168.0.7", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "192.0.2.2", True),
        ("192.168.0.7", "192.0.2.2", True),
    ],
)
def test_an_address_is_only_told_where_it_means_something(asker: str, target: str, direct: bool) -> None:
    issued, _ = brought_together(visitor(ASKER, asker, 9), visitor(TARGET, target, 8))
    assert issued.reverse is not direct
