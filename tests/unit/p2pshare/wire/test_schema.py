"""What a declaration promises: exact types, limits both ways, growth at the end, one error out of a
decoder.
"""

from __future__ import annotations

import msgpack
import pytest

from p2pshare import limits
from p2pshare.errors import BadMessage, CloseCode, Misuse
from p2pshare.wire import REGISTRY, Message, decode_untrusted, encode
from p2pshare.wire.fields import NO_TAGS, Offer
from p2pshare.wire.index import Publish, Search
from p2pshare.wire.peer import Fetch, FileOpened
from p2pshare.wire.schema import frame_max_untrusted, pack, peek_kind_untrusted
from p2pshare.wire.session import Ping
from tests.wire_values import example

EVERY_MESSAGE = sorted(REGISTRY.values(), key=lambda message: message.KIND)


@pytest.mark.parametrize("message", EVERY_MESSAGE, ids=lambda message: message.NAME)
def test_every_message_survives_the_trip(message: type[Message]) -> None:
    sent = example(message)
    assert decode_untrusted(encode(sent)) == sent


@pytest.mark.parametrize("message", EVERY_MESSAGE, ids=lambda message: message.NAME)
def test_every_message_is_refused_when_a_field_is_missing_or_of_another_type(message: type[Message]) -> None:
    plain = msgpack.unpackb(encode(example(message)))
    for index in range(1, len(plain)):
        with pytest.raises(BadMessage):
            decode_untrusted(pack([*plain[:index], 0.5, *plain[index + 1 :]]))
    if message.REQUIRED:
        with pytest.raises(BadMessage):
            decode_untrusted(pack(plain[: message.REQUIRED]))


@pytest.mark.parametrize("message", EVERY_MESSAGE, ids=lambda message: message.NAME)
def test_fields_of_a_newer_version_are_ignored(message: type[Message]) -> None:
    sent = example(message)
    plain = [*msgpack.unpackb(encode(sent)), "from the future"]
    if len(plain) <= 15:
        assert decode_untrusted(pack(plain)) == sent


def test_fields_that_an_older_version_leaves_out_have_their_defaults() -> None:
    assert decode_untrusted(pack([Search.KIND, 7, "blue"])) == Search(request=7, query="blue")
    offer = pack([Publish.KIND, 7, bytes(16), bytes(16), [], [[1, "a/b.txt", 5]]])
    decoded = decode_untrusted(offer)
    assert isinstance(decoded, Publish)
    assert decoded.added == (Offer(offer=1, path="a/b.txt", size=5, tags=NO_TAGS),)


BAD_BODIES = {
    "nothing": b"",
    "one byte": b"\x91",
    "a map": b"\x81\x01\x02",
    "an empty array": b"\x90\x00",
    "an array in a longer form than it needs": b"\xdc\x00\x01\x04",
    "a kind in a longer form than it needs": b"\x91\xcc\x04",
    "a kind that is text": b"\x91\xa1a",
    "a negative kind": b"\x91\xff",
    "bytes behind the message": pack([Ping.KIND]) + b"\x00",
    "a body that ends early": pack([Fetch.KIND, 1, bytes(32), 0, 1])[:-1],
    "true where a number is wanted": pack([Fetch.KIND, 1, bytes(32), True, 1]),
    "a number below its range": pack([Fetch.KIND, 0, bytes(32), 0, 1]),
    "a number above its range": pack([Fetch.KIND, 1, bytes(32), limits.PIECES_MAX, 1]),
    "a number beyond 64 bits": b"\x95" + bytes([Fetch.KIND]) + b"\xd9\x20" + b"9" * 32,
    "bytes one short": pack([Fetch.KIND, 1, bytes(31), 0, 1]),
    "text for bytes": pack([Fetch.KIND, 1, "x" * 32, 0, 1]),
    "text that is not UTF-8": b"\x93" + bytes([Search.KIND]) + b"\x01\xa1\xff",
    "a surrogate": b"\x93" + bytes([Search.KIND]) + b"\x01\xa3\xed\xa0\x80",
    "text too long": pack([Search.KIND, 1, "x" * (limits.QUERY_BYTES_MAX + 1)]),
    "too many items": pack([Search.KIND, 1, "x", [0] * 9]),
    "no such enum member": pack([Search.KIND, 1, "x", [99]]),
    "a map within": pack([Search.KIND, 1, {}]),
    "an extension within": pack([Search.KIND, 1, msgpack.ExtType(1, b"")]),
    "nesting without end": b"\x92" + bytes([Search.KIND]) + b"\x91" * 1_000,
    "a length that lies": b"\x93" + bytes([Search.KIND]) + b"\x01\xdb\xff\xff\xff\xff",
    "an array length that lies": b"\x92" + bytes([Search.KIND]) + b"\xdd\xff\xff\xff\xff",
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=list(BAD_BODIES))
def test_bad_bodies_are_refused_in_one_way_only(body: bytes) -> None:
    with pytest.raises(BadMessage):
        decode_untrusted(body)


def test_unknown_odd_kinds_are_skipped_and_even_ones_close() -> None:
    odd, even = 127, 126
    assert odd not in REGISTRY and even not in REGISTRY
    assert decode_untrusted(pack([odd, "whatever"])) is None
    with pytest.raises(BadMessage) as caught:
        decode_untrusted(pack([even]))
    assert caught.value.code is CloseCode.UNKNOWN_KIND


def test_a_frame_is_capped_by_its_kind_before_it_is_decoded() -> None:
    body = pack([Ping.KIND]) + bytes(Ping.FRAME_MAX)
    assert peek_kind_untrusted(body[:2]) == Ping.KIND
    assert frame_max_untrusted(Ping.KIND) == Ping.FRAME_MAX
    with pytest.raises(BadMessage) as caught:
        decode_untrusted(body)
    assert caught.value.code is CloseCode.BAD_FRAME


def test_what_would_be_refused_cannot_be_sent() -> None:
    with pytest.raises(Misuse, match="Search"):
        encode(Search(request=1, query="x" * (limits.QUERY_BYTES_MAX + 1)))
    with pytest.raises(Misuse, match="fit a frame"):
        offers = tuple(Offer(offer=n, path="x" * 1_000, size=1) for n in range(limits.PUBLISH_BATCH))
        encode(Publish(request=1, base=bytes(16), result=bytes(16), removed=(), added=offers))


def test_the_largest_message_of_each_kind_fits_its_frame_where_only_sizes_of_fields_count() -> None:
    opened = FileOpened(
        request=2**32 - 1,
        file=example(FileOpened).file,
        size=limits.FILE_BYTES_MAX,
        piece_size=limits.PIECE_BYTES_MAX,
        pieces=bytes(limits.PIECES_MAX // 8),
        position=2**31 - 1,
        wait_s=2**31 - 1,
    )
    assert decode_untrusted(encode(opened)) == opened


def test_kinds_fit_one_byte_and_stay_sorted_by_topic() -> None:
    assert all(0 <= kind < 128 for kind in REGISTRY)
    assert len({message.NAME for message in EVERY_MESSAGE}) == len(EVERY_MESSAGE)
