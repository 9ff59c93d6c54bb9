"""Folders of many small files: fetched together, and still each a file of its own."""

from __future__ import annotations

from client.engine.status import DownloadState
from p2pshare.limits import KIB
from tests.world import Kind, World, content, scenario

FILES = {
    f"notes/{number % 7}/{number:03}.dat": content(f"note {number}", 37 * number) for number in range(300)
}
SLOW = {"upload_rate": 400}  # KiB a second: the folder takes some 4 s


def arrived(world: World, name: str) -> dict[str, bytes]:
    downloads = world.people[name].downloads
    return {
        path.relative_to(downloads).as_posix(): path.read_bytes()
        for path in downloads.rglob("*")
        if path.is_file()
    }


@scenario()
async def hundreds_of_small_files_are_one_folder(world: World) -> None:
    await world.index()
    await world.person("bob", FILES)
    alice = await world.person("alice")
    await alice.finds("299")
    [whole] = await alice.face.get("bob/notes")
    assert whole.files == len(FILES)
    view = await alice.finished_folder(whole.id)
    assert view.done_bytes == view.size == sum(map(len, FILES.values()))
    assert [source.nick for source in view.sources] == ["bob"]
    assert arrived(world, "alice") == FILES
    assert [each.id for each in await alice.face.downloads()] == [whole.id]
    assert await alice.face.clear() == 1
    assert await alice.face.downloads() == ()
    # They are shared onward, without having been hashed again.
    carol = await world.person("carol")
    await carol.finds("299", sources=2)
    await world.leave("bob")
    [again] = await carol.face.get("alice/downloads/notes")
    await carol.finished_folder(again.id)


@scenario()
async def a_folder_is_paused_and_cancelled_as_one(world: World) -> None:
    await world.index()
    await world.person("bob", FILES, **SLOW)
    alice = await world.person("alice")
    await alice.finds("299")
    [whole] = await alice.face.get("bob/notes")
    await alice.sees(whole.id, lambda view: view.files_done > 0, "some files")
    await alice.face.pause(whole.id)
    paused = await alice.view(whole.id)
    assert paused.state is DownloadState.PAUSED
    assert 0 < paused.files_done < len(FILES)
    await world.pass_time(1)
    assert (await alice.view(whole.id)).files_done == paused.files_done
    await world.leave("alice")
    await world.restart("alice")
    assert (await alice.view(whole.id)).state is DownloadState.PAUSED
    await alice.face.resume(whole.id)
    await alice.sees(whole.id, lambda view: view.files_done > paused.files_done, "more files")
    await alice.face.cancel(whole.id)
    cancelled = await alice.view(whole.id)
    assert cancelled.state is DownloadState.CANCELLED
    here = arrived(world, "alice")
    assert len(here) == cancelled.files_done
    assert here.items() <= FILES.items()


@scenario()
async def one_file_of_a_folder_is_left_out_and_taken_in_again(world: World) -> None:
    await world.index()
    await world.person("bob", FILES, **SLOW)
    alice = await world.person("alice")
    await alice.finds("299")
    [whole] = await alice.face.get("bob/notes")
    last = (await alice.face.downloads_in(whole.id))[-1]
    await alice.face.pause(last.id)
    everything_else = len(FILES) - 1
    await alice.sees(whole.id, lambda view: view.files_done == everything_else, "all but one")
    assert (await alice.view(last.id)).state is DownloadState.PAUSED
    assert (await alice.view(whole.id)).state is DownloadState.PAUSED
    await alice.face.resume(last.id)
    await alice.finished_folder(whole.id)
    assert arrived(world, "alice") == FILES


@scenario(Kind.KILLS)
async def a_killed_downloader_goes_on_with_the_folder(world: World) -> None:
    await world.index()
    await world.person("bob", FILES, **SLOW)
    alice = await world.person("alice")
    await alice.finds("299")
    [whole] = await alice.face.get("bob/notes")
    before = await alice.sees(whole.id, lambda view: view.files_done > 20, "some files")
    await world.kill("alice")
    await world.restart("alice")
    assert (await alice.view(whole.id)).files_done >= before.files_done
    await alice.finished_folder(whole.id)
    assert arrived(world, "alice") == FILES  # and nothing twice, as "001 (2).dat"


@scenario(Kind.KILLS)
async def an_uploader_that_is_killed_comes_back_and_gives_the_rest(world: World) -> None:
    await world.index()
    await world.person("bob", FILES, **SLOW)
    alice = await world.person("alice")
    await alice.finds("299")
    [whole] = await alice.face.get("bob/notes")
    await alice.sees(whole.id, lambda view: view.files_done > 20, "some files")
    await world.kill("bob")
    await world.pass_time(1)
    await world.restart("bob")
    await alice.finished_folder(whole.id)
    assert arrived(world, "alice") == FILES


