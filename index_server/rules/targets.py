"""What a rule is about, from the words of a moderator to the one form that is stored. PURE."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Network, IPv6Network

from p2pshare.errors import BadMessage, Reason, Refused
from p2pshare.hashing import format_file_id, parse_file_id_untrusted
from p2pshare.names import search_words
from p2pshare.wire.fields import Subject

Network = IPv4Network | IPv6Network

V4_PREFIX_MIN = 8  # broader ones are typing errors: 16 million addresses are enough for one rule
V6_PREFIX_MIN = 19  # the largest block that any provider has
V6_PREFIX_MAX = 64  # what one subscriber is given, so a ban of less would hit nobody


def target_untrusted(subject: Subject, text: str) -> str:
    """The one form of an address, file or word. Raises `Refused(FAILED)` and nothing else."""
    text = text.strip()
    if subject is Subject.ADDRESS:
        return str(network_untrusted(text))
    if subject is Subject.FILE:
        try:
            return format_file_id(parse_file_id_untrusted(text))
        except BadMessage as error:
            raise Refused(Reason.FAILED, error.text) from None
    words = search_words(text)
    if len(words) != 1:
        raise Refused(Reason.FAILED, "Hide one word at a time, of letters and digits.")
    return words[0]


def network_untrusted(text: str) -> Network:
    """An address or a range. Bits behind the prefix do no harm. Raises `Refused(FAILED)`."""
    try:
        network = ipaddress.ip_network("" if "%" in text else text, strict=False)  # a zone is of one machine
    except ValueError:
        raise Refused(
            Reason.FAILED, "That is no address and no range. Write it as 203.0.113.7 or 203.0.113.0/24."
        ) from None
    if isinstance(network, IPv6Network):
        if network.network_address.ipv4_mapped is not None and network.prefixlen >= 96:
            return IPv4Network((int(network.network_address) & 0xFFFF_FFFF, network.prefixlen - 96))
        if network.prefixlen > V6_PREFIX_MAX:
            network = network.supernet(new_prefix=V6_PREFIX_MAX)
    if network.prefixlen < (V4_PREFIX_MIN if network.version == 4 else V6_PREFIX_MIN):
        raise Refused(Reason.FAILED, "That range is so wide that it is surely a mistake. Ban a smaller one.")
    return network
