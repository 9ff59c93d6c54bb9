"""Where somebody can be dialled: a host and a TCP port.

A host is an IPv4 address, an IPv6 address or a DNS name, in one canonical text: addresses as `ipaddress`
writes them, an IPv4 address wrapped in IPv6 (`::ffff:1.2.3.4`) as plain IPv4, names in lower case without a
final dot. The text form is `host:port`, and `[host]:port` for IPv6.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from p2pshare.errors import BadMessage
from p2pshare.limits import HOST_BYTES_MAX

PORT_MAX = 65_535
PORT_DIGITS_MAX = 5

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
# What the C library reads as a number, as in "127.1" or "0x7f000001": an address in disguise.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# Our own lists, because `ipaddress.is_private` changed its meaning between Python releases.
_LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv4Network("0.0.0.0/8"), IPv6Network("::/127"))
_PRIVATE = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv4Network("169.254.0.0/16"),  # link-local
    IPv4Network("100.64.0.0/10"),  # behind a provider's NAT
    IPv6Network("fc00::/7"),
    IPv6Network("fe80::/10"),  # link-local
)


@dataclass(frozen=True, order=True)
class Address:
    host: str  # canonical, without brackets
    port: int

    def __str__(self) -> str:
        return format_address(self)


def format_address(address: Address) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"


def parse_host_untrusted(text: str) -> str:
    """The canonical text of a host. Raises BadMessage and nothing else."""
    if not text or len(text) > HOST_BYTES_MAX or not text.isascii():
        raise BadMessage(f"A host is an address or a DNS name of 1 to {HOST_BYTES_MAX} ASCII characters.")
    address = _ip(text)
    if address is not None:
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            raise BadMessage("An address with a zone (%) means something on one machine only.")
        return str(address)
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels) or _NUMBER.fullmatch(labels[-1]):
        raise BadMessage("The host is neither an IP address nor a DNS name.")
    return name


def parse_address_untrusted(text: str, *, listen: bool = False) -> Address:
    """`host:port` or `[IPv6]:port`. Raises BadMessage and nothing else.

    `listen` allows port 0, "any free port", which only makes sense for listening.
    """
    host, colon, port_text = text.rpartition(":")
    if not colon:
        raise BadMessage("An address needs a host and a port, as in example.org:4000.")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if ":" not in host:
            raise BadMessage("Only an IPv6 address stands in brackets.")
    elif ":" in host:
        raise BadMessage("An IPv6 address stands in brackets, as in [::1]:4000.")
    if not (port_text.isascii() and port_text.isdigit() and len(port_text) <= PORT_DIGITS_MAX):
        raise BadMessage("The port is not a number.")
    port = int(port_text)
    if not (0 if listen else 1) <= port <= PORT_MAX:
        raise BadMessage(f"A port is a number from 1 to {PORT_MAX}.")
    return Address(parse_host_untrusted(host), port)


def is_loopback(host: str) -> bool:
    """Does dialling it reach this very machine? True for 0.0.0.0 and :: as well, since it does."""
    address = _ip(host)
    if address is None:
        return host == "localhost" or host.endswith(".localhost")
    return any(address in network for network in _LOOPBACK)


def is_private(host: str) -> bool:
    """Is it an address that means something in the local network only? Names are not, loopback is not."""
    address = _ip(host)
    return address is not None and any(address in network for network in _PRIVATE)


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
