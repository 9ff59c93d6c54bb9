"""What strangers near by can send: announcements on the local network, and bytes to the control socket."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from client.engine.control import CALLS
from p2pshare.errors import BadMessage
from p2pshare.identity import Identity, format_node_id
from p2pshare.names import has_control_characters
from p2pshare.transport.discover import found_untrusted, is_near

KEY = format_node_id(Identity.from_seed(b"a" * 32).node_id).encode()
GOOD: dict[bytes, bytes | None] = {b"key": KEY, b"versions": b"1", b"name": b"anna"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
HOSTS = st.ip_addresses().map(str) | st.sampled_from(
    ["10.0.0.1", "fd00::1", "fe80::1%eth0", "example.org", ""]
)


@given(
    st.dictionaries(
        st.sampled_from([b"key", b"name", b"versions"]) | st.binary(max_size=8),
        st.none() | st.binary(max_size=200) | st.sampled_from([KEY, b"1", b"anna", "a\u202eb".encode()]),
    ),
    st.lists(HOSTS, max_size=12),
    st.integers(-1, 70_000),
)
def test_an_announcement_is_sound_or_refused(
    properties: dict[bytes, bytes | None], hosts: list[str], port: int
) -> None:
    try:
        found = found_untrusted(
            GOOD | properties, hosts, port, lambda host: is_near(host, [], only_there=False)
        )
    except BadMessage:
        return
    assert not has_control_characters(found.name)
    assert found.addresses
    assert all(is_near(address.host, [], only_there=False) for address in found.addresses)


@given(st.sampled_from(sorted(CALLS.methods)), JSON)
def test_arguments_of_any_shape_fit_or_are_refused(method: str, values: object) -> None:
    try:
        arguments = CALLS.methods[method].arguments_untrusted(json.loads(json.dumps(values)))
    except BadMessage:
        return
    assert isinstance(values, dict)
    assert set(arguments) <= set(values)
