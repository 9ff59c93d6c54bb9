from __future__ import annotations

import errno
from ipaddress import ip_interface

import pytest
import zeroconf

from p2pshare.addresses import Address
from p2pshare.errors import BadMessage, LocalTrouble
from p2pshare.identity import Identity, format_node_id
from p2pshare.transport.discover import (
    SEEN_MAX,
    Found,
    Kind,
    Lost,
    Sightings,
    found_untrusted,
    is_near,
    look_for,
)

ANNA = Identity.from_seed(b"a" * 32).node_id
GOOD: dict[bytes, bytes | None] = {
    b"versions": b"1,2",
    b"key": format_node_id(ANNA).encode(),
    b"name": "Anna Ärmel".encode(),
}
OWN = [ip_interface("198.51.100.7/24"), ip_interface("2001:db8:1::7/64")]


def near(host: str) -> bool:
    return is_near(host, OWN, only_there=False)


def test_a_good_announcement_is_understood() -> None:
    found = found_untrusted(GOOD, ["192.168.1.4", "fd00::4", "192.168.1.4"], 4000, near)
    assert found == Found(ANNA, "Anna Ärmel", (Address("192.168.1.4", 4000), Address("fd00::4", 4000)))


@pytest.mark.parametrize(
    "change",
    [
        {b"versions": b"2"},
        {b"versions": None},
        {b"key": b"abc"},
        {b"key": b"\xff\xfe"},
        {b"name": b""},
        {b"name": b"x" * 129},
        {b"name": b"red \x1b[31m"},
        {b"name": "evil \u202e lave".encode()},
        {b"\xff": b""},
    ],
    ids=str,
)
def test_a_bad_announcement_is_refused(change: dict[bytes, bytes | None]) -> None:
    with pytest.raises(BadMessage):
        found_untrusted(GOOD | change, ["192.168.1.4"], 4000, near)


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    with pytest.raises(BadMessage):
        found_untrusted(GOOD, ["192.168.1.4"], port, near)


def test_an_announcement_cannot_aim_us_at_the_rest_of_the_world() -> None:
    with pytest.raises(BadMessage):
        found_untrusted(GOOD, ["203.0.113.9", "127.0.0.1", "0.0.0.0", "224.0.0.251", "fe80::1"], 4000, near)


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("198.51.100.200", True),  # public, but in our own network
        ("198.51.101.1", False),
        ("10.1.2.3", True),
        ("2001:db8:1::99", True),
        ("2001:db8:2::99", False),
        ("fe80::1", False),
        ("127.0.0.1", False),
        ("255.255.255.255", False),
        ("example.org", False),
    ],
)
def test_only_addresses_of_the_local_network_are_near(host: str, answer: bool) -> None:
    assert near(host) is answer


def test_who_looks_on_loopback_only_finds_nobody_else() -> None:
    loopback = [ip_interface("127.0.0.1/8")]
    assert is_near("127.0.0.1", loopback, only_there=True)
    assert not is_near("192.168.1.4", loopback, only_there=True)
    assert not is_near("fd00::4", loopback, only_there=True)


async def test_a_slow_reader_sees_the_outcome_only() -> None:
    sightings = Sightings()
    old, new = (Found(ANNA, name, (Address("10.0.0.1", 1),)) for name in ("old", "new"))
    sightings.note("one", old)
    sightings.note("one", new)
    assert await anext(sightings) == new
    sightings.note("two", new)  # the same key from a second program
    assert await anext(sightings) == new
    sightings.note("one", None)
    sightings.note("two", None)
    assert await anext(sightings) == Lost(ANNA)


async def test_a_flood_of_announcements_is_bounded() -> None:
    sightings = Sightings()
    for number in range(SEEN_MAX + 50):
        node = Identity.from_seed(number.to_bytes(32, "big")).node_id
        sightings.note(f"flood {number}", Found(node, "flood", (Address("10.0.0.1", 1),)))
    sightings.note("flood 0", None)
    seen = [await anext(sightings) for _ in range(SEEN_MAX)]
    assert sum(isinstance(one, Lost) for one in seen) == 1


async def test_a_machine_without_network_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(**_: object) -> None:
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(zeroconf, "Zeroconf", no_network)
    with pytest.raises(LocalTrouble, match="No such device"):
        async with look_for(Kind.PEER):
            pass
