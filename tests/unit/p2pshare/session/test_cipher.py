from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from p2pshare import limits
from p2pshare.errors import CloseCode, PeerFault
from p2pshare.session.cipher import OVERHEAD_BYTES, PLAINTEXT_MAX, Opener, Sealer
from tests.session_pair import records_of, seal_all

KEY = bytes(range(32))
PAYLOAD = b"".join(n.to_bytes(4, "big") for n in range(60_000))  # four records
RUN = [PAYLOAD[start : start + PLAINTEXT_MAX] for start in range(0, len(PAYLOAD), PLAINTEXT_MAX)]


def opened(wire: bytes) -> list[bytes]:
    opener = Opener(KEY)
    return [opener.open_untrusted(memoryview(record)[2:]) for record in records_of(wire)]


def test_a_record_is_its_length_and_what_aes_gcm_makes_of_it_under_its_number() -> None:
    wire = seal_all(Sealer(KEY), [b"first", b"second"])
    first, second = (
        AESGCM(KEY).encrypt(bytes(4) + number.to_bytes(8, "big"), text, None)
        for number, text in enumerate([b"first", b"second"])
    )
    assert wire == b"\x00\x15" + first + b"\x00\x16" + second
    assert opened(wire) == [b"first", b"second"]


def test_a_payload_is_opened_straight_into_its_place() -> None:
    wire = seal_all(Sealer(KEY), RUN)
    into = bytearray(len(PAYLOAD))
    assert Opener(KEY).open_run_untrusted(memoryview(wire), memoryview(into)) == (len(wire), len(PAYLOAD))
    assert into == PAYLOAD


def test_opening_a_run_stops_before_a_record_that_is_not_all_there_and_goes_on_later() -> None:
    wire = memoryview(seal_all(Sealer(KEY), RUN))
    into = memoryview(bytearray(len(PAYLOAD)))
    opener = Opener(KEY)
    full = PLAINTEXT_MAX + OVERHEAD_BYTES
    assert opener.open_run_untrusted(wire[: full - 1], into) == (0, 0)
    assert opener.open_run_untrusted(wire[: 2 * full + 1], into) == (2 * full, 2 * PLAINTEXT_MAX)
    rest = into[2 * PLAINTEXT_MAX :]
    assert opener.open_run_untrusted(wire[2 * full :], rest) == (len(wire) - 2 * full, len(rest))
    assert into == PAYLOAD


def test_a_run_leaves_the_records_behind_it_alone() -> None:
    wire = seal_all(Sealer(KEY), [b"payload", b"frames"])
    into = memoryview(bytearray(7))
    opener = Opener(KEY)
    used, filled = opener.open_run_untrusted(memoryview(wire), into)
    assert (used, filled, bytes(into)) == (7 + OVERHEAD_BYTES, 7, b"payload")
    assert opener.open_untrusted(memoryview(wire)[used + 2 :]) == b"frames"


@pytest.mark.parametrize("sizes", [(6,), (8,), (3, 4)], ids=["short", "long", "in two"])
def test_a_payload_record_of_another_length_is_refused(sizes: tuple[int, ...]) -> None:
    wire = seal_all(Sealer(KEY), [bytes(size) for size in sizes]) + bytes(100)
    with pytest.raises(PeerFault) as caught:
        Opener(KEY).open_run_untrusted(memoryview(wire), memoryview(bytearray(7)))
    assert caught.value.code is CloseCode.BAD_FRAME


def test_repeated_and_reordered_and_foreign_records_are_refused() -> None:
    first, second = records_of(seal_all(Sealer(KEY), [b"one", b"two"]))
    for wire in (first + first, second, second + first, seal_all(Sealer(bytes(32)), [b"one"])):
        with pytest.raises(PeerFault):
            opened(wire)


def test_every_damaged_bit_is_found() -> None:
    wire = seal_all(Sealer(KEY), [b"some text"])
    for position in range(2 * 8, len(wire) * 8):
        damaged = bytearray(wire)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(PeerFault):
            Opener(KEY).open_untrusted(memoryview(damaged)[2:])
        with pytest.raises(PeerFault):
            Opener(KEY).open_run_untrusted(memoryview(damaged), memoryview(bytearray(9)))


def test_a_record_too_short_for_a_tag_is_refused() -> None:
    for length in range(16):
        with pytest.raises(PeerFault):
            Opener(KEY).open_untrusted(memoryview(bytes(length)))


def test_the_key_changes_after_so_many_records_and_the_numbers_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REKEY_AFTER_RECORDS", 4)
    texts = [b"record %d" % number for number in range(10)]
    wire = seal_all(Sealer(KEY), texts)
    key = KEY
    for number, record in enumerate(records_of(wire)):
        if number in (4, 8):
            key = AESGCM(key).encrypt(bytes(4) + b"\xff" * 8, bytes(32), None)[:32]
        assert AESGCM(key).decrypt(number.to_bytes(12, "big"), record[2:], None) == texts[number]
    assert opened(wire) == texts


def test_the_key_changes_within_a_payload_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REKEY_AFTER_RECORDS", 2)
    sealer, opener = Sealer(KEY), Opener(KEY)
    for _ in range(3):
        into = bytearray(len(PAYLOAD))
        opener.open_run_untrusted(memoryview(seal_all(sealer, RUN)), memoryview(into))
        assert into == PAYLOAD
        assert opener.open_untrusted(memoryview(seal_all(sealer, [b"between"]))[2:]) == b"between"
