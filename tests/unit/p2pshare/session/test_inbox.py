from __future__ import annotations

import pytest

from p2pshare import limits
from p2pshare.errors import BadMessage, CloseCode, PeerFault
from p2pshare.hashing import FileId
from p2pshare.session.buffers import SpareBuffers
from p2pshare.session.cipher import OVERHEAD_BYTES, PLAINTEXT_MAX, Opener, Sealer
from p2pshare.session.inbox import Inbox, Received
from p2pshare.session.outbox import Outbox
from p2pshare.wire.index import Search
from p2pshare.wire.peer import Data, Have
from p2pshare.wire.schema import encode
from p2pshare.wire.session import Cancel
from tests.session_pair import frame, frames, seal_all

KEY = bytes(32)
FILE = FileId(b"f" * 32)
ONE, TWO = Cancel(request=1), Cancel(request=2)
LONG = Have(file=FILE, pieces=tuple(range(500)))


def data(size: int, request: int = 1) -> Data:
    return Data(request=request, piece=0, offset=0, size=size, more=False)


def anything(kind: int, length: int) -> None:
    pass


def filler(size: int) -> bytes:
    """Frames of an unknown odd kind that are `size` bytes long together."""
    text = b""
    while (left := size - len(text)) > 10_000:
        text += frame(b"\x92\x7f" + bytes(9_990))
    return text + frame(b"\x92\x7f" + bytes(left - 5))


def received(*texts: bytes, inbox: Inbox | None = None) -> list[Received]:
    """What comes out of genuine records with these plaintexts."""
    wire = seal_all(Sealer(KEY), texts)
    return list((inbox or Inbox(Opener(KEY), SpareBuffers())).read_untrusted(memoryview(wire), anything))


def test_frames_share_a_record() -> None:
    assert received(frames(ONE, LONG, TWO)) == [(ONE, None), (LONG, None), (TWO, None)]


def test_a_frame_spans_full_records() -> None:
    questions = [Search(request=number, query="word " * 50) for number in range(1, 1_001)]
    text = frames(*questions)
    cut = [text[start : start + PLAINTEXT_MAX] for start in range(0, len(text), PLAINTEXT_MAX)]
    assert len(cut) > 2
    assert [message for message, _ in received(*cut)] == questions


def test_a_payload_comes_with_its_message_and_frames_go_on_behind_it() -> None:
    payload = bytes(range(256)) * 500
    outbox = Outbox(Sealer(KEY), SpareBuffers())
    outbox.add_frame(encode(ONE))
    outbox.add_frame(encode(data(len(payload))))
    outbox.add_payload(memoryview(payload))
    outbox.add_frame(encode(TWO))
    wire = bytes(outbox.seal(limits.MIB))
    for step in (len(wire), 70_000, 1_000):
        inbox = Inbox(Opener(KEY), SpareBuffers())
        chunks = [wire[at : at + step] for at in range(0, len(wire), step)]
        got = [one for chunk in chunks for one in inbox.read_untrusted(memoryview(chunk), anything)]
        assert got == [(ONE, None), (data(len(payload)), payload), (TWO, None)]


def test_two_payloads_that_are_both_in_use_have_memory_of_their_own() -> None:
    size = limits.PIECE_BYTES_MIN
    pieces = [bytes([n]) * size for n in range(4)]
    inbox, outbox = Inbox(Opener(KEY), SpareBuffers()), Outbox(Sealer(KEY), SpareBuffers())
    kept = []
    for piece in pieces:
        outbox.add_frame(encode(data(size)))
        outbox.add_payload(memoryview(piece))
        wire = memoryview(bytes(outbox.seal(limits.MIB)))
        kept += [payload for _, payload in inbox.read_untrusted(wire, anything) if payload is not None]
    assert [bytes(payload) for payload in kept] == pieces


def test_memory_of_a_payload_is_not_taken_on_a_mere_promise() -> None:
    inbox = Inbox(Opener(KEY), SpareBuffers())
    assert received(frames(data(limits.DATA_BYTES_MAX)), inbox=inbox) == []
    assert inbox._arriving is not None
    assert inbox._arriving.memory is None


