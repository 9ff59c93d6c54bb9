"""What a whole copy shows to whom."""

from __future__ import annotations

from client.engine.uploads.showing import AHEAD, ALONE_BYTES, ALONE_PIECES, Showing
from p2pshare.identity import NodeId
from p2pshare.limits import KIB, MIB
from p2pshare.ranges import RangeSet

PIECES, PIECE = 64, 64 * KIB
ALICE, BOB, CAROL, DAVE = (NodeId(bytes([n]) * 32) for n in range(4))


def everybody(person: NodeId) -> bool:
    return True


def crowd(*people: NodeId) -> Showing:
    """They come together; somebody before them, who was shown everything, has left."""
    made = Showing(PIECES, PIECE, seed=1)
    made.join(DAVE)
    for person in people:
        assert made.join(person) == bytes(PIECES // 8)
    made.leave(DAVE)
    return made


def test_who_is_alone_is_shown_a_little_and_then_the_rest() -> None:
    made = Showing(PIECES, PIECE, seed=1)
    bitmap = made.join(ALICE)
    assert bitmap is not None
    [first] = RangeSet.from_bitmap(bitmap, PIECES)
    assert len(first) * PIECE == ALONE_BYTES
    for piece in first[: len(first) // 2 - 1]:
        made.gave(ALICE, piece, 1.0)
        assert made.show(everybody) == {}
    made.gave(ALICE, first[len(first) // 2], 1.0)
    assert made.show(everybody)[ALICE] == [piece for piece in range(PIECES) if piece not in first]
    assert made.show(everybody) == {}
    assert made.join(ALICE) is None, "and once more if they ask again"


def test_a_small_file_is_shown_whole() -> None:
    assert Showing(ALONE_PIECES, 16 * MIB, seed=1).join(ALICE) is None


def test_who_came_a_moment_before_all_others_sees_no_more_than_they() -> None:
    made = Showing(PIECES, PIECE, seed=1)
    made.join(ALICE)
    made.join(BOB)
    for number in range(PIECES):
        made.gave(ALICE, number, 1.0)
        assert len(made.show(everybody).get(ALICE, [])) < PIECES // 4


def test_who_is_left_alone_is_shown_the_rest() -> None:
    made = crowd(ALICE, BOB)
    first = made.show(everybody)[ALICE]
    made.leave(BOB)
    assert sorted(first + made.show(everybody)[ALICE]) == list(range(PIECES))


def test_every_piece_goes_out_once_before_any_goes_out_twice() -> None:
    made = crowd(ALICE, BOB, CAROL)
    sent: list[int] = []
    shown: dict[NodeId, list[int]] = {ALICE: [], BOB: [], CAROL: []}
    now = 0.0
    while len(sent) < PIECES:
        for person, pieces in made.show(everybody).items():
            shown[person] += pieces
        for person, pieces in shown.items():
            if pieces:
                piece = pieces.pop(0)
                now += 0.25
                made.gave(person, piece, now)
                sent.append(piece)
                for other in shown:  # who passes it on to all
                    made.has(other, [piece])
    assert len(set(sent)) == PIECES


def test_only_a_little_is_shown_ahead() -> None:
    made = crowd(ALICE, BOB)
    shown = made.show(everybody)
    assert sum(map(len, shown.values())) == 2 * AHEAD
    assert made.show(everybody) == {}
    made.gave(ALICE, shown[ALICE][0], 1.0)
    assert sum(map(len, made.show(everybody).values())) >= 1


def test_a_fast_uplink_is_shown_as_much_as_it_sends() -> None:
    made = crowd(ALICE, BOB)
    for number in range(40):
        made.gave(ALICE, number % 8, number / 100)
    assert sum(map(len, made.show(everybody).values())) > 2 * AHEAD


def test_who_keeps_pieces_to_themselves_waits_for_those_who_pass_them_on() -> None:
    made = crowd(ALICE, BOB)
    got = {ALICE: 0, BOB: 0}
    waiting: dict[NodeId, list[int]] = {ALICE: [], BOB: []}
    for number in range(30):
        for person, pieces in made.show(everybody).items():
            waiting[person] += pieces
        person = BOB if waiting[BOB] else ALICE
        piece = waiting[person].pop(0)
        made.gave(person, piece, number / 2)
        made.has(person, [piece])
        got[person] += 1
        if person is BOB:
            made.has(ALICE, [piece])  # Bob passes everything on, Alice nothing
    assert got[ALICE] <= 4 and got[BOB] >= 26


def test_nothing_is_shown_to_who_may_not_fetch() -> None:
    made = crowd(ALICE, BOB)
    assert set(made.show(lambda person: person is BOB)) == {BOB}


def test_numbers_beyond_the_file_mean_nothing() -> None:
    made = crowd(ALICE, BOB)
    made.has(ALICE, [PIECES, 65_535])
    made.has(CAROL, [1])
    assert sum(map(len, made.show(everybody).values())) == 2 * AHEAD


def test_what_somebody_has_is_not_shown_to_them() -> None:
    made = crowd(ALICE, BOB)
    made.has(ALICE, range(PIECES - 1))
    made.has(BOB, range(PIECES - 1))
    assert {piece for pieces in made.show(everybody).values() for piece in pieces} == {PIECES - 1}
