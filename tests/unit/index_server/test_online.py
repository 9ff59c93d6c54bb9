"""Of one account, one connection; and what somebody who is detached is told later."""

from __future__ import annotations

from index_server.online import MISSED_MAX, Online, Visitor
from p2pshare.addresses import Address
from p2pshare.identity import NodeId
from p2pshare.wire.account import Announcement

NODE = NodeId(b"a" * 32)


def visitor() -> Visitor:
    return Visitor(1, NODE, "alice", None, Address("192.0.2.1", 50_000), bytes(16))


def test_a_later_connection_takes_the_place_of_the_older() -> None:
    online, older, newer = Online(), visitor(), visitor()
    assert online.arrive(older) is None
    assert online.arrive(newer) is older
    assert online.by_node(NODE) is online.by_account(1) is newer
    assert list(online) == [newer]


def test_the_older_one_leaving_takes_nobody_offline() -> None:
    online, older, newer = Online(), visitor(), visitor()
    online.arrive(older)
    online.arrive(newer)
    assert not online.leave(older)
    assert len(online) == 1
    assert online.leave(newer)
    assert len(online) == 0
    assert online.by_node(NODE) is online.by_account(1) is None


def test_an_address_is_open_once_the_port_was_reached() -> None:
    alice = visitor()
    assert alice.open_address is None
    alice.port = 4_000
    assert alice.open_address is None
    alice.reachable = True
    assert alice.open_address == Address("192.0.2.1", 4_000)


def test_who_is_detached_is_online_and_has_no_channel() -> None:
    online = Online()
    online.arrive(visitor())
    assert len(online) == 1
    assert list(online.channels()) == []


def test_what_is_said_to_somebody_detached_is_kept_the_latest_of_it() -> None:
    alice = visitor()
    for number in range(MISSED_MAX + 3):
        alice.post(Announcement(at=number, text="news"))
    assert alice.missed is not None
    assert [message.at for message in alice.missed] == list(range(3, MISSED_MAX + 3))  # type: ignore[attr-defined]
