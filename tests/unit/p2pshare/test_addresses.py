from __future__ import annotations

import pytest

from p2pshare.addresses import (
    Address,
    format_address,
    is_loopback,
    is_private,
    parse_address_untrusted,
    parse_host_untrusted,
)
from p2pshare.errors import BadMessage


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("1.2.3.4:80", "1.2.3.4", 80),
        ("[::1]:65535", "::1", 65535),
        ("[2001:DB8::0:1]:1", "2001:db8::1", 1),
        ("[::ffff:1.2.3.4]:5", "1.2.3.4", 5),
        ("Example.ORG.:4000", "example.org", 4000),
        ("localhost:4000", "localhost", 4000),
        ("xn--mller-kva.de:1", "xn--mller-kva.de", 1),
        ("_srv.host-1.lan:1", "_srv.host-1.lan", 1),
        ("1.2.3.com:1", "1.2.3.com", 1),
    ],
)
def test_an_address_is_read_in_its_canonical_form(text: str, host: str, port: int) -> None:
    address = parse_address_untrusted(text)
    assert address == Address(host, port)
    assert parse_address_untrusted(format_address(address)) == address
    assert str(address) == format_address(address)


BAD_ADDRESSES = {
    "empty": "",
    "no port": "example.org",
    "empty port": "example.org:",
    "no host": ":80",
    "port 0": "example.org:0",
    "port too large": "example.org:65536",
    "port of many digits": "example.org:" + "0" * 5000 + "1",
    "negative port": "example.org:-1",
    "port in other digits": "example.org:٣٣",
    "port with underscore": "example.org:1_0",
    "naked IPv6": "::1:80",
    "IPv4 in brackets": "[1.2.3.4]:80",
    "name in brackets": "[example.org]:80",
    "bracket left open": "[::1:80",
    "zone": "[fe80::1%eth0]:80",
    "space": "exa mple.org:80",
    "empty label": "a..b:80",
    "label with hyphen in front": "-a.org:80",
    "label too long": "a" * 64 + ".org:80",
    "name too long": ".".join(["abc"] * 70) + ":80",
    "not ASCII": "müller.de:80",
    "slash": "a/b:80",
    "line end": "example.org\n:80",
    "short IPv4": "127.1:80",
    "one number": "2130706433:80",
    "hexadecimal number": "0x7f000001:80",
    "octal IPv4": "0177.0.0.1:80",
    "IPv4 out of range": "1.2.3.256:80",
}


@pytest.mark.parametrize("text", BAD_ADDRESSES.values(), ids=BAD_ADDRESSES.keys())
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadMessage):
        parse_address_untrusted(text)


def test_port_0_is_for_listening_only() -> None:
    assert parse_address_untrusted("127.0.0.1:0", listen=True) == Address("127.0.0.1", 0)


def test_a_host_alone_is_read_too() -> None:
    assert parse_host_untrusted("FE80::0001") == "fe80::1"
    with pytest.raises(BadMessage):
        parse_host_untrusted("")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "localhost", "a.localhost", "::ffff:127.0.0.1"]
)
def test_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)
    assert not is_private(host)


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.1",
        "172.31.0.1",
        "192.168.1.1",
        "169.254.1.1",
        "100.64.0.1",
        "fd00::1",
        "fe80::1",
        "::ffff:10.0.0.1",
    ],
)
def test_the_neighbourhood_is_private(host: str) -> None:
    assert is_private(host)
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "host", ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2001:db8::1", "example.org", "lan"]
)
def test_the_world_is_neither(host: str) -> None:
    assert not is_private(host)
    assert not is_loopback(host)
