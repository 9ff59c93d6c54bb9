"""Stopping, being killed, a full disk: nothing is lost, and everything goes on."""

from __future__ import annotations

import pytest

from client.engine.downloads.checkpoints import CHECKPOINT_S
from client.engine.status import DownloadState
from p2pshare.errors import LocalTrouble
from p2pshare.limits import KIB, MIB, PIECE_BYTES_MIN
from tests.world import Kind, World, content, scenario

BOOK = content("ulysses", 3 * MIB)
BOOK_PATH = "books/Ulysses.dat"
RATE = 384  # KiB a second: 8 s


@scenario(Kind.KILLS)
async def a_killed_downloader_goes_on_from_its_last_checkpoint(world: World) -> None:
    await world.index()
    await world.person("bob", {BOOK_PATH: BOOK}, upload_rate=RATE)
    alice = await world.person("alice")
    begun = await alice.begins(await alice.finds("ulysses"))
    before = await alice.half_way(begun.id, 0.8)
    await world.kill("alice")
    assert not (alice.downloads / "Ulysses.dat").exists()
    await world.restart("alice")
    after = await alice.sees(begun.id, lambda view: view.done_bytes > 0, "what was kept")
    lost = before.done_bytes - after.done_bytes
    assert lost <= CHECKPOINT_S * RATE * KIB + 2 * PIECE_BYTES_MIN
    await alice.finished(begun.id)


@scenario()
async def a_downloader_that_leaves_in_good_order_loses_nothing(world: World) -> None:
    await world.index()
    await world.person("bob", {BOOK_PATH: BOOK}, upload_rate=6 * RATE)
    alice = await world.person("alice")
    begun = await alice.begins(await alice.finds("ulysses"))
    before = await alice.half_way(begun.id, 0.3)
    await world.leave("alice")
    await world.restart("alice")
    after = await alice.sees(begun.id, lambda view: view.done_bytes > 0, "what was kept")
    assert after.done_bytes >= before.done_bytes
    view = await alice.finished(begun.id)
    assert view.wasted_bytes == 0


@scenario()
async def paused_it_rests_and_resumed_it_goes_on(world: World) -> None:
    await world.index()
    await world.person("bob", {BOOK_PATH: BOOK}, upload_rate=6 * RATE)
    alice = await world.person("alice")
    begun = await alice.begins(await alice.finds("ulysses"))
    await alice.half_way(begun.id, 0.2)
    await alice.face.pause(begun.id)
    paused = await alice.view(begun.id)
    assert paused.state is DownloadState.PAUSED
    await world.pass_time(0.5)
    assert (await alice.view(begun.id)).done_bytes == paused.done_bytes
    await alice.face.resume(begun.id)
    view = await alice.finished(begun.id)
    assert view.wasted_bytes == 0


@scenario()
async def a_pause_outlives_a_restart(world: World) -> None:
    await world.index()
    await world.person("bob", {BOOK_PATH: BOOK}, upload_rate=6 * RATE)
    alice = await world.person("alice")
    begun = await alice.begins(await alice.finds("ulysses"))
    await alice.half_way(begun.id, 0.1)
    await alice.face.pause(begun.id)
    await world.leave("alice")
    await world.restart("alice")
    assert (await alice.view(begun.id)).state is DownloadState.PAUSED
    await alice.face.resume(begun.id)
    await alice.finished(begun.id)


@scenario()
async def cancelled_nothing_of_it_is_left(world: World) -> None:
    await world.index()
    await world.person("bob", {BOOK_PATH: BOOK}, upload_rate=RATE)
    alice = await world.person("alice")
    begun = await alice.begins(await alice.finds("ulysses"))
    await alice.half_way(begun.id, 0.1)
    await alice.face.cancel(begun.id)
    assert (await alice.view(begun.id)).state is DownloadState.CANCELLED
    assert not [path for path in alice.downloads.rglob("*") if path.is_file()]
    assert await alice.face.clear() == 1
    assert await alice.face.downloads() == ()


@scenario(Kind.SIMULATED)
async def a_full_disk_stops_a_download_until_there_is_room(world: World) -> None:
    await world.index()
    await world.person("bob", {BOOK_PATH: BOOK}, upload_rate=RATE)
    alice = await world.person("alice")
    world.full_disks.add("alice")
    begun = await alice.begins(await alice.finds("ulysses"))
    seen = await alice.sees(begun.id, lambda view: view.state is DownloadState.STUCK, "it is stuck")
    assert "disk is full" in seen.problem
    await world.pass_time(100)
    assert (await alice.view(begun.id)).done_bytes == 0
    world.full_disks.clear()
    await alice.finished(begun.id)


