from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.engine.downloads.arriving import CRUMB_BYTES, Arriving, Piece
from client.engine.downloads.source import Ask
from p2pshare.errors import CloseCode, PeerFault
from p2pshare.hashing import PieceHashes, piece_span, whole_file_hashes
from p2pshare.identity import NodeId
from p2pshare.limits import PIECE_BYTES_MIN as PIECE
from p2pshare.wire.peer import Data

FILE = random.Random(1).randbytes(4 * PIECE + 1_000)
HASHES = whole_file_hashes(FILE)
PIECES = 5
NOBODY = NodeId(bytes(32))

Part = tuple[Data, bytes]


def arriving(first: int = 0, count: int = PIECES, hashes: PieceHashes = HASHES) -> Arriving:
    return Arriving(Ask(NOBODY, first, count), hashes)


def parts_of(first: int, count: int, cuts: Sequence[int] = ()) -> list[Part]:
    """These pieces of the file, each cut at those of the places (in the file) that lie in it."""
    parts = []
    for piece in range(first, first + count):
        offset, length = piece_span(piece, len(FILE), PIECE)
        inside = sorted({cut for cut in cuts if offset < cut < offset + length})
        for start, end in zip([offset, *inside], [*inside, offset + length], strict=True):
            more = piece < first + count - 1 or end < offset + length
            data = Data(request=1, piece=piece, offset=start - offset, size=end - start, more=more)
            parts.append((data, FILE[start:end]))
    return parts


def add(to: Arriving, part: Part) -> Piece | None:
    data, payload = part
    return to.add_untrusted(data, memoryview(payload))


def content(piece: Piece) -> bytes:
    return b"".join(bytes(part) for part in piece.parts)


@st.composite
def asked(draw: st.DrawFn) -> tuple[int, int]:
    first = draw(st.integers(0, PIECES - 1))
    return first, draw(st.integers(1, PIECES - first))


CUTS = st.lists(
    st.one_of(
        st.integers(1, len(FILE) - 1),
        st.builds(lambda piece, by: piece * PIECE + by, st.integers(0, 4), st.integers(-3, 3)),
        st.builds(lambda at, by: at + by, st.just(2 * PIECE), st.integers(0, 2 * CRUMB_BYTES)),
    ),
    max_size=40,
)


@given(asked(), CUTS)
def test_however_pieces_are_cut_they_come_whole_and_in_order(ask: tuple[int, int], cuts: list[int]) -> None:
    first, count = ask
    coming = arriving(first, count)
    whole = [piece for part in parts_of(first, count, cuts) if (piece := add(coming, part)) is not None]
    assert [piece.index for piece in whole] == list(range(first, first + count))
    assert coming.piece == first + count
    for piece in whole:
        assert (piece.offset, piece.size) == piece_span(piece.index, len(FILE), PIECE)
        assert content(piece) == FILE[piece.offset : piece.offset + piece.size]
        assert piece.good


@given(asked(), CUTS, st.data())
def test_a_wrong_byte_spoils_the_piece_it_is_in_and_no_other(
    ask: tuple[int, int], cuts: list[int], choices: st.DataObject
) -> None:
    parts = parts_of(*ask, cuts)
    number = choices.draw(st.integers(0, len(parts) - 1))
    data, payload = parts[number]
    at = choices.draw(st.integers(0, len(payload) - 1))
    parts[number] = data, payload[:at] + bytes([payload[at] ^ 0x40]) + payload[at + 1 :]
    coming = arriving(*ask)
    whole = [piece for part in parts if (piece := add(coming, part)) is not None]
    assert [piece.index for piece in whole if not piece.good] == [data.piece]


@given(asked(), CUTS, st.data())
def test_whatever_is_not_the_next_part_is_refused_and_leaves_everything_as_it_was(
    ask: tuple[int, int], cuts: list[int], choices: st.DataObject
) -> None:
    parts = parts_of(*ask, cuts)
    number = choices.draw(st.integers(0, len(parts) - 1))
    data, _ = parts[number]
    wrong_piece = st.integers(0, PIECES).filter(lambda piece: piece != data.piece)
    wrong_offset = st.integers(0, PIECE).filter(lambda offset: offset != data.offset)
    _, length = piece_span(data.piece, len(FILE), PIECE)
    left = length - data.offset
    wrong = choices.draw(
        st.one_of(
            st.builds(lambda piece: replace(data, piece=piece), wrong_piece),
            st.builds(lambda offset: replace(data, offset=offset), wrong_offset),
            st.builds(lambda size: replace(data, size=size), st.integers(left + 1, left + 100)),
            st.sampled_from([one for one, _ in parts if one != data]) if len(parts) > 1 else st.nothing(),
        )
    )
    coming = arriving(*ask)
    for part in parts[:number]:
        add(coming, part)
    with pytest.raises(PeerFault) as caught:
        coming.add_untrusted(wrong, memoryview(bytes(wrong.size)))
    assert caught.value.code is CloseCode.WRONG_ORDER
    rest = [piece for part in parts[number:] if (piece := add(coming, part)) is not None]
    assert all(piece.good for piece in rest)
    assert coming.piece == sum(ask)


@given(asked())
def test_more_than_was_asked_for_is_refused(ask: tuple[int, int]) -> None:
    coming = arriving(*ask)
    parts = parts_of(*ask)
    for part in parts:
        add(coming, part)
    behind = Data(request=1, piece=min(sum(ask), PIECES), offset=0, size=1, more=False)
    for data in (behind, parts[-1][0], replace(behind, piece=sum(ask), offset=1)):
        with pytest.raises(PeerFault):
            coming.add_untrusted(data, memoryview(bytes(data.size)))


def test_parts_that_are_large_enough_are_not_copied() -> None:
    (data, payload), *_ = parts_of(0, 1)
    view = memoryview(payload)
    piece = arriving().add_untrusted(data, view)
    assert piece is not None and piece.parts == [view] and piece.parts[0] is view


def test_a_piece_in_crumbs_takes_no_more_memory_than_a_whole_one() -> None:
    coming = arriving(0, 1)
    for part in parts_of(0, 1, range(1, PIECE - CRUMB_BYTES))[:-1]:
        assert add(coming, part) is None
    piece = add(coming, parts_of(0, 1, [PIECE - CRUMB_BYTES - 1])[-1])
    assert piece is not None and piece.good
    assert len(piece.parts) == 2
