from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from client.engine.beneath import Stamp
from client.engine.downloads import repairing
from client.engine.downloads.arriving import Piece
from client.engine.downloads.part import Part, finished_as
from client.engine.downloads.records import Record
from client.engine.downloads.repairing import Superseded, salvage
from client.engine.downloads.store import PieceStore
from client.engine.offload import Inline
from p2pshare.hashing import FileHasher, PieceHashes
from p2pshare.limits import PIECE_BYTES_MIN as PIECE

NAME = "What? A song: 1.flac"  # as Linux allows, and Windows does not
GOOD = os.urandom(4 * PIECE - 100)
ROTTEN = GOOD[:PIECE] + b"rotten" + GOOD[PIECE + 6 :]


def hashes() -> PieceHashes:
    hasher = FileHasher(len(GOOD))
    hasher.update(GOOD)
    return hasher.finish()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / NAME
    place.write_bytes(ROTTEN)
    os.chmod(place, 0o640)
    os.utime(place, ns=(1_600_000_000_123_456_789, 1_600_000_000_987_654_321))
    return place


def order(place: Path, **more: object) -> Record:
    known = hashes()
    return Record(
        file=known.file_id,
        size=known.size,
        name=NAME,
        target_folder=str(place.parent),
        target_path=NAME,
        piece_size=known.piece_size,
        hashes=known.hashes,
        replaces=Stamp.of(place.stat()),
        added_at=0.0,
        **more,  # type: ignore[arg-type]
    )


async def opened(record: Record) -> PieceStore:
    store = await PieceStore.open(record, hashes(), Inline())
    assert isinstance(store, PieceStore)
    return store


async def mended(record: Record) -> PieceStore:
    """Every byte is there."""
    store = await opened(record)
    known = await salvage(record, hashes(), store, Inline())
    assert known.done_pieces().count == 3
    await store.keep(Piece(1, PIECE, PIECE, [memoryview(GOOD)[PIECE : 2 * PIECE]], good=True))
    return store


async def test_what_is_good_is_kept_and_the_new_file_takes_the_place_of_the_old(place: Path) -> None:
    before = place.stat()
    store = await mended(order(place))
    assert place.read_bytes() == ROTTEN
    assert await store.finish() == place
    after = place.stat()
    assert place.read_bytes() == GOOD
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert os.listdir(place.parent) == [NAME]


async def test_labels_that_the_person_put_on_it_stay(place: Path) -> None:
    try:
        os.setxattr(place, "user.comment", b"my favourite")
    except OSError:
        pytest.skip("this file system keeps no labels")
    store = await mended(order(place))
    await store.finish()
    assert os.getxattr(place, "user.comment") == b"my favourite"


async def test_the_old_one_is_kept_if_asked_for(place: Path) -> None:
    store = await mended(order(place, keep_replaced=True))
    await store.finish()
    assert place.read_bytes() == GOOD
    assert place.with_name(NAME + ".rotten").read_bytes() == ROTTEN


@pytest.mark.parametrize("change", ["edited", "edited back in time", "replaced", "gone", "a link"])
async def test_a_file_that_is_another_by_now_is_left_alone(place: Path, change: str) -> None:
    record = order(place)
    store = await mended(record)
    alter(place, change)
    found = place.read_bytes() if place.exists() else None
    with pytest.raises(Superseded, match="left as it is"):
        await store.finish()
    assert (place.read_bytes() if place.exists() else None) == found
    await store.discard()
    assert not [name for name in os.listdir(place.parent) if name.endswith(".part")]


@pytest.mark.parametrize("change", ["edited", "gone", "a link"])
async def test_nothing_is_taken_over_from_a_file_that_is_another_by_now(place: Path, change: str) -> None:
    record = order(place)
    alter(place, change)
    store = await opened(record)
    with pytest.raises(Superseded):
        await salvage(record, hashes(), store, Inline())


def alter(place: Path, change: str) -> None:
    status = place.stat()
    if change.startswith("edited"):
        place.write_bytes(b"x" + ROTTEN[1:])
        if change != "edited":
            os.utime(place, ns=(status.st_mtime_ns, status.st_mtime_ns))
    elif change == "replaced":
        other = place.with_name("other")
        other.write_bytes(ROTTEN)
        os.utime(other, ns=(status.st_mtime_ns, status.st_mtime_ns))
        other.replace(place)
    else:
        place.unlink()
        if change == "a link":
            (place.parent / "elsewhere").mkdir()
            target = place.parent / "elsewhere" / "secret"
            target.write_bytes(ROTTEN)
            place.symlink_to(target)


async def test_what_the_disk_does_not_give_out_is_fetched(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_at = repairing.read_at

    def failing(fd: int, offset: int, length: int) -> bytes:
        if offset == 2 * PIECE:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read_at(fd, offset, length)

    monkeypatch.setattr(repairing, "read_at", failing)
    record = order(place)
    store = await opened(record)
    known = await salvage(record, hashes(), store, Inline())
    assert list(known.done_pieces()) == [range(0, 1), range(3, 4)]
    await store.aclose()


async def test_after_a_crash_just_behind_the_end_the_new_file_is_found(place: Path) -> None:
    record = order(place)
    store = await mended(record)
    part, identity = store.part_name, store.part_identity
    await store.finish()
    assert finished_as(str(place.parent), [], NAME, identity, exactly=True) == NAME
    started = Record(**{**vars(record), "part": part, "part_identity": identity})
    assert await PieceStore.open(started, hashes(), Inline()) == place


def test_the_new_file_is_readable_by_nobody_who_could_not_read_the_old_one(place: Path) -> None:
    os.chmod(place, 0o600)
    part = Part.create(str(place.parent), [], NAME, 3)
    part.write(0, [b"abc"])
    part.replace(NAME, Stamp.of(place.stat()), False)
    part.close()
    assert place.stat().st_mode & 0o777 == 0o600
