"""Every message, and anything that might pretend to be one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2pshare.errors import BadMessage
from p2pshare.wire import REGISTRY, Message, decode_untrusted, encode
from p2pshare.wire.fields import Offer
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest, offer_hash
from p2pshare.wire.schema import pack
from tests.wire_values import strategy

MESSAGES = st.sampled_from(sorted(REGISTRY.values(), key=lambda message: message.KIND)).flatmap(strategy)

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.binary()
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)


@given(MESSAGES)
def test_decoding_undoes_encoding(message: Message) -> None:
    assert decode_untrusted(encode(message)) == message


@given(st.binary())
def test_no_bytes_raise_anything_but_bad_message(body: bytes) -> None:
    try:
        decode_untrusted(body)
    except BadMessage:
        pass


@given(st.sampled_from(sorted(REGISTRY)), st.lists(PLAIN, max_size=10))
def test_no_values_raise_anything_but_bad_message(kind: int, values: list[object]) -> None:
    try:
        decode_untrusted(pack([kind, *values]))
    except BadMessage:
        pass


@given(MESSAGES, st.data())
def test_no_damage_raises_anything_but_bad_message(message: Message, data: st.DataObject) -> None:
    body = bytearray(encode(message))
    position = data.draw(st.integers(0, len(body) - 1))
    body[position] ^= data.draw(st.integers(1, 255))
    try:
        decode_untrusted(body)
    except BadMessage:
        pass


@given(st.lists(strategy(Offer), max_size=8), st.randoms())
def test_a_manifest_digest_does_not_depend_on_order_and_undoes_itself(
    offers: list[Offer], chance: object
) -> None:
    hashes = [offer_hash(offer) for offer in offers]
    at_once = change_digest(EMPTY_MANIFEST, added=hashes)
    chance.shuffle(hashes)  # type: ignore[attr-defined]
    one_by_one = EMPTY_MANIFEST
    for one in hashes:
        one_by_one = change_digest(one_by_one, added=[one])
    assert one_by_one == at_once
    assert change_digest(at_once, removed=hashes) == EMPTY_MANIFEST
