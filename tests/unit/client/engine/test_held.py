from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from client.engine.beneath import Stamp
from client.engine.disk_pace import SLOW_PAUSE_S, SLOW_S
from client.engine.held import Held, SharedFile, open_shared_file
from client.engine.offload import Inline, Threads
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import FileHasher, PieceHashes
from p2pshare.limits import MIB
from p2pshare.ranges import RangeSet
from tests.reading import read
from tests.shared_tree import Interrupted, make_tree, rewrite

CONTENT = os.urandom(3 * 65_536 + 100)
has_nowait = pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="this system cannot")


def hashes_of(content: bytes) -> PieceHashes:
    hasher = FileHasher(len(content))
    hasher.update(content)
    return hasher.finish()


async def open_file(root: Path, *, stamp: Stamp | None = None, name: str = "a.bin") -> SharedFile:
    stamp = stamp or Stamp.of((root / "folder" / name).stat())
    return await open_shared_file(str(root), ("folder", name), stamp, hashes_of(CONTENT), Inline())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make_tree(tmp_path / "share", "folder/")
    (root / "folder" / "a.bin").write_bytes(CONTENT)
    return root


async def test_a_shared_file_gives_what_was_asked_for(root: Path) -> None:
    file: Held = await open_file(root)
    assert (file.name, file.size, file.pieces) == ("a.bin", len(CONTENT), None)
    assert file.file == hashes_of(CONTENT).file_id and len(file.hashes) == 4 * 32
    assert [file.has(piece) for piece in (-1, 0, 3, 4)] == [False, True, True, False]
    assert await read(file, 0, len(CONTENT)) == CONTENT
    assert await read(file, 70_000, 1_000) == CONTENT[70_000:71_000]
    await file.aclose()


async def test_a_closed_file_is_not_served(root: Path) -> None:
    file = await open_file(root)
    await file.aclose()
    await file.aclose()
    with pytest.raises(Refused) as caught:
        await read(file, 0, 1)
    assert caught.value.reason is Reason.NO_SUCH_FILE


async def test_a_file_that_changes_is_refused_from_then_on(root: Path) -> None:
    file = await open_file(root)
    assert await read(file, 0, 10) == CONTENT[:10]
    rewrite(root / "folder" / "a.bin", b"x" * len(CONTENT))
    with pytest.raises(Refused) as caught:
        await read(file, 0, 10)
    assert caught.value.reason is Reason.FILE_CHANGED
    assert caught.value.text == "a.bin changed on disk since it was offered. Search again."
    await file.aclose()


async def test_a_file_that_shrinks_or_asks_beyond_the_end_is_refused(root: Path) -> None:
    file = await open_file(root)
    with pytest.raises(Refused):
        await read(file, len(CONTENT) - 5, 10)
    os.truncate(root / "folder" / "a.bin", 100)
    with pytest.raises(Refused):
        await read(file, 0, 50)
    await file.aclose()


async def test_a_file_that_is_deleted_while_it_is_open_is_given_no_more(root: Path) -> None:
    file = await open_file(root)
    (root / "folder" / "a.bin").unlink()
    with pytest.raises(Refused) as caught:
        await read(file, 0, len(CONTENT))
    assert caught.value.reason is Reason.FILE_CHANGED
    await file.aclose()


async def test_an_edit_that_sets_the_old_time_again_is_noticed(root: Path) -> None:
    """As programs do that write the tags of songs."""
    file = await open_file(root)
    stamp = Stamp.of((root / "folder" / "a.bin").stat())
    with open(root / "folder" / "a.bin", "r+b") as edited:
        edited.write(b"x")
    os.utime(root / "folder" / "a.bin", ns=(stamp.mtime_ns, stamp.mtime_ns))
    with pytest.raises(Refused) as caught:
        await read(file, 0, len(CONTENT))
    assert caught.value.reason is Reason.FILE_CHANGED
    await file.aclose()


async def test_of_a_rotten_file_only_the_good_pieces_are_held(root: Path) -> None:
    hashes = hashes_of(CONTENT)
    stamp = Stamp.of((root / "folder" / "a.bin").stat())
    good = RangeSet([range(1)]).to_bitmap(4)
    file = await open_shared_file(str(root), ["folder", "a.bin"], stamp, hashes, Inline(), good)
    assert file.pieces == good
    assert [file.has(piece) for piece in (-1, 0, 1, 2)] == [False, True, False, False]
    await file.aclose()