@scenario()
async def a_disk_that_fills_up_half_way_loses_nothing(world: World) -> None:
    await world.index()
    await world.person("bob", {BOOK_PATH: BOOK}, upload_rate=6 * RATE)
    alice = await world.person("alice")
    begun = await alice.begins(await alice.finds("ulysses"))
    before = await alice.half_way(begun.id, 0.2)
    world.full_disks.add("alice")
    seen = await alice.sees(begun.id, lambda view: view.state is DownloadState.STUCK, "it is stuck")
    assert "disk is full" in seen.problem
    assert seen.done_bytes >= before.done_bytes
    world.full_disks.clear()
    await alice.face.resume(begun.id)
    await alice.finished(begun.id)


@scenario()
async def a_library_on_a_full_disk_loses_nothing_and_does_not_lie(world: World) -> None:
    await world.index()
    await world.person("bob", {BOOK_PATH: BOOK}, upload_rate=6 * RATE)
    alice = await world.person("alice")
    begun = await alice.begins(await alice.finds("ulysses"))
    before = await alice.half_way(begun.id, 0.2)
    world.full_disks.add("alice")
    world.full_libraries.update(("alice", "bob"))
    seen = await alice.sees(begun.id, lambda view: view.state is DownloadState.STUCK, "it is stuck")
    assert "is full" in seen.problem and seen.done_bytes >= before.done_bytes
    with pytest.raises(LocalTrouble, match="is full"):  # that it rests could not be remembered
        await alice.face.pause(begun.id)
    world.full_disks.clear()
    world.full_libraries.discard("alice")  # and whoever gives needs none
    await alice.face.resume(begun.id)
    view = await alice.finished(begun.id)
    assert view.wasted_bytes == 0


@scenario(Kind.SIMULATED)
async def what_is_finished_while_the_library_takes_nothing_is_finished_once(world: World) -> None:
    await world.index()
    await world.person("bob", {BOOK_PATH: BOOK}, upload_rate=2 * RATE)  # 4 s
    alice = await world.person("alice")
    begun = await alice.begins(await alice.finds("ulysses"))
    await alice.half_way(begun.id, 0.5)
    world.full_libraries.add("alice")
    seen = await alice.sees(begun.id, lambda view: view.state is DownloadState.STUCK, "it is stuck")
    assert "is full" in seen.problem and (alice.downloads / "Ulysses.dat").read_bytes() == BOOK
    await world.pass_time(60)
    await world.kill("alice")  # and even that does not matter
    world.full_libraries.clear()
    await world.restart("alice")
    view = await alice.finished(begun.id)
    assert view.wasted_bytes == 0
    assert [path.name for path in alice.downloads.iterdir()] == ["Ulysses.dat"]


@scenario(Kind.SIMULATED)
async def more_downloaders_than_slots_all_finish_and_see_their_place(world: World) -> None:
    await world.index()
    await world.person("bob", {BOOK_PATH: BOOK}, upload_slots=1, upload_rate=RATE)
    people = [await world.person(f"person{n}") for n in range(4)]
    begun = [await one.begins(await one.finds("ulysses")) for one in people]
    places: set[int] = set()

    async def all_done() -> bool:
        views = [await one.view(view.id) for one, view in zip(people, begun, strict=True)]
        places.update(source.position for view in views for source in view.sources if source.nick == "bob")
        return all(view.state is DownloadState.COMPLETE for view in views)

    await world.until(all_done, "all four have it")
    for one, view in zip(people, begun, strict=True):
        await one.finished(view.id)
    assert {0, 1, 2} <= places


@scenario()
async def who_waits_sees_a_place_and_gets_a_slot_when_it_is_free(world: World) -> None:
    await world.index()
    other = content("dubliners", 3 * MIB)
    await world.person(
        "bob", {BOOK_PATH: BOOK, "books/Dubliners.dat": other}, upload_slots=1, upload_rate=6 * RATE
    )
    alice, carol = await world.person("alice"), await world.person("carol")
    first = await alice.begins(await alice.finds("ulysses"))
    await alice.half_way(first.id, 0.1)
    second = await carol.begins(await carol.finds("dubliners"))
    seen = await carol.sees(second.id, lambda view: view.state is DownloadState.QUEUED, "she waits")
    assert [(source.position, source.wait_s > 0) for source in seen.sources] == [(1, True)]
    await alice.finished(first.id)
    await carol.finished(second.id)
