from __future__ import annotations

import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from client.engine.disk_pace import SLOW_PAUSE_S, SLOW_S
from client.engine.downloads.arriving import Piece
from client.engine.downloads.part import Part
from client.engine.downloads.records import Record
from client.engine.downloads.store import INLINE_BYTES_MAX, PieceStore
from client.engine.offload import Inline, Offload, Threads
from p2pshare.errors import LocalTrouble
from p2pshare.hashing import PieceHashes, piece_span, whole_file_hashes
from p2pshare.limits import PIECE_BYTES_MAX
from p2pshare.limits import PIECE_BYTES_MIN as PIECE
from tests.shared_tree import Interrupted

FILE = os.urandom(3 * PIECE + 500)
HASHES = whole_file_hashes(FILE)


def record_in(folder: Path, **more: object) -> Record:
    return Record(
        file=HASHES.file_id,
        size=len(FILE),
        name="song",
        target_folder=str(folder),
        target_path="album/song",
        piece_size=HASHES.piece_size,
        hashes=HASHES.hashes,
        added_at=0.0,
        **more,  # type: ignore[arg-type]
    )


async def opened(
    folder: Path, offload: Offload | None = None, hashes: PieceHashes = HASHES, **more: object
) -> PieceStore:
    store = await PieceStore.open(record_in(folder, **more), hashes, offload or Inline())
    assert isinstance(store, PieceStore)
    return store


def piece(index: int) -> Piece:
    """In three parts of odd sizes."""
    offset, length = piece_span(index, len(FILE), PIECE)
    view = memoryview(FILE)[offset : offset + length]
    return Piece(index, offset, length, [view[:1], view[1:333], view[333:]], good=True)


async def test_at_once_or_in_a_thread_the_file_is_the_same(tmp_path: Path) -> None:
    contents = []
    for way in ("at once", "in a thread", "mixed"):
        (tmp_path / way).mkdir()
        store = await opened(tmp_path / way, Threads())
        for index in (2, 0, 3, 1):
            if way == "at once" or (way == "mixed" and index % 2):
                store.keep_now(piece(index))
            else:
                await store.keep(piece(index))
        assert store.unsaved_bytes == len(FILE)
        assert await store.read(PIECE - 10, 20) == FILE[PIECE - 10 : PIECE + 10]
        await store.sync()
        assert store.unsaved_bytes == 0
        contents.append((await store.finish()).read_bytes())
    assert contents == [FILE] * 3


async def test_writing_at_once_uses_no_thread_and_keeping_does(tmp_path: Path) -> None:
    wrote_in: list[bool] = []
    store = await opened(tmp_path, Threads())
    write = store._part.write
    here = threading.get_ident()

    def told(offset: int, parts: Sequence[memoryview]) -> None:
        wrote_in.append(threading.get_ident() == here)
        write(offset, parts)

    store._part.write = told  # type: ignore[method-assign,assignment]
    store.keep_now(piece(0))
    await store.keep(piece(1))
    assert wrote_in == [True, False]
    await store.aclose()


async def test_a_slow_disk_is_left_to_threads_for_a_while(
    tmp_path: Path, mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes_s = SLOW_S / 2
    write_once = Part._write_once

    def write_slowly(part: Part, fd: int, offset: int, views: list[memoryview]) -> int:
        mock_clock.jump(takes_s)
        return write_once(part, fd, offset, views)

    monkeypatch.setattr(Part, "_write_once", write_slowly)
    store = await opened(tmp_path)
    store.keep_now(piece(0))
    assert store.is_quick(PIECE)
    takes_s = SLOW_S * 2
    store.keep_now(piece(1))
    assert not store.is_quick(PIECE)
    await store.keep(piece(2))
    mock_clock.jump(SLOW_PAUSE_S - takes_s - 0.001)
    assert not store.is_quick(PIECE)
    mock_clock.jump(0.002)
    assert store.is_quick(PIECE)
    store.keep_now(piece(3))
    assert not store.is_quick(PIECE)
    assert (await store.finish()).read_bytes() == FILE


async def test_a_large_piece_is_never_written_at_once(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    assert store.is_quick(INLINE_BYTES_MAX)
    assert not store.is_quick(2 * INLINE_BYTES_MAX)
    assert not store.is_quick(PIECE_BYTES_MAX)
    await store.aclose()


async def test_what_could_not_be_written_is_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await opened(tmp_path)
    store.keep_now(piece(0))

    def full(part: Part, fd: int, offset: int, views: list[memoryview]) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Part, "_write_once", full)
    with pytest.raises(LocalTrouble, match="full"):
        store.keep_now(piece(1))
    with pytest.raises(LocalTrouble, match="full"):
        await store.keep(piece(2))
    assert store.unsaved_bytes == PIECE
    await store.aclose()


async def test_what_is_written_during_a_sync_waits_for_the_next_one(tmp_path: Path) -> None:
    async def meanwhile(work: str) -> None:
        if work == "sync":
            store.keep_now(piece(1))
            await store.keep(piece(2))

    store = await opened(tmp_path, Interrupted(before=meanwhile))
    store.keep_now(piece(0))
    await store.sync()
    assert store.unsaved_bytes == 2 * PIECE
    await store.aclose()


async def test_a_sync_that_fails_saves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await opened(tmp_path)
    store.keep_now(piece(0))

    def broken(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", broken)
        with pytest.raises(LocalTrouble):
            await store.sync()
    with pytest.raises(LocalTrouble):
        await store.sync()
    assert store.unsaved_bytes == PIECE
    await store.aclose()


async def test_what_was_begun_is_taken_up_again(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    assert store.anew
    part, identity = store.part_name, store.part_identity
    store.keep_now(piece(0))
    await store.aclose()
    again = await opened(tmp_path, part=part, part_identity=identity)
    assert not again.anew
    assert await again.read(0, PIECE) == FILE[:PIECE]
    await again.discard()
    assert os.listdir(tmp_path / "album") == []


async def test_a_file_that_got_its_name_just_before_a_crash_is_found(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    part, identity = store.part_name, store.part_identity
    for index in range(4):
        store.keep_now(piece(index))
    place = await store.finish()
    found = await PieceStore.open(record_in(tmp_path, part=part, part_identity=identity), HASHES, Inline())
    assert found == place == tmp_path / "album" / "song"


async def test_many_write_at_the_same_time_and_close_waits_for_them(tmp_path: Path) -> None:
    store = await opened(tmp_path, Threads())
    async with trio.open_nursery() as nursery:
        for index in range(4):
            nursery.start_soon(store.keep, piece(index))
    assert await store.read(0, len(FILE)) == FILE
    await store.aclose()
    with pytest.raises(LocalTrouble, match="not open"):
        store.keep_now(piece(0))
