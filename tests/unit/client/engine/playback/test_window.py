"""Which pieces are needed first."""

from __future__ import annotations

from client.engine.playback.window import AHEAD_BYTES_MIN, AHEAD_S, PIECES_MAX, Reading, wanted_first
from p2pshare.limits import KIB, MIB

PIECE = 64 * KIB
SIZE = 100 * MIB
LAST = SIZE // PIECE - 1


def test_what_the_reader_waits_for_comes_first_then_both_ends_then_what_lies_ahead() -> None:
    order = wanted_first([Reading(50 * MIB, SIZE, 0.0)], SIZE, PIECE)
    assert order[:2] == (800, 801)
    assert order[2:12] == (*range(8), LAST - 1, LAST)
    assert order[12:] == tuple(range(802, 800 + AHEAD_BYTES_MIN // PIECE))


def test_a_fast_reader_is_kept_ahead_of_for_longer() -> None:
    rate = 1.0 * MIB
    order = wanted_first([Reading(50 * MIB, SIZE, rate)], SIZE, PIECE)
    assert max(piece for piece in order if piece < LAST - 1) == (50 * MIB + rate * AHEAD_S) // PIECE - 1


def test_readers_take_turns() -> None:
    order = wanted_first([Reading(20 * MIB, SIZE, 0.0), Reading(60 * MIB, SIZE, 0.0)], SIZE, PIECE)
    assert order[:4] == (320, 960, 321, 961)
    assert order[14:18] == (322, 962, 323, 963)


def test_nothing_behind_the_end_of_what_is_read_is_needed() -> None:
    order = wanted_first([Reading(50 * MIB, 50 * MIB + 1, 0.0)], SIZE, PIECE)
    assert [piece for piece in order if 8 <= piece < LAST - 1] == [800]


def test_a_small_file_is_all_of_it_and_an_empty_one_nothing() -> None:
    assert wanted_first([Reading(0, 100, 0.0)], 100, PIECE) == (0,)
    assert wanted_first([Reading(0, 0, 0.0)], 0, PIECE) == ()


def test_it_is_never_long_and_names_no_piece_twice() -> None:
    readings = [Reading(start * MIB, SIZE, 1e9) for start in range(0, 90, 3)]
    order = wanted_first(readings, SIZE, PIECE)
    assert len(order) == len(set(order)) == PIECES_MAX
    assert 0 <= min(order) and max(order) <= LAST
