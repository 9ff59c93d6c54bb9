from __future__ import annotations

import errno
import math
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from client.engine.beneath import Stamp
from client.engine.offload import Inline
from client.engine.shares import check_reading, checking, checks
from client.engine.shares.checking import BUSY_PAUSE_S, LOOK_EVERY_S
from client.engine.shares.checks import Place
from client.engine.shares.publish import Publisher
from client.engine.shares.scan import Rules
from client.engine.shares.shares import Shares
from client.engine.status import CheckView
from p2pshare.database import Database
from p2pshare.errors import LocalTrouble, Reason, Refused
from p2pshare.hashing import FileId
from p2pshare.limits import PIECE_BYTES_MIN as PIECE
from tests.shared_tree import make_tree, open_library, rewrite

LATER = 4_000_000_000.0  # long after every file was written: what was hashed was settled
DAY_S = 86_400.0
EVERYTHING = Place()


class Stand:
    """A share, checked."""

    def __init__(self, library: Database, root: Path, *, every_s: float = math.inf) -> None:
        self.root = root
        self.library = library
        self.now = LATER
        self.is_busy = False
        self.told: list[FileId] = []
        self.shares = Shares(
            library,
            Inline(),
            Publisher(library),
            Rules(),
            tag_reader=None,
            watch=False,
            busy=lambda: self.is_busy,
            unix_now=lambda: self.now,
            check_every_s=every_s,
        )
        self.shares.checking.on_rotten = self._hear

    async def _hear(self, file: FileId) -> None:
        self.told.append(file)

    async def file(self, name: str) -> FileId:
        offer = await self.shares.find_path(str(self.root / name))
        assert offer is not None and offer.file is not None
        return offer.file

    async def checked(self, place: Place = EVERYTHING) -> CheckView:
        await self.shares.checking.check(place)
        while self.shares.checking.view().running:  # noqa: ASYNC110
            await trio.sleep(0.01)
        return self.shares.checking.view()

    async def rot(self, name: str, *pieces: int) -> None:
        """As a failing disk does: without a trace."""
        place = self.root / name
        before = Stamp.of(place.stat()).identity
        status = place.stat()
        with open(place, "r+b") as file:
            for piece in pieces:
                file.seek(piece * PIECE + 7)
                file.write(b"rotten")
        os.utime(place, ns=(status.st_mtime_ns, status.st_mtime_ns))
        after = Stamp.of(place.stat()).identity

        def know(db: object) -> None:
            for table in ("file", "hash_cache"):
                db.execute(f"UPDATE {table} SET identity = ? WHERE identity = ?", (after, before))  # type: ignore[attr-defined]

        await self.library.write(know)


@asynccontextmanager
async def stand(tmp_path: Path, *, every_s: float = math.inf, pieces: int = 4) -> AsyncIterator[Stand]:
    root = make_tree(tmp_path / "music", "in/deep/b.txt", "c.txt")
    (root / "a.bin").write_bytes(os.urandom(pieces * PIECE - 100))
    async with open_library() as library, trio.open_nursery() as nursery:
        made = Stand(library, root, every_s=every_s)
        await made.shares.add(str(root))
        await nursery.start(made.shares.run)
        await wait_all_tasks_blocked()
        assert (await made.shares.views())[0].hashed == 3
        yield made
        nursery.cancel_scope.cancel()


async def test_what_is_well_is_said_to_be(tmp_path: Path) -> None:
    async with stand(tmp_path) as at:
        view = await at.checked()
        size = 4 * PIECE - 100 + 13 + 5
        assert view == CheckView(False, "", 3, 3, size, size, 0, (), ())
        assert at.told == []


async def test_rot_is_found_named_and_served_no_more(tmp_path: Path) -> None:
    async with stand(tmp_path) as at:
        file = await at.file("a.bin")
        await at.rot("a.bin", 1, 3)
        view = await at.checked()
        [found] = view.rotten
        assert (found.path, found.bad_pieces) == (str(at.root / "a.bin"), 2)
        assert at.told == [file]
        assert [share.rotten for share in await at.shares.views()] == [1]
        offer = await at.shares.find_path(str(at.root / "a.bin"))
        assert offer is not None and offer.partial and offer.file == file
        held = await at.shares.hold(file)
        assert held is not None and [held.has(piece) for piece in range(4)] == [True, False, True, False]
        await held.aclose()
        await at.checked()
        assert at.told == [file]  # that it is still so is no news