async def test_another_file_in_its_place_is_refused(root: Path) -> None:
    stamp = Stamp.of((root / "folder" / "a.bin").stat())
    (root / "folder" / "new").write_bytes(CONTENT)
    os.utime(root / "folder" / "new", ns=(stamp.mtime_ns, stamp.mtime_ns))
    (root / "folder" / "new").replace(root / "folder" / "a.bin")
    with pytest.raises(Refused) as caught:
        await open_file(root, stamp=stamp)
    assert caught.value.reason is Reason.FILE_CHANGED


async def test_what_is_gone_or_became_a_link_is_no_such_file(root: Path, tmp_path: Path) -> None:
    stamp = Stamp.of((root / "folder" / "a.bin").stat())
    (root / "folder").rename(tmp_path / "elsewhere")
    for make_link in (False, True):
        if make_link:
            (root / "folder").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(Refused) as caught:
            await open_file(root, stamp=stamp)
        assert caught.value.reason is Reason.NO_SUCH_FILE


async def test_a_disk_that_fails_is_told_in_a_sentence(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = await open_file(root)

    def broken(fd: int, buffers: object, offset: int, flags: int = 0) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", broken)
    with pytest.raises(Refused) as caught:
        await read(file, 0, 10)
    assert caught.value.reason is Reason.FAILED
    assert caught.value.text == "a.bin cannot be read: Input/output error."
    await file.aclose()


async def test_closing_waits_for_reads_under_way(root: Path) -> None:
    """A descriptor closed under a reading thread could by then be that of another file."""
    release = trio.Event()
    closed_early: list[bool] = []
    results: list[bytes] = []

    async def wait(work: str) -> None:
        await release.wait()
        closed_early.append(file._fd < 0)

    file = await open_file(root)
    file._offload = Interrupted(before=wait)
    file._may_look = False  # as if nothing of it were in memory

    async def read_some() -> None:
        results.append(await read(file, 0, 5))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_some)
        nursery.start_soon(read_some)
        await trio.testing.wait_all_tasks_blocked()
        await file.aclose()
        release.set()
    assert results == [CONTENT[:5]] * 2 and closed_early == [False, False]
    assert file._fd == -1


@pytest.mark.parametrize("in_memory", [True, False])
async def test_large_reads_come_whole(tmp_path: Path, in_memory: bool) -> None:
    content = os.urandom(5 * MIB)
    (tmp_path / "large").write_bytes(content)
    stamp = Stamp.of((tmp_path / "large").stat())
    file = await open_shared_file(str(tmp_path), ("large",), stamp, hashes_of(content), Threads())
    file._may_look = file._may_look and in_memory
    assert await read(file, MIB, 4 * MIB) == content[MIB:]
    await file.aclose()


def preads(monkeypatch: pytest.MonkeyPatch, behave: Callable[[int], int | OSError]) -> list[int]:
    """The flags of each read from now on. `behave`: how many bytes one with these flags gives at most."""
    flags_seen: list[int] = []
    preadv = os.preadv

    def read_some(fd: int, buffers: tuple[memoryview], offset: int, flags: int = 0) -> int:
        flags_seen.append(flags)
        what = behave(flags)
        if isinstance(what, OSError):
            raise what
        (into,) = buffers
        return preadv(fd, (into[:what],), offset)

    monkeypatch.setattr(os, "preadv", read_some)
    return flags_seen


async def in_threads(root: Path) -> SharedFile:
    stamp = Stamp.of((root / "folder" / "a.bin").stat())
    return await open_shared_file(str(root), ("folder", "a.bin"), stamp, hashes_of(CONTENT), Threads())


def forbid_threads(file: SharedFile) -> None:
    async def fail(name: str) -> None:
        raise AssertionError(f"{name} went to a thread")

    file._offload = Interrupted(before=fail)
    file._offload.takes_time = True


