"""Which file is hashed when. The clock stands still unless a test moves it, and nothing runs on threads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from client.engine.beneath import Stamp
from client.engine.offload import Inline
from client.engine.shares import hashing_queue, inventory, reading
from client.engine.shares.hashing_queue import GIVE_WAY_S, REST_UNREADABLE_S, REST_UNSETTLED_S, HashingQueue
from client.engine.shares.inventory import Change
from client.engine.shares.offers import OnDisk, find_on_disk
from p2pshare.database import Database
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import FileHasher, FileId
from tests.shared_tree import Interrupted, open_library, rewrite

STEP = 1_000


class Stand:
    """A folder of files of given sizes, and the queue that hashes them."""

    def __init__(self, library: Database, root: Path) -> None:
        self.library = library
        self.root = root
        self.busy = False
        self.hashed: list[str] = []
        self.unsettled: list[str] = []
        self.names: dict[int, str] = {}
        self.numbers: dict[str, int] = {}
        self.queue = HashingQueue(
            library,
            Inline(),
            busy=lambda: self.busy,
            unix_now=lambda: 0.0,
            on_hashed=self._on_hashed,
            on_unsettled=lambda target: self.unsettled.append(target.name),
        )

    def _on_hashed(self, offers: Sequence[int]) -> None:
        self.hashed += [self.names[offer] for offer in offers]

    async def put(self, **sizes: int) -> None:
        """Files to hash, as if a look had found them."""
        share = (await self.library.read(inventory.shares))[0][0]
        for name, size in sizes.items():
            (self.root / name).write_bytes(name[:1].encode() * size)
        changes = [Change("", name, Stamp.of((self.root / name).stat())) for name in sizes]
        numbers = await self.library.write(inventory.apply, share, changes)
        for name, number in zip(sizes, numbers, strict=True):
            self.names[number], self.numbers[name] = name, number
        self.queue.files_changed(numbers)

    async def on_disk(self, name: str) -> OnDisk:
        found = await self.library.read(find_on_disk, self.numbers[name])
        assert found is not None
        return found


@pytest.fixture
async def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stand]:
    monkeypatch.setattr(reading, "STEP_BYTES", STEP)
    monkeypatch.setattr(hashing_queue, "STEP_BYTES", STEP)
    monkeypatch.setattr(hashing_queue, "SMALL_BYTES", 100)
    async with open_library() as library:
        await library.write(inventory.add_share, str(tmp_path.resolve()), "share", 0.0)
        yield Stand(library, tmp_path.resolve())


@asynccontextmanager
async def running(stand: Stand) -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stand.queue.run)
        yield nursery
        nursery.cancel_scope.cancel()


def id_of(content: bytes) -> FileId:
    hasher = FileHasher(len(content))
    hasher.update(content)
    return hasher.finish().file_id


async def test_small_files_come_first_and_then_nothing_is_left(stand: Stand) -> None:
    await stand.put(large=5_000, small=50, empty=0, middle=500)
    async with running(stand):
        await wait_all_tasks_blocked()
        assert stand.hashed == ["empty", "small", "middle", "large"]
        assert stand.queue.current.value == ""
        await stand.put(new=20)
        await wait_all_tasks_blocked()
    assert stand.hashed[-1] == "new"
    assert (await stand.on_disk("large")).file == id_of(b"l" * 5_000)


async def test_what_was_hashed_before_a_restart_is_not_hashed_again(stand: Stand) -> None:
    await stand.put(a=10, b=5_000)
    async with running(stand):
        await wait_all_tasks_blocked()
    again = Stand(stand.library, stand.root)
    async with running(again):
        await wait_all_tasks_blocked()
    assert again.hashed == []


async def test_a_file_that_is_asked_for_passes_the_large_one_under_way(
    stand: Stand, mock_clock: MockClock
) -> None:
    await stand.put(large=50_000, asked=8_000, other=9_000)
    stand.busy = True  # so that the work stops between two steps
    async with running(stand) as nursery:
        await wait_all_tasks_blocked()
        assert stand.queue.current.value == "asked"
        mock_clock.jump(100 * GIVE_WAY_S)
        await wait_all_tasks_blocked()
        found = []

        async def ask(name: str) -> None:
            found.append((name, await stand.queue.hash_now(stand.numbers[name])))

        nursery.start_soon(ask, "large")
        nursery.start_soon(ask, "other")
        await wait_all_tasks_blocked()
        while len(found) < 2:
            mock_clock.jump(GIVE_WAY_S)
            await wait_all_tasks_blocked()
        assert found == [("other", id_of(b"o" * 9_000)), ("large", id_of(b"l" * 50_000))]
        assert stand.hashed[:2] == ["other", "large"]


async def test_a_small_file_asked_for_passes_a_large_one_asked_for(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stand.put(large=50_000, small=300)
    order = []

    async def ask(name: str) -> None:
        await stand.queue.hash_now(stand.numbers[name])
        order.append(name)

    to_ask = ["small"]

    async def ask_meanwhile(work: str) -> None:
        if to_ask and stand.queue.current.value == "large":
            nursery.start_soon(ask, to_ask.pop())
            await wait_all_tasks_blocked()

    monkeypatch.setattr(stand.queue, "_offload", Interrupted(before=ask_meanwhile))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, "large")
        await wait_all_tasks_blocked()
        nursery.start_soon(stand.queue.run)
        while len(order) < 2:
            await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert order == ["small", "large"]


async def test_many_who_wait_for_one_file_get_the_same_answer(stand: Stand) -> None:
    await stand.put(a=10)
    found = []

    async def ask() -> None:
        found.append(await stand.queue.hash_now(stand.numbers["a"]))

    async with running(stand) as nursery:
        for _ in range(3):
            nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        assert found == [id_of(b"a" * 10)] * 3
        assert await stand.queue.hash_now(stand.numbers["a"]) == found[0]
    assert stand.hashed == ["a"]


async def test_an_offer_that_does_not_exist_is_refused(stand: Stand) -> None:
    with pytest.raises(Refused) as caught:
        await stand.queue.hash_now(99)
    assert caught.value.reason is Reason.NO_SUCH_FILE


@pytest.mark.parametrize("size", [50, 5_000])
async def test_a_file_that_changes_is_left_alone_and_tried_again(
    stand: Stand, mock_clock: MockClock, size: int
) -> None:
    await stand.put(a=size)
    rewrite(stand.root / "a", b"b" * size)
    async with running(stand):
        await wait_all_tasks_blocked()
        assert (stand.hashed, stand.unsettled) == ([], ["a"])
        with pytest.raises(Refused) as caught:
            await stand.queue.hash_now(stand.numbers["a"])
        assert caught.value.reason is Reason.FILE_CHANGED
        assert caught.value.retry_after_s == REST_UNSETTLED_S
        mock_clock.jump(REST_UNSETTLED_S - 1)
        await wait_all_tasks_blocked()
        assert stand.unsettled == ["a", "a"]
        mock_clock.jump(2)
        await wait_all_tasks_blocked()
        assert stand.unsettled == ["a", "a", "a"]
        await stand.put(a=size)  # looked at again, and it rests now
        await wait_all_tasks_blocked()
    assert stand.hashed == ["a"]


async def test_a_file_that_cannot_be_read_is_named_and_tried_again_later(
    stand: Stand, mock_clock: MockClock
) -> None:
    def refuse(root: str, parts: Sequence[str]) -> int:
        raise PermissionError(13, "Permission denied")

    broken = pytest.MonkeyPatch()
    broken.setattr(reading, "open_file_beneath", refuse)
    await stand.put(a=50)
    async with running(stand):
        await wait_all_tasks_blocked()
        assert [target.name for target in stand.queue.unreadable.values()] == ["a"]
        with pytest.raises(Refused) as caught:
            await stand.queue.hash_now(stand.numbers["a"])
        assert caught.value.reason is Reason.FAILED
        broken.undo()
        mock_clock.jump(REST_UNREADABLE_S + 1)
        await wait_all_tasks_blocked()
        assert stand.hashed == ["a"] and not stand.queue.unreadable


async def test_a_row_that_changes_while_its_file_is_hashed_is_hashed_again(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stand.put(a=50)
    to_change = ["a"]

    async def change(work: str) -> None:
        while to_change:
            rewrite(stand.root / to_change.pop(), b"new")

    monkeypatch.setattr(stand.queue, "_offload", Interrupted(after=change))
    async with running(stand):
        await wait_all_tasks_blocked()
        share = (await stand.library.read(inventory.shares))[0][0]
        found = Change("", "a", Stamp.of((stand.root / "a").stat()))
        stand.queue.files_changed(await stand.library.write(inventory.apply, share, [found]))
        await wait_all_tasks_blocked()
    assert (await stand.on_disk("a")).file == id_of(b"new")


async def test_while_others_need_the_machine_hashing_rests_between_steps(
    stand: Stand, mock_clock: MockClock
) -> None:
    await stand.put(a=2_500)
    stand.busy = True
    async with running(stand):
        for _ in range(3):
            await wait_all_tasks_blocked()
            assert stand.hashed == []
            mock_clock.jump(GIVE_WAY_S)
        await wait_all_tasks_blocked()
    assert stand.hashed == ["a"]