async def test_a_whole_copy_is_served_before_a_rotten_one(tmp_path: Path) -> None:
    async with stand(tmp_path) as at:
        (at.root / "z.bin").write_bytes((at.root / "a.bin").read_bytes())
        await at.shares.rescan()
        await wait_all_tasks_blocked()
        await at.rot("a.bin", 0)
        await at.checked()
        held = await at.shares.hold(await at.file("a.bin"))
        assert held is not None and (held.name, held.pieces) == ("z.bin", None)
        await held.aclose()


async def test_rot_that_was_a_passing_fault_is_forgotten(tmp_path: Path) -> None:
    async with stand(tmp_path) as at:
        before = (at.root / "a.bin").read_bytes()
        await at.rot("a.bin", 0)
        await at.checked()
        await at.rot("a.bin")
        status = (at.root / "a.bin").stat()
        identity = Stamp.of(status).identity
        with open(at.root / "a.bin", "r+b") as file:
            file.write(before)
        os.utime(at.root / "a.bin", ns=(status.st_mtime_ns, status.st_mtime_ns))
        after = Stamp.of((at.root / "a.bin").stat()).identity

        def know(db: object) -> None:
            for table in ("file", "hash_cache"):
                db.execute(f"UPDATE {table} SET identity = ? WHERE identity = ?", (after, identity))  # type: ignore[attr-defined]

        await at.library.write(know)
        assert (await at.checked()).rotten == ()
        assert [share.rotten for share in await at.shares.views()] == [0]


async def test_an_edit_is_no_rot_even_if_it_sets_the_old_time_again(tmp_path: Path) -> None:
    async with stand(tmp_path) as at:
        old = await at.file("a.bin")
        status = (at.root / "a.bin").stat()
        with open(at.root / "a.bin", "r+b") as file:
            file.write(b"a new title")
        os.utime(at.root / "a.bin", ns=(status.st_mtime_ns, status.st_mtime_ns))
        view = await at.checked()
        assert (view.changed, view.rotten) == (1, ())
        with trio.fail_after(5):
            while (  # noqa: ASYNC110
                offer := await at.shares.find_path(str(at.root / "a.bin"))
            ) is None or (offer.file in (None, old)):
                await trio.sleep(0.01)
        assert not offer.partial


async def test_what_may_have_been_written_while_it_was_hashed_is_hashed_again_instead(tmp_path: Path) -> None:
    async with stand(tmp_path) as at:
        old = await at.file("a.bin")
        await at.rot("a.bin", 2)
        await at.library.write(lambda db: db.execute("UPDATE hash_cache SET settled = 0").rowcount)
        view = await at.checked()
        assert (view.changed, view.rotten) == (1, ())
        await wait_all_tasks_blocked()
        assert await at.file("a.bin") != old
        assert await at.library.read(
            lambda db: db.execute("SELECT min(settled) FROM hash_cache").fetchone()[0]
        )


async def test_a_disk_that_does_not_give_a_piece_out_is_rot_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_at = check_reading.read_at

    def failing(fd: int, offset: int, length: int) -> bytes:
        if offset == PIECE:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read_at(fd, offset, length)

    async with stand(tmp_path) as at:
        monkeypatch.setattr(check_reading, "read_at", failing)
        assert [found.bad_pieces for found in (await at.checked()).rotten] == [1]


@pytest.mark.parametrize("damage", ["EACCES", "gone"])
async def test_what_cannot_be_read_at_all_is_not_called_rotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    def failing(root: str, parts: tuple[str, ...]) -> int:
        number = errno.EACCES if damage == "EACCES" else errno.ENOENT
        raise OSError(number, os.strerror(number))

    async with stand(tmp_path) as at:
        monkeypatch.setattr(check_reading, "open_file_beneath", failing)
        view = await at.checked(await at.shares.place(str(at.root / "a.bin")))
        assert (view.rotten, view.changed) == ((), damage == "gone")
        assert view.unreadable == ((str(at.root / "a.bin"),) if damage == "EACCES" else ())


