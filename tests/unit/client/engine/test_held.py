from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from client.engine.beneath import Stamp
from client.engine.held import Held, SharedFile, open_shared_file
from client.engine.offload import Inline, Threads
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import FileHasher, PieceHashes
from p2pshare.limits import MIB
from tests.shared_tree import Interrupted, make_tree, rewrite

CONTENT = os.urandom(3 * 65_536 + 100)


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
    assert await file.read(0, len(CONTENT)) == CONTENT
    assert await file.read(70_000, 1_000) == CONTENT[70_000:71_000]
    await file.aclose()


async def test_a_closed_file_is_not_served(root: Path) -> None:
    file = await open_file(root)
    await file.aclose()
    await file.aclose()
    with pytest.raises(Refused) as caught:
        await file.read(0, 1)
    assert caught.value.reason is Reason.NO_SUCH_FILE


async def test_a_file_that_changes_is_refused_from_then_on(root: Path) -> None:
    file = await open_file(root)
    assert await file.read(0, 10) == CONTENT[:10]
    rewrite(root / "folder" / "a.bin", b"x" * len(CONTENT))
    with pytest.raises(Refused) as caught:
        await file.read(0, 10)
    assert caught.value.reason is Reason.FILE_CHANGED
    assert caught.value.text == "a.bin changed on disk since it was offered. Search again."
    await file.aclose()


async def test_a_file_that_shrinks_or_asks_beyond_the_end_is_refused(root: Path) -> None:
    file = await open_file(root)
    with pytest.raises(Refused):
        await file.read(len(CONTENT) - 5, 10)
    os.truncate(root / "folder" / "a.bin", 100)
    with pytest.raises(Refused):
        await file.read(0, 50)
    await file.aclose()


async def test_a_file_that_is_deleted_while_it_is_open_can_be_read_to_its_end(root: Path) -> None:
    file = await open_file(root)
    (root / "folder" / "a.bin").unlink()
    assert await file.read(0, len(CONTENT)) == CONTENT
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

    def broken(fd: int, length: int, offset: int) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", broken)
    with pytest.raises(Refused) as caught:
        await file.read(0, 10)
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

    async def read() -> None:
        results.append(await file.read(0, 5))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        await file.aclose()
        release.set()
    assert results == [CONTENT[:5]] * 2 and closed_early == [False, False]
    assert file._fd == -1


async def test_large_reads_come_whole_from_a_thread(tmp_path: Path) -> None:
    content = os.urandom(5 * MIB)
    (tmp_path / "large").write_bytes(content)
    stamp = Stamp.of((tmp_path / "large").stat())
    file = await open_shared_file(str(tmp_path), ("large",), stamp, hashes_of(content), Threads())
    assert await file.read(MIB, 4 * MIB) == content[MIB:]
    await file.aclose()
