from __future__ import annotations

import pytest

from p2pshare import limits
from p2pshare.session.buffers import SpareBuffers
from p2pshare.session.cipher import OVERHEAD_BYTES, PLAINTEXT_MAX, Opener, Sealer
from p2pshare.session.outbox import Outbox
from tests.session_pair import frame, records_of

KEY = bytes(32)


def texts_of(outbox: Outbox, limit: int) -> list[list[bytes]]:
    """The plaintext of each record, slice by slice, until nothing is left."""
    opener, slices = Opener(KEY), []
    while wire := outbox.seal(limit):
        slices.append([opener.open_untrusted(memoryview(r)[2:]) for r in records_of(bytes(wire))])
    return slices


def test_nothing_makes_no_record() -> None:
    assert not Outbox(Sealer(KEY), SpareBuffers()).seal(1000)


def test_many_small_messages_share_one_record() -> None:
    outbox = Outbox(Sealer(KEY), SpareBuffers())
    for body in (b"one", b"two", b"three"):
        outbox.add_frame(body)
    assert texts_of(outbox, 1000) == [[frame(b"one") + frame(b"two") + frame(b"three")]]


def test_a_long_frame_fills_records_to_the_brim() -> None:
    outbox = Outbox(Sealer(KEY), SpareBuffers())
    body = bytes(150_000)
    outbox.add_frame(body)
    ((first, second, third),) = texts_of(outbox, limits.MIB)
    assert len(first) == len(second) == PLAINTEXT_MAX
    assert first + second + third == frame(body)


def test_a_payload_stands_in_records_of_its_own() -> None:
    outbox = Outbox(Sealer(KEY), SpareBuffers())
    payload = bytes(range(256)) * 300
    outbox.add_frame(b"before")
    outbox.add_frame(b"head")
    outbox.add_payload(memoryview(payload))
    outbox.add_frame(b"behind")
    assert texts_of(outbox, limits.MIB) == [
        [
            frame(b"before") + frame(b"head"),
            payload[:PLAINTEXT_MAX],
            payload[PLAINTEXT_MAX:],
            frame(b"behind"),
        ]
    ]


@pytest.mark.parametrize("limit", [1, 70_000, 131_074, 200_000])
def test_a_slice_stays_below_the_limit_but_for_a_single_record(limit: int) -> None:
    outbox = Outbox(Sealer(KEY), SpareBuffers())
    outbox.add_frame(b"head")
    outbox.add_payload(memoryview(bytes(300_000)))
    pending = outbox.pending_bytes
    slices = texts_of(outbox, limit)
    for texts in slices:
        wire = sum(len(text) + OVERHEAD_BYTES for text in texts)
        assert wire <= limit or len(texts) == 1
    assert sum(len(text) for texts in slices for text in texts) == pending == 300_000 + 7
    assert outbox.pending_bytes == 0


def test_frames_added_between_two_slices_come_behind_what_waits() -> None:
    outbox, opener = Outbox(Sealer(KEY), SpareBuffers()), Opener(KEY)
    outbox.add_frame(bytes(100_000))
    first = bytes(outbox.seal(1))
    outbox.add_frame(b"later")
    rest = bytes(outbox.seal(limits.MIB))
    heard = [opener.open_untrusted(memoryview(r)[2:]) for r in records_of(first + rest)]
    assert b"".join(heard) == frame(bytes(100_000)) + frame(b"later")
    assert heard[-1] == frame(b"later")


def test_a_payload_is_not_copied_until_it_is_sealed() -> None:
    outbox = Outbox(Sealer(KEY), SpareBuffers())
    payload = bytearray(b"old")
    outbox.add_frame(b"head")
    outbox.add_payload(memoryview(payload))
    payload[:] = b"new"
    assert texts_of(outbox, 1000) == [[frame(b"head"), b"new"]]


def test_a_slice_that_is_still_looked_at_is_not_written_over() -> None:
    outbox = Outbox(Sealer(KEY), SpareBuffers())
    outbox.add_payload(memoryview(bytes(4 * PLAINTEXT_MAX)))
    held = outbox.seal(2 * limits.RECORD_BYTES_MAX + 4)
    copy = bytes(held)
    outbox.seal(2 * limits.RECORD_BYTES_MAX + 4)
    assert held == copy