@scenario()
async def two_who_hold_the_folder_both_give(world: World) -> None:
    await world.index()
    for name in ("bob", "carol"):
        await world.person(name, FILES, **SLOW)
    alice = await world.person("alice")
    await alice.finds("299", sources=2)
    [whole] = await alice.face.get("bob/notes")
    view = await alice.finished_folder(whole.id)
    assert {source.nick for source in view.sources if source.done_bytes} == {"bob", "carol"}
    assert arrived(world, "alice") == FILES


@scenario()
async def what_one_has_no_more_comes_from_another(world: World) -> None:
    """Some files vanish at bob, some rot without a trace; carol has them under other names."""
    await world.index()
    bob = await world.person("bob", FILES)
    gone = [f"notes/{number % 7}/{number:03}.dat" for number in (5, 100, 250)]
    rotten = [f"notes/{number % 7}/{number:03}.dat" for number in (6, 101, 251)]
    await world.person("carol", {f"attic/{path[-7:]}": FILES[path] for path in gone + rotten})
    alice = await world.person("alice")
    for path in gone + rotten:
        await alice.finds(path[-7:-4], sources=2)
    for path in gone:
        bob.shared(path).unlink()
    for path in rotten:
        bob.spoil(path)
    [whole] = await alice.face.get("bob/notes")
    listed = whole.files  # he may have noticed already that some are gone
    await alice.finished_folder(whole.id)
    here = arrived(world, "alice")
    assert len(here) == listed >= len(FILES) - len(gone)
    assert here.items() <= FILES.items()


@scenario()
async def files_that_nobody_has_hashed_yet_come_all_the_same(world: World) -> None:
    await world.index()
    films = {f"films/{number}.dat": content(f"film {number}", 1_100 * KIB) for number in range(4)}
    await world.person("bob", films | FILES, hashing_s=0.5)
    alice = await world.person("alice")
    await alice.finds("299", hashed=False)
    [whole] = await alice.face.get("bob/notes")
    await alice.finished_folder(whole.id)
    assert arrived(world, "alice") == FILES


@scenario(Kind.SIMULATED)
async def a_folder_waits_in_the_queue_like_any_download(world: World) -> None:
    await world.index()
    await world.person("bob", FILES, upload_slots=1, upload_rate=256)
    people = [await world.person(name) for name in ("alice", "carol")]
    begun = []
    for person in people:
        await person.finds("299")
        [whole] = await person.face.get("bob/notes")
        begun.append(whole.id)
    second, number = people[1], begun[1]
    seen = await second.sees(number, lambda view: view.state is DownloadState.QUEUED, "a place in the queue")
    assert [source.position for source in seen.sources if source.nick == "bob"] == [1]
    for person, number in zip(people, begun, strict=True):
        await person.finished_folder(number)


@scenario(Kind.SIMULATED)
async def a_full_disk_stops_a_folder_until_there_is_room(world: World) -> None:
    await world.index()
    await world.person("bob", FILES)
    alice = await world.person("alice")
    await alice.finds("299")
    [whole] = await alice.face.get("bob/notes")
    world.full_disks.add("alice")
    seen = await alice.sees(whole.id, lambda view: view.state is DownloadState.STUCK, "it is stuck")
    assert "disk is full" in seen.problem
    await world.pass_time(100)
    assert not {path for path, data in arrived(world, "alice").items() if data}
    world.full_disks.clear()
    await alice.finished_folder(whole.id)
    assert arrived(world, "alice") == FILES


@scenario()
async def what_is_called_alike_here_gets_names_of_its_own(world: World) -> None:
    """Two names that become one on this system, and a file of that name that was here before."""
    files = {f"odd/a{letter}b.dat": content(f"odd {letter}", 500) for letter in "*?_"}
    await world.index()
    await world.person("bob", files)
    alice = await world.person("alice")
    await alice.finds("odd")
    mine = alice.downloads / "odd" / "a_b.dat"
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_bytes(b"mine")
    world.contents[world.digest(b"mine")] = "mine"
    [whole] = await alice.face.get("bob/odd")
    await alice.finished_folder(whole.id)
    here = arrived(world, "alice")
    assert here.pop("odd/a_b.dat") == b"mine"
    assert sorted(here.values()) == sorted(files.values())
    assert set(here) == {f"odd/a_b ({number}).dat" for number in (2, 3, 4)}