def test_an_unknown_odd_kind_is_skipped() -> None:
    assert received(frame(b"\x92\x7f\x01") + frames(ONE)) == [(ONE, None)]


@pytest.mark.parametrize("seen", [5, 6, 20])
def test_a_frame_is_judged_by_its_first_five_bytes_and_once(seen: int) -> None:
    judged: list[tuple[int, int]] = []
    inbox = Inbox(Opener(KEY), SpareBuffers())
    long = frames(LONG)
    wire = memoryview(seal_all(Sealer(KEY), [filler(PLAINTEXT_MAX - seen) + long[:seen], long[seen:]]))
    first = len(wire) - len(long) + seen - OVERHEAD_BYTES

    list(inbox.read_untrusted(wire[:first], lambda *frame: judged.append(frame)))
    assert judged.pop() == (Have.KIND, len(long) - 3)
    judged.clear()
    assert list(inbox.read_untrusted(wire[first:], lambda *frame: judged.append(frame))) == [(LONG, None)]
    assert judged == []


@pytest.mark.parametrize("seen", [1, 2, 3, 4])
def test_a_frame_whose_start_is_in_two_records_is_read_too(seen: int) -> None:
    long = frames(LONG)
    assert received(filler(PLAINTEXT_MAX - seen) + long[:seen], long[seen:]) == [(LONG, None)]


def test_a_refused_frame_is_not_waited_for() -> None:
    def refuse(kind: int, length: int) -> None:
        raise PeerFault(CloseCode.BAD_FRAME, f"{kind} {length}")

    text = frames(*[ONE] * 20_000)[:PLAINTEXT_MAX]
    with pytest.raises(PeerFault, match="9 3"):
        list(
            Inbox(Opener(KEY), SpareBuffers()).read_untrusted(
                memoryview(seal_all(Sealer(KEY), [text])), refuse
            )
        )


BAD_TEXTS = {
    "a record that holds nothing": [b""],
    "an empty frame": [frame(b"")],
    "a frame of one byte": [frame(b"\x91")],
    "a frame cut short in a record that is not full": [frames(LONG)[:-1]],
    "a frame cut within its length": [b"\x00\x00"],
    "a frame cut behind its length": [b"\x00\x00\x03\x91"],
    "a frame in two records that are not full": [frames(LONG)[:50], frames(LONG)[50:]],
    "frames before the payload": [frames(data(5), ONE), b"12345"],
    "the payload in the record of its frame": [frames(data(5)) + b"12345"],
    "half a frame before the payload": [
        filler(PLAINTEXT_MAX - len(frames(data(5))) - 9) + frames(data(5)) + frames(LONG)[:9],
        b"12345",
    ],
    "a payload record that is too short": [frames(data(5)), b"1234"],
    "a payload record that is too long": [frames(data(5)), b"123456"],
    "a payload in more records than needed": [frames(data(5)), b"123", b"45"],
    "a payload record that is not full although more follows": [
        frames(data(2 * PLAINTEXT_MAX)),
        bytes(PLAINTEXT_MAX - 1),
        bytes(PLAINTEXT_MAX),
        b"0",
    ],
}


@pytest.mark.parametrize("texts", BAD_TEXTS.values(), ids=BAD_TEXTS.keys())
def test_what_breaks_the_format_is_refused(texts: list[bytes]) -> None:
    with pytest.raises(PeerFault) as caught:
        received(*texts)
    assert caught.value.code is CloseCode.BAD_FRAME


def test_a_body_that_means_nothing_is_refused() -> None:
    with pytest.raises(BadMessage):
        received(frame(b"\x92\x09\xc1"))


def test_an_unfinished_frame_is_held_and_nothing_else() -> None:
    inbox = Inbox(Opener(KEY), SpareBuffers())
    received(filler(PLAINTEXT_MAX - 99) + frames(LONG)[:99], inbox=inbox)
    assert inbox._partial == frames(LONG)[:99]
