from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from client.engine.beneath import Stamp
from client.engine.held import SharedFile
from client.engine.library import LIBRARY_FILE, MIGRATIONS
from client.engine.offload import Inline, Threads
from client.engine.shares import folder_watch, hash_cache, lookout, reading
from client.engine.shares.hashing_queue import GIVE_WAY_S
from client.engine.shares.publish import Publisher
from client.engine.shares.scan import Rules
from client.engine.shares.shares import RETRY_S, Shares
from client.engine.shares.tag_worker import TagWorker
from client.engine.status import ShareView
from p2pshare.database import Database, open_database
from p2pshare.errors import BadMessage, LocalTrouble, Reason, Refused
from p2pshare.hashing import FileHasher, FileId, PieceHashes
from p2pshare.identity import NodeId
from p2pshare.wire.fields import Folder, Tags
from tests.fake_index import FakeIndex
from tests.media_samples import flac
from tests.reading import read
from tests.shared_tree import make_tree, open_library, rewrite

SERVER = NodeId(b"s" * 32)


def hashes_of(content: bytes) -> PieceHashes:
    hasher = FileHasher(len(content))
    hasher.update(content)
    return hasher.finish()


def shares_in(
    library: Database, publisher: Publisher | None = None, *, busy: Callable[[], bool] = lambda: False
) -> Shares:
    return Shares(
        library,
        Inline(),
        publisher or Publisher(library),
        Rules(),
        tag_reader=None,
        watch=False,
        busy=busy,
        unix_now=lambda: 0.0,
    )


@pytest.fixture
async def library() -> AsyncIterator[Database]:
    async with open_library() as library:
        yield library


@asynccontextmanager
async def running(shares: Shares) -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        await nursery.start(shares.run)
        yield nursery
        nursery.cancel_scope.cancel()


async def test_a_folder_is_offered_as_soon_as_it_is_shared_and_hashed_later(
    library: Database, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "music", "a.txt", "in/b.txt")
    shares = shares_in(library)
    assert await shares.add(str(root)) == ShareView(str(root), "music", 2, 13, 0, "")
    offer = await shares.find_path(str(root / "in" / "b.txt"))
    assert offer is not None and (offer.path, offer.file) == ("music/in/b.txt", None)
    assert await shares.find_offer(offer.offer) == offer
    async with running(shares):
        await wait_all_tasks_blocked()
        assert shares.hashing == ""
        [view] = await shares.views()
    assert view.hashed == 2
    found = await shares.find_path(str(root / "in" / "b.txt"))
    assert found is not None and found.file == hashes_of(b"in/b.txt").file_id


async def test_adding_a_folder_again_looks_for_changes(library: Database, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "music", "a")
    shares = shares_in(library)
    await shares.add(str(root))
    make_tree(root, "b")
    (tmp_path / "link").symlink_to(root)
    assert (await shares.add(str(tmp_path / "link"))).files == 2
    assert len(await shares.views()) == 1


async def test_what_cannot_be_shared_is_refused_with_a_sentence(library: Database, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "music", "file")
    shares = shares_in(library)
    for path, sentence in (
        (root / "gone", "does not exist"),
        (root / "file", "is not a folder"),
        (Path("/"), "A whole disk cannot be shared"),
    ):
        with pytest.raises(LocalTrouble, match=sentence):
            await shares.add(str(path))
    with pytest.raises(LocalTrouble, match="is not shared"):
        await shares.remove(str(root))
    assert await shares.views() == ()


async def test_a_share_is_removed_by_its_path_or_its_name_even_when_it_is_gone(
    library: Database, tmp_path: Path
) -> None:
    shares = shares_in(library)
    for name in ("music", "films"):
        await shares.add(str(make_tree(tmp_path / name, "a")))
    (tmp_path / "music").rename(tmp_path / "elsewhere")
    await shares.remove(str(tmp_path / "music"))
    assert [view.name for view in await shares.views()] == ["films"]
    await shares.remove("films")
    assert await shares.views() == ()


