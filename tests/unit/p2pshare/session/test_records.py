from __future__ import annotations

import pytest

from p2pshare.errors import CloseCode, PeerFault
from p2pshare.session.records import RecordCutter

STREAM = b"\x00\x03abc" + b"\x00\x00" + b"\x00\x01z"


def anything(length: int) -> None:
    pass


def cut_all(cutter: RecordCutter, data: bytes) -> list[bytes]:
    records, at = [], 0
    while at < len(data):
        record, at = cutter.cut_untrusted(memoryview(data), at, anything)
        if record is not None:
            records.append(bytes(record))
    return records


def test_records_are_cut_with_their_length_in_front() -> None:
    cutter = RecordCutter()
    assert cut_all(cutter, STREAM) == [b"\x00\x03abc", b"\x00\x00", b"\x00\x01z"]
    assert cutter.idle


@pytest.mark.parametrize("split", range(len(STREAM) + 1))
def test_a_record_may_arrive_in_two_parts(split: int) -> None:
    cutter = RecordCutter()
    got = cut_all(cutter, STREAM[:split]) + cut_all(cutter, STREAM[split:])
    assert got == [b"\x00\x03abc", b"\x00\x00", b"\x00\x01z"]


def test_a_record_may_arrive_byte_by_byte() -> None:
    cutter = RecordCutter()
    assert [r for byte in STREAM for r in cut_all(cutter, bytes([byte]))] == cut_all(RecordCutter(), STREAM)


def test_the_length_is_judged_before_the_rest_is_waited_for() -> None:
    def short(length: int) -> None:
        if length > 3:
            raise PeerFault(CloseCode.BAD_FRAME, f"{length} bytes")

    with pytest.raises(PeerFault, match="4 bytes"):
        RecordCutter().cut_untrusted(memoryview(b"\x00\x04"), 0, short)
    cutter = RecordCutter()
    cutter.cut_untrusted(memoryview(b"\x00"), 0, short)
    with pytest.raises(PeerFault, match="5 bytes"):
        cutter.cut_untrusted(memoryview(b"\x05"), 0, short)
