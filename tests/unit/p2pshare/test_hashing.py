from __future__ import annotations

import random

import pytest
from blake3 import blake3

from p2pshare.errors import BadMessage, CloseCode, LocalTrouble, Misuse, PeerFault
from p2pshare.hashing import (
    FILE_CONTEXT,
    PIECE_CONTEXT,
    FileHasher,
    FileId,
    PieceHashes,
    check_hashes_untrusted,
    file_id,
    format_file_id,
    hash_piece,
    parse_file_id_untrusted,
    piece_count,
    piece_size_for,
    piece_span,
)
from p2pshare.limits import FILE_BYTES_MAX, GIB, KIB, MIB, PIECES_AIM, PIECES_MAX, TIB


def hashes_of(data: bytes, chunk: int = 1 << 20) -> PieceHashes:
    hasher = FileHasher(len(data))
    for start in range(0, len(data), chunk):
        hasher.update(data[start : start + chunk])
    return hasher.finish()


@pytest.mark.parametrize(
    ("size", "piece_size"),
    [
        (0, 64 * KIB),
        (1, 64 * KIB),
        (64 * MIB, 64 * KIB),
        (64 * MIB + 1, 128 * KIB),
        (1 * GIB, 1 * MIB),
        (16 * GIB, 16 * MIB),
        (16 * GIB + 1, 16 * MIB),
        (1 * TIB, 16 * MIB),
    ],
)
def test_the_piece_size_follows_from_the_size(size: int, piece_size: int) -> None:
    assert piece_size_for(size) == piece_size
    assert piece_count(size, piece_size) <= (PIECES_AIM if size <= 16 * GIB else PIECES_MAX)


@pytest.mark.parametrize("size", [-1, FILE_BYTES_MAX + 1])
def test_no_piece_size_for_impossible_sizes(size: int) -> None:
    with pytest.raises(Misuse):
        piece_size_for(size)


def test_spans_cover_a_file_without_gap_and_end_short() -> None:
    assert [piece_span(index, 250, 100) for index in range(3)] == [(0, 100), (100, 100), (200, 50)]
    assert piece_count(250, 100) == 3
    assert piece_count(200, 100) == 2
    assert piece_count(0, 100) == 0
    for index in (-1, 3):
        with pytest.raises(Misuse):
            piece_span(index, 250, 100)


def test_hashes_are_blake3_with_the_published_contexts() -> None:
    data = random.Random(1).randbytes(150_000)
    pieces = [data[start : start + 65536] for start in range(0, len(data), 65536)]
    expected = b"".join(blake3(piece, derive_key_context=PIECE_CONTEXT).digest() for piece in pieces)
    root = (150_000).to_bytes(8, "big") + (65536).to_bytes(4, "big") + expected
    hashes = hashes_of(data)
    assert hashes.hashes == expected
    assert hashes.file_id == blake3(root, derive_key_context=FILE_CONTEXT).digest()


def test_the_format_is_frozen() -> None:
    # Changing these numbers gives every file in the world another id.
    assert format_file_id(hashes_of(b"").file_id) == "d3cksglxq77wv37uywrexpagmod76mnxcbfnszw5iwoiln2onama"
    assert (
        format_file_id(hashes_of(b"p2pshare").file_id)
        == "rotbfnjg5jpngiszor4kpv3kyp2ibuu4xp7rfh2vwzhrto2gdmfq"
    )
    assert hash_piece(b"p2pshare").hex() == "a6aa24ee19472aa71103ac1e2ed7b599b3763ed823571f3becfdeacae1eddae5"


def test_a_piece_has_one_hash_whatever_buffers_and_parts_it_comes_in() -> None:
    digest = hash_piece(b"abc")
    assert hash_piece(bytearray(b"abc")) == hash_piece(memoryview(b"xabc")[1:]) == digest
    assert hash_piece(b"a", memoryview(b"bc"), b"") == digest
    assert hash_piece(b"abd") != digest


def test_a_piece_is_never_a_list_of_hashes() -> None:
    assert hash_piece(b"abc") != file_id(3, 65536, b"")
    assert PIECE_CONTEXT != FILE_CONTEXT


def test_an_empty_file_has_no_pieces() -> None:
    hashes = FileHasher(0).finish()
    assert (hashes.size, hashes.piece_size, hashes.hashes) == (0, 64 * KIB, b"")


def test_a_file_that_grows_while_it_is_read_is_told() -> None:
    hasher = FileHasher(10)
    hasher.update(b"0123456789")
    with pytest.raises(LocalTrouble, match="grew"):
        hasher.update(b"x")


def test_a_file_that_shrinks_while_it_is_read_is_told() -> None:
    hasher = FileHasher(10)
    hasher.update(b"012345678")
    with pytest.raises(LocalTrouble, match="shrank"):
        hasher.finish()


def test_a_file_too_large_for_the_network_is_told() -> None:
    with pytest.raises(LocalTrouble, match="cannot be shared"):
        FileHasher(FILE_BYTES_MAX + 1)


def test_honest_hashes_pass() -> None:
    for size in (0, 1, 65536, 65537):
        hashes = hashes_of(bytes(size))
        check_hashes_untrusted(hashes.file_id, size, hashes.piece_size, hashes.hashes)


HONEST = hashes_of(bytes(100_000))
LIES = {
    "negative size": (HONEST.file_id, -1, 65536, HONEST.hashes),
    "size beyond the limit": (HONEST.file_id, FILE_BYTES_MAX + 1, 65536, HONEST.hashes),
    "another piece size": (HONEST.file_id, 100_000, 131072, HONEST.hashes),
    "piece size zero": (HONEST.file_id, 100_000, 0, HONEST.hashes),
    "a hash missing": (HONEST.file_id, 100_000, 65536, HONEST.hashes[:32]),
    "a hash too many": (HONEST.file_id, 100_000, 65536, HONEST.hashes + bytes(32)),
    "half a hash": (HONEST.file_id, 100_000, 65536, HONEST.hashes[:-1]),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_list_that_does_not_add_up_is_a_bad_message(lie: tuple[FileId, int, int, bytes]) -> None:
    with pytest.raises(BadMessage):
        check_hashes_untrusted(*lie)


@pytest.mark.parametrize("size", [99_999, 100_000])
def test_a_list_of_another_file_is_bad_data(size: int) -> None:
    hashes = HONEST.hashes if size == 99_999 else HONEST.hashes[32:] + HONEST.hashes[:32]
    with pytest.raises(PeerFault) as caught:
        check_hashes_untrusted(HONEST.file_id, size, 65536, hashes)
    assert caught.value.code is CloseCode.BAD_DATA


def test_a_file_id_survives_its_text() -> None:
    assert parse_file_id_untrusted(format_file_id(HONEST.file_id).upper()) == HONEST.file_id
    with pytest.raises(BadMessage, match="A file id"):
        parse_file_id_untrusted("abc")