async def test_sharing_a_folder_again_costs_no_hashing(
    library: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree(tmp_path / "music", "a", "in/b")
    shares = shares_in(library)
    await shares.add(str(root))
    async with running(shares):
        await wait_all_tasks_blocked()
    await shares.remove("music")
    assert (await shares.add(str(root))).hashed == 2


async def test_a_hashed_file_is_held_and_read(library: Database, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "music", "in/a.txt")
    shares = shares_in(library)
    await shares.add(str(root))
    async with running(shares):
        await wait_all_tasks_blocked()
    file = hashes_of(b"in/a.txt").file_id
    held = await shares.hold(file)
    assert held is not None and (held.name, held.file) == ("a.txt", file)
    assert await read(held, 3, 5) == b"a.txt"
    await held.aclose()
    assert await shares.hold(FileId(bytes(32))) is None
    assert await shares.held_among([file, FileId(bytes(32))]) == {file}


async def test_a_file_that_is_asked_for_is_hashed_and_held_at_once(
    library: Database, tmp_path: Path, mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "STEP_BYTES", 100)
    root = make_tree(tmp_path / "music", "large", "asked")
    (root / "large").write_bytes(bytes(1 << 21))
    (root / "asked").write_bytes(bytes(1 << 21 | 1))
    shares = shares_in(library, busy=lambda: True)
    await shares.add(str(root))
    offer = await shares.find_path(str(root / "asked"))
    assert offer is not None
    async with running(shares) as nursery:
        await wait_all_tasks_blocked()
        assert shares.hashing == "large"
        monkeypatch.setattr(reading, "STEP_BYTES", 1 << 20)
        held: list[SharedFile | None] = []

        async def ask() -> None:
            held.append(await shares.hold_offer(offer.offer))

        nursery.start_soon(ask)
        while not held:
            await wait_all_tasks_blocked()
            mock_clock.jump(GIVE_WAY_S)
        [asked] = held
        assert asked is not None and asked.file == hashes_of(bytes(1 << 21 | 1)).file_id
        await asked.aclose()
        assert [view.hashed for view in await shares.views()] == [1]
        with pytest.raises(Refused):
            await shares.hash_now(99)


async def test_another_copy_stands_in_for_one_that_changed(library: Database, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "music", "a", "b")
    for name in ("a", "b"):
        (root / name).write_bytes(b"same")
    shares = shares_in(library)
    await shares.add(str(root))
    file = hashes_of(b"same").file_id
    async with running(shares):
        await wait_all_tasks_blocked()
    rewrite(root / "a", "other")
    held = await shares.hold(file)
    assert held is not None and held.name == "b"
    await held.aclose()
    (root / "b").unlink()
    with pytest.raises(Refused) as caught:
        await shares.hold(file)
    assert caught.value.reason in (Reason.FILE_CHANGED, Reason.NO_SUCH_FILE)


async def test_who_stumbles_over_a_change_has_the_folder_looked_at(
    library: Database, tmp_path: Path, mock_clock: MockClock
) -> None:
    root = make_tree(tmp_path / "music", "in/a")
    shares = shares_in(library)
    await shares.add(str(root))
    async with running(shares):
        await wait_all_tasks_blocked()
        mock_clock.jump(1)
        rewrite(root / "in" / "a", "other")
        make_tree(root, "in/new")
        with pytest.raises(Refused):
            await shares.hold(hashes_of(b"in/a").file_id)
        await wait_all_tasks_blocked()
        assert await shares.held_among([hashes_of(b"other").file_id, hashes_of(b"in/new").file_id])
        assert [view.files for view in await shares.views()] == [2]


async def test_a_finished_download_is_adopted_without_reading_it(library: Database, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "downloads", "a")
    shares = shares_in(library)
    await shares.add(str(root))
    make_tree(root, "album/song")
    hashes = hashes_of(b"album/song")
    offer = await shares.adopt(str(root / "album" / "song"), hashes)
    held = await shares.hold(hashes.file_id)
    assert held is not None and offer is not None
    assert await read(held, 0, 10) == b"album/song"
    await held.aclose()


async def test_folders_are_listed_to_whoever_browses(library: Database, tmp_path: Path) -> None:
    shares = shares_in(library)
    await shares.add(str(make_tree(tmp_path / "music", "b", "in/a")))
    page = await shares.listing("")
    assert page.folders == (Folder(name="music", files=2, bytes=5),)
    page = await shares.listing("music")
    assert [folder.name for folder in page.folders] == ["in"]
    assert [offer.path for offer in page.offers] == ["music/b"]
    with pytest.raises(Refused) as caught:
        await shares.listing("films")
    assert caught.value.reason is Reason.NO_SUCH_FILE
    with pytest.raises(BadMessage):
        await shares.listing("music", b"\xff")


async def test_servers_are_told_of_every_change(library: Database, tmp_path: Path) -> None:
    root = make_tree(tmp_path / "music", "a", "b")
    publisher, index = Publisher(library), FakeIndex()
    shares = shares_in(library, publisher)

    async def told() -> set[tuple[str, FileId | None]]:
        while (batch := await publisher.next_batch(SERVER, index.digest)) is not None:
            index.publish(batch)
            await publisher.acknowledge(SERVER, batch)
        return {(offer.path, offer.file) for offer in index.offers.values()}

    await shares.add(str(root))
    assert await told() == {("music/a", None), ("music/b", None)}
    async with running(shares):
        await wait_all_tasks_blocked()
    hashed = {("music/a", hashes_of(b"a").file_id), ("music/b", hashes_of(b"b").file_id)}
    assert await told() == hashed
    (root / "a").unlink()
    await shares.rescan()
    assert await told() == hashed - {("music/a", hashes_of(b"a").file_id)}
    await shares.remove("music")
    assert await told() == set()


async def test_a_share_tells_what_is_wrong_with_it(
    library: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree(tmp_path / "music", "good", "bad\\name")
    shares = shares_in(library)
    view = await shares.add(str(root))
    assert view.problem == "Not shared because others could not store or show them: 1 name. Rename them."

    def refuse(root: str, parts: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(reading, "open_file_beneath", refuse)
    async with running(shares):
        await wait_all_tasks_blocked()
        [view] = await shares.views()
        assert view.problem.startswith("Not shared because they cannot be read: 1 file.")
    root.rename(tmp_path / "unplugged")
    [view] = await shares.rescan()
    assert view.problem.startswith("The folder cannot be opened just now.")
    assert await shares.find_path(str(root / "good")) is None
    assert (await shares.listing("")).folders == ()


async def test_trouble_with_the_database_is_told_and_overcome(
    library: Database, tmp_path: Path, mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree(tmp_path / "music", "a")
    shares = shares_in(library)
    await shares.add(str(root))
    write = library.write

    async def full(unit: object, *args: object, **kwargs: object) -> object:
        if getattr(unit, "__name__", "") == "_record":
            raise LocalTrouble("The disk is full.")
        return await write(unit, *args, **kwargs)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr(library, "write", full)
        async with running(shares):
            await wait_all_tasks_blocked()
            assert shares.problem.value == "The disk is full."
            broken.undo()
            mock_clock.jump(RETRY_S)
            await wait_all_tasks_blocked()
            assert shares.problem.value == ""
            assert [view.hashed for view in await shares.views()] == [1]


async def test_what_changed_while_the_program_was_not_running_is_found_at_the_start(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "music", "stays", "changes", "goes")
    for start in range(2):
        async with open_database(tmp_path / LIBRARY_FILE, MIGRATIONS, threads=False) as library:
            shares = shares_in(library)
            if start == 0:
                await shares.add(str(root))
            async with running(shares):
                await wait_all_tasks_blocked()
                [view] = await shares.views()
                assert (view.files, view.hashed) == (3, 3)
                held = {hashes_of(name.encode()).file_id for name in ("stays", "changes", "goes")}
                assert len(await shares.held_among(held)) == 3 - 2 * start
        if start == 0:
            rewrite(root / "changes", "changed")
            (root / "goes").unlink()
            make_tree(root, "comes")


KILLED = """
import sys, trio
sys.path[:] = {path!r}
from tests.unit.client.engine.shares.test_shares import share_until_killed
trio.run(share_until_killed, {root!r}, {file!r})
"""


async def share_until_killed(root: str, file: str) -> None:
    async with open_database(file, MIGRATIONS) as library, trio.open_nursery() as nursery:
        publisher = Publisher(library)
        shares = Shares(library, Threads(), publisher, Rules(), tag_reader=None, watch=False)
        await shares.add(root)
        seen = publisher.changed.value
        await nursery.start(shares.run)
        while (await shares.views())[0].hashed < 3:
            seen = await publisher.changed.other_than(seen)
        print("acknowledged", flush=True)
        await trio.sleep_forever()


async def test_nothing_that_was_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "music", "a", "in/b", "in/c")
    file = tmp_path / LIBRARY_FILE
    program = KILLED.format(path=[os.getcwd(), *sys.path], root=str(root), file=str(file))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"acknowledged\n"
        process.kill()
    async with open_database(file, MIGRATIONS, threads=False) as library:
        [view] = await shares_in(library).views()
        assert (view.files, view.hashed) == (3, 3)
        held = await shares_in(library).hold(hashes_of(b"in/b").file_id)
        assert held is not None
        await held.aclose()


async def test_all_of_it_together_on_threads_with_real_changes_and_tags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_watch, "SILENCE_MS", 50)
    monkeypatch.setattr(folder_watch, "STEP_MS", 10)
    monkeypatch.setattr(lookout, "PAUSE_S", 0.01)
    root = make_tree(tmp_path / "music", "a.txt")
    async with open_database(tmp_path / LIBRARY_FILE, MIGRATIONS) as library:
        publisher = Publisher(library)
        shares = Shares(library, Threads(), publisher, Rules(), tag_reader=TagWorker(), watch=True)
        await shares.add(str(root))
        with trio.fail_after(30):
            async with running(shares):
                (root / "song.flac").write_bytes(flac(3, TITLE="Jóga"))
                seen = -1
                while True:
                    seen = await publisher.changed.other_than(seen)
                    offer = await shares.find_path(str(root / "song.flac"))
                    if offer is not None and offer.file is not None and offer.tags.title:
                        break
                assert offer.tags == Tags(title="Jóga", length_s=3, lossless=True)
                assert offer.file == hashes_of((root / "song.flac").read_bytes()).file_id


async def test_old_hashes_are_forgotten_at_the_start(library: Database) -> None:
    await library.write(
        hash_cache.remember,
        "/gone",
        Stamp(1, 1, "1"),
        hashes_of(b"x"),
        -hash_cache.KEEP_UNSHARED_S - 1,
    )
    async with running(shares_in(library)):
        rows = await library.read(lambda db: db.execute("SELECT count(*) FROM hash_cache").fetchone())
    assert rows == (0,)