async def test_only_what_was_named_is_checked(tmp_path: Path) -> None:
    async with stand(tmp_path) as at:
        for path, files in ((".", 3), ("in", 1), ("in/deep", 1), ("in/deep/b.txt", 1), ("a.bin", 1)):
            view = await at.checked(await at.shares.place(str(at.root / path)))
            assert view.files == files, path
        assert (await at.checked(await at.shares.place("music"))).files == 3
        with pytest.raises(LocalTrouble, match="is not shared"):
            await at.shares.place(str(tmp_path))


async def test_everything_is_checked_by_itself_in_its_time_and_not_sooner(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    async with stand(tmp_path, every_s=30 * DAY_S) as at:
        await at.rot("a.bin", 1)
        await _pass(mock_clock, 2 * LOOK_EVERY_S)
        assert at.told == []
        at.now += 31 * DAY_S
        await _pass(mock_clock, 2 * LOOK_EVERY_S)
        assert len(at.told) == 1
        times = await at.library.read(
            lambda db: [row[0] for row in db.execute("SELECT checked_at FROM hash_cache")]
        )
        assert times == [at.now] * 3


async def test_transfers_come_first(tmp_path: Path, mock_clock: MockClock) -> None:
    async with stand(tmp_path, every_s=DAY_S) as at:
        await at.rot("a.bin", 1)
        at.now += 2 * DAY_S
        at.is_busy = True
        await _pass(mock_clock, LOOK_EVERY_S + 100 * BUSY_PAUSE_S)
        assert at.told == []
        at.is_busy = False
        await _pass(mock_clock, 30 * BUSY_PAUSE_S)
        assert len(at.told) == 1


async def test_what_was_checked_by_a_clock_that_ran_ahead_is_not_forgotten(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    async with stand(tmp_path, every_s=DAY_S) as at:
        await at.rot("a.bin", 1)
        at.now -= 365 * DAY_S
        async with trio.open_nursery() as nursery:
            nursery.start_soon(at.shares.checking.run)  # as after a restart
            await wait_all_tasks_blocked()
            at.now += 2 * DAY_S
            await _pass(mock_clock, 2 * LOOK_EVERY_S)
            nursery.cancel_scope.cancel()
        assert at.told


async def _pass(clock: MockClock, seconds: float) -> None:
    """Time passes, in steps that nobody sleeps through."""
    for _ in range(math.ceil(seconds / 10)):
        clock.jump(10)
        await wait_all_tasks_blocked()


async def test_a_full_disk_ends_no_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mock_clock: MockClock
) -> None:
    async with stand(tmp_path) as at:
        await at.rot("a.bin", 1)
        note: Callable[..., bool] = checks.note

        def full(*arguments: object) -> bool:
            raise LocalTrouble("The disk is full.")

        monkeypatch.setattr(checking.checks, "note", full)
        await at.shares.checking.check(Place())
        await _pass(mock_clock, 20)
        assert at.shares.problem.value == "The disk is full."
        monkeypatch.setattr(checking.checks, "note", note)
        await _pass(mock_clock, 60)
        view = at.shares.checking.view()
        assert (view.running, len(view.rotten), at.shares.problem.value) == (False, 1, "")


async def test_a_rotten_file_that_is_edited_is_a_new_file(tmp_path: Path) -> None:
    async with stand(tmp_path) as at:
        old = await at.file("a.bin")
        await at.rot("a.bin", 1)
        await at.checked()
        rewrite(at.root / "a.bin", b"something else")
        await at.shares.rescan()
        await wait_all_tasks_blocked()
        assert await at.file("a.bin") != old
        assert [share.rotten for share in await at.shares.views()] == [0]
        try:
            assert await at.shares.hold(old) is None
        except Refused as error:
            assert error.reason is Reason.NO_SUCH_FILE


async def test_what_is_known_of_rot_outlives_taking_the_folder_out_and_in(tmp_path: Path) -> None:
    async with stand(tmp_path) as at:
        await at.rot("a.bin", 1)
        await at.checked()
        await at.shares.remove("music")
        assert (await at.shares.add(str(at.root))).rotten == 1
