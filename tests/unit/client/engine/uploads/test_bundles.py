"""How many small files go into one message. What is asked and answered is in tests/sim."""

from __future__ import annotations

from client.engine.beneath import Stamp
from client.engine.small_files import SmallFile
from client.engine.uploads.bundles import FILES_AT_ONCE, portions_of
from p2pshare.errors import Reason
from p2pshare.limits import DATA_BYTES_MAX, KIB, MIB


def sized(*sizes: int | Reason) -> list[SmallFile | Reason]:
    return [
        size if isinstance(size, Reason) else SmallFile("/", "", "a", Stamp(size, 0, ""), None)
        for size in sizes
    ]


def test_a_message_is_filled_up_to_the_step() -> None:
    assert list(portions_of(sized(4, 4, 4, 4, 4), 8)) == [(0, 2), (2, 4), (4, 5)]


def test_a_file_larger_than_the_step_goes_alone() -> None:
    assert list(portions_of(sized(1, 100, 1), 8)) == [(0, 1), (1, 2), (2, 3)]


def test_no_message_is_larger_than_allowed() -> None:
    portions = list(portions_of(sized(*[200 * KIB] * 20), 64 * MIB))
    assert max((end - first) * 200 * KIB for first, end in portions) <= DATA_BYTES_MAX
    assert portions[-1][1] == 20


def test_empty_and_missing_files_are_counted_too() -> None:
    some = sized(*[0] * FILES_AT_ONCE, Reason.NO_SUCH_FILE, 5)
    assert list(portions_of(some, MIB)) == [(0, FILES_AT_ONCE), (FILES_AT_ONCE, FILES_AT_ONCE + 2)]
