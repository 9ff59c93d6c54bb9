from __future__ import annotations

import pytest

from client.engine.uploads.previews import HOUR_BYTES, HOUR_S, PEOPLE_MAX, Previews, is_preview
from p2pshare.errors import Reason, Refused
from p2pshare.identity import NodeId
from p2pshare.limits import GIB, KIB, MIB

ALICE, BOB = NodeId(b"a" * 32), NodeId(b"b" * 32)


def test_only_the_beginning_and_the_end_of_a_file_can_be_looked_at() -> None:
    size, piece = 100 * MIB, 64 * KIB
    assert is_preview(0, 16, size, piece)
    assert not is_preview(0, 17, size, piece)
    assert not is_preview(16, 1, size, piece)
    assert is_preview(1_584, 16, size, piece)
    assert not is_preview(1_583, 2, size, piece)


def test_of_large_pieces_it_is_the_first_and_the_last() -> None:
    assert is_preview(0, 1, 32 * GIB, 16 * MIB)
    assert is_preview(2_047, 1, 32 * GIB, 16 * MIB)
    assert not is_preview(0, 2, 32 * GIB, 16 * MIB)


def test_somebody_has_enough_for_an_hour_and_others_have_not() -> None:
    previews = Previews()
    previews.begin(ALICE, HOUR_BYTES, 0.0)
    with pytest.raises(Refused) as refusal:
        previews.begin(ALICE, 1 * MIB, 0.0)
    assert refusal.value.reason is Reason.TOO_MUCH
    previews.begin(BOB, 1 * MIB, 0.0)
    previews.begin(ALICE, 1 * MIB, float(refusal.value.retry_after_s))
    previews.begin(ALICE, HOUR_BYTES, 3 * HOUR_S)
    with pytest.raises(Refused):
        previews.begin(ALICE, 1 * MIB, 3 * HOUR_S)


def test_only_so_many_people_are_remembered() -> None:
    previews = Previews()
    for number in range(PEOPLE_MAX + 10):
        previews.begin(NodeId(number.to_bytes(32, "big")), 1, 0.0)
    assert len(previews._purses) == PEOPLE_MAX