@has_nowait
async def test_what_is_in_memory_is_read_without_a_thread(root: Path) -> None:
    file = await in_threads(root)
    assert await read(file, 0, len(CONTENT)) == CONTENT  # is in memory now, wherever it was before
    if not file._may_look:
        pytest.skip("this file system cannot")
    forbid_threads(file)
    assert await read(file, 70_000, 1_000) == CONTENT[70_000:71_000]
    rewrite(root / "folder" / "a.bin", b"x" * len(CONTENT))
    with pytest.raises(Refused) as caught:
        await read(file, 0, 10)
    assert caught.value.reason is Reason.FILE_CHANGED
    await file.aclose()


@has_nowait
@pytest.mark.parametrize("there", [0, 1, 999, OSError(errno.EAGAIN, "Try again"), OSError(errno.EIO, "Bad")])
async def test_what_is_not_all_in_memory_comes_from_a_thread(
    root: Path, monkeypatch: pytest.MonkeyPatch, there: int | OSError
) -> None:
    flags = preads(monkeypatch, lambda flags: there if flags else 1 << 30)
    file = await in_threads(root)
    for offset in (0, 5_000):
        assert await read(file, offset, 1_000) == CONTENT[offset:][:1_000]
    assert flags == [os.RWF_NOWAIT, 0] * 2  # it is looked at again the next time
    await file.aclose()


@has_nowait
async def test_a_system_that_cannot_look_is_asked_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cannot = OSError(errno.EOPNOTSUPP, "Operation not supported")
    flags = preads(monkeypatch, lambda flags: cannot if flags else 1 << 30)
    file = await in_threads(root)
    for offset in (0, 5_000, 9_000):
        assert await read(file, offset, 1_000) == CONTENT[offset:][:1_000]
    assert flags == [os.RWF_NOWAIT, 0, 0, 0]
    await file.aclose()


async def test_where_it_cannot_be_looked_a_quick_disk_is_read_without_threads(
    root: Path, mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes_s = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    times = (number * takes_s for number in count())
    file = await in_threads(root)
    file._may_look = False
    ran_in: list[str] = []
    run = file._offload.run

    async def told(work: Callable[..., object], *args: object) -> object:
        ran_in.append(work.__name__)
        return await run(work, *args)

    monkeypatch.setattr(file._offload, "run", told)
    await read(file, 0, 1_000)
    assert ran_in == ["_read_into"]  # a thread finds out how quick the disk is
    await read(file, 0, 1_000)
    assert len(ran_in) == 1
    takes_s = 2 * SLOW_S
    await read(file, 0, 1_000)  # here, and it takes long
    await read(file, 0, 1_000)
    assert len(ran_in) == 2
    mock_clock.jump(SLOW_PAUSE_S)
    await read(file, 0, 1_000)
    assert len(ran_in) == 2
    await file.aclose()


async def test_without_reads_at_a_place_one_reads_after_the_other(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows: each read moves the one position of the file."""
    for name in ("pread", "preadv", "posix_fadvise"):
        monkeypatch.delattr(os, name, raising=False)
    file = await in_threads(root)
    file._may_look = False
    got: dict[int, bytes] = {}

    async def read_at(offset: int) -> None:
        got[offset] = await read(file, offset, 10_000)

    async with trio.open_nursery() as nursery:
        for offset in range(0, 190_000, 10_000):
            nursery.start_soon(read_at, offset)
    assert got == {offset: CONTENT[offset:][:10_000] for offset in range(0, 190_000, 10_000)}
    await file.aclose()


@pytest.mark.parametrize("may_look", [True, False])
async def test_a_drive_that_is_gone_is_told_in_a_sentence(
    root: Path, monkeypatch: pytest.MonkeyPatch, may_look: bool
) -> None:
    """What was read before may still lie in memory, but nothing can be asked about the file any more."""
    file = await in_threads(root)
    file._may_look = file._may_look and may_look
    await read(file, 0, 10)

    def stale(fd: int) -> os.stat_result:
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fstat", stale)
        with pytest.raises(Refused) as caught:
            await read(file, 0, 10)
    assert caught.value.reason is Reason.FAILED
    assert caught.value.text == "a.bin cannot be read: Stale file handle."
    await file.aclose()
