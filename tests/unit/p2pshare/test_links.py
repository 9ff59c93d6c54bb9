from __future__ import annotations

import pytest

from p2pshare.addresses import Address
from p2pshare.errors import BadMessage, LocalTrouble
from p2pshare.hashing import FileId, format_file_id
from p2pshare.identity import NodeId, format_node_id
from p2pshare.limits import FILE_BYTES_MAX
from p2pshare.links import FileLink, Invite, format_link, parse_link_untrusted

FILE = FileId(bytes(range(32)))
ID = format_file_id(FILE)
SERVER = NodeId(bytes(range(1, 33)))
KEY = format_node_id(SERVER)


def test_a_file_link_looks_as_documented_and_comes_back() -> None:
    link = FileLink(FILE, "Beyoncé & co = 100%+.flac", 12345)
    text = format_link(link)
    assert text == f"magnet:?xt=urn:p2pshare:{ID}&dn=Beyonc%C3%A9%20%26%20co%20%3D%20100%25%2B.flac&xl=12345"
    assert parse_link_untrusted(text) == link


def test_an_invite_looks_as_documented_and_comes_back() -> None:
    invite = Invite(SERVER, (Address("example.org", 4000), Address("::1", 4001)), "Home & friends")
    text = format_link(invite)
    assert text == f"p2pshare:join?key={KEY}&at=example.org:4000&at=[::1]:4001&name=Home%20%26%20friends"
    assert parse_link_untrusted(text) == invite


def test_an_invite_needs_no_name() -> None:
    invite = Invite(SERVER, (Address("1.2.3.4", 1),), "")
    coded = Invite(SERVER, (Address("1.2.3.4", 1),), "", "a2b3")
    assert parse_link_untrusted(format_link(coded)) == coded
    assert format_link(invite) == f"p2pshare:join?key={KEY}&at=1.2.3.4:1"
    assert parse_link_untrusted(format_link(invite)) == invite


def test_case_order_and_unknown_keys_do_not_matter() -> None:
    text = f"MAGNET:?new&XL=5&tr=http%3A%2F%2Fx&DN=a%20b&xt=urn:btih:abc&xt=URN:P2PSHARE:{ID.upper()}"
    assert parse_link_untrusted(text) == FileLink(FILE, "a b", 5)


def test_a_plus_is_a_plus() -> None:
    assert parse_link_untrusted(f"magnet:?xt=urn:p2pshare:{ID}&dn=a+b&xl=0") == FileLink(FILE, "a+b", 0)


GOOD = f"magnet:?xt=urn:p2pshare:{ID}"
BAD_LINKS = {
    "empty": ("", "no link of ours"),
    "another scheme": ("http://example.org/", "no link of ours"),
    "another magnet": ("magnet:?xt=urn:btih:abc&dn=a&xl=1", "names 0 files"),
    "two files": (f"{GOOD}&xt=urn:p2pshare:{ID}&dn=a&xl=1", "names 2 files"),
    "id too short": ("magnet:?xt=urn:p2pshare:abc&dn=a&xl=1", "A file id has 52"),
    "no name": (f"{GOOD}&xl=1", '0 values for "dn"'),
    "empty name": (f"{GOOD}&dn=&xl=1", "The name in the link"),
    "two names": (f"{GOOD}&dn=a&dn=b&xl=1", '2 values for "dn"'),
    "name with a folder": (f"{GOOD}&dn=a%2Fb&xl=1", "plain file name"),
    "name that climbs": (f"{GOOD}&dn=..&xl=1", "names no file"),
    "name with a backslash": (f"{GOOD}&dn=a%5Cb&xl=1", "backslash"),
    "name with control": (f"{GOOD}&dn=a%1Bb&xl=1", "control"),
    "name with bidi": (f"{GOOD}&dn=a%E2%80%AEb&xl=1", "control"),
    "name not UTF-8": (f"{GOOD}&dn=%FF&xl=1", "not UTF-8"),
    "name too long": (f"{GOOD}&dn={'a' * 241}&xl=1", "1 to 240 bytes"),
    "bad percent": (f"{GOOD}&dn=a%2&xl=1", "hexadecimal"),
    "no size": (f"{GOOD}&dn=a", '0 values for "xl"'),
    "size in words": (f"{GOOD}&dn=a&xl=one", "The size in the link"),
    "negative size": (f"{GOOD}&dn=a&xl=-1", "The size in the link"),
    "size with zeros": (f"{GOOD}&dn=a&xl=01", "The size in the link"),
    "size too large": (f"{GOOD}&dn=a&xl={FILE_BYTES_MAX + 1}", "The size in the link"),
    "size of many digits": (f"{GOOD}&dn=a&xl={'9' * 1000}", "The size in the link"),
    "space": (f"{GOOD}&dn=a b&xl=1", "spaces"),
    "line end": (f"{GOOD}&dn=a&xl=1\n", "spaces"),
    "not ASCII": (f"{GOOD}&dn=é&xl=1", "other characters"),
    "too long": (f"{GOOD}&dn=a&xl=1&x={'a' * 2048}", "more than 2048"),
    "invite without key": ("p2pshare:join?at=a:1", '0 values for "key"'),
    "invite with a bad key": ("p2pshare:join?key=abc&at=a:1", "A key has 52"),
    "invite without address": (f"p2pshare:join?key={KEY}", "has 0 addresses"),
    "invite with nine addresses": (f"p2pshare:join?key={KEY}" + "&at=a:1" * 9, "has 9 addresses"),
    "invite with port 0": (f"p2pshare:join?key={KEY}&at=a:0", "A port is"),
    "invite with two names": (f"p2pshare:join?key={KEY}&at=a:1&name=a&name=b", '2 values for "name"'),
    "invite with control": (f"p2pshare:join?key={KEY}&at=a:1&name=%07", "The name in the invite"),
}


@pytest.mark.parametrize(("text", "sentence"), BAD_LINKS.values(), ids=BAD_LINKS.keys())
def test_a_bad_link_is_refused_with_what_is_wrong(text: str, sentence: str) -> None:
    with pytest.raises(BadMessage) as caught:
        parse_link_untrusted(text)
    assert sentence in caught.value.text


def test_a_link_too_long_to_pass_on_is_not_made() -> None:
    long_name = ".".join(["a" * 60] * 4)
    with pytest.raises(LocalTrouble):
        format_link(Invite(SERVER, (Address(long_name, 65535),) * 8, "x" * 80))
