"""Finding something and getting it."""

from __future__ import annotations

from client.engine.downloads.plan import RACES_MIN
from client.engine.status import DownloadState
from p2pshare.limits import KIB, MIB, PIECE_BYTES_MIN
from tests.world import Kind, World, content, scenario

MUSIC = content("blue monday", 2 * MIB + 12_345)
MUSIC_PATH = "music/New Order/Blue Monday.dat"


@scenario()
async def one_shares_another_searches_and_gets(world: World) -> None:
    await world.index()
    await world.person("bob", {MUSIC_PATH: MUSIC})
    alice = await world.person("alice")
    found = await alice.finds("blue monday")
    assert (found.name, found.size, found.source_count) == ("Blue Monday.dat", len(MUSIC), 1)
    view = await alice.fetches(found)
    assert view.target == str(alice.downloads / "Blue Monday.dat")
    assert view.wasted_bytes == 0


@scenario()
async def three_give_at_once_and_each_gives_something(world: World) -> None:
    await world.index()
    for name in ("bob", "carol", "dave"):
        await world.person(name, {MUSIC_PATH: MUSIC}, upload_rate=160)  # two alone would take 7 s
    alice = await world.person("alice")
    found = await alice.finds("blue monday", sources=3)
    begun = await alice.begins(found)
    await alice.sees(
        begun.id,
        lambda view: sum(source.done_bytes > 0 for source in view.sources) == 3,
        "something from each of three",
    )
    view = await alice.finished(begun.id)
    assert view.wasted_bytes <= RACES_MIN * PIECE_BYTES_MIN


@scenario()
async def what_was_fetched_is_shared_onward(world: World) -> None:
    await world.index()
    await world.person("bob", {MUSIC_PATH: MUSIC})
    alice = await world.person("alice")
    await alice.fetches(await alice.finds("blue monday"))
    carol = await world.person("carol")
    found = await carol.finds("blue monday", sources=2)
    await world.leave("bob")
    view = await carol.fetches(found)
    assert view.wasted_bytes == 0


@scenario()
async def a_link_is_enough(world: World) -> None:
    await world.index()
    bob = await world.person("bob", {MUSIC_PATH: MUSIC})
    alice = await world.person("alice")
    await alice.finds("blue monday")
    view = await alice.fetches(await bob.face.link(str(bob.shared(MUSIC_PATH))), str(alice.home / "mine.dat"))
    assert view.target == str(alice.home / "mine.dat")


@scenario()
async def a_folder_comes_as_it_was_with_everything_in_it(world: World) -> None:
    files = {
        "photos/2024/summer/Café.dat": content("cafe", 70 * KIB),
        "photos/2024/summer/empty.dat": b"",
        "photos/2024/one byte.dat": b"1",
        "photos/2024/winter/ski/snow.dat": content("snow", 64 * KIB),
        "photos/top.dat": content("top", 200 * KIB),
    }
    await world.index()
    await world.person("bob", files)
    alice = await world.person("alice")
    await alice.finds("snow")
    [whole] = await alice.face.get("bob/photos")
    assert (whole.name, whole.files, whole.size) == ("photos", len(files), sum(map(len, files.values())))
    await alice.finished_folder(whole.id)
    arrived = {
        path.relative_to(alice.downloads).as_posix(): path.read_bytes()
        for path in alice.downloads.rglob("*")
        if path.is_file()
    }
    assert arrived == files


@scenario()
async def a_file_that_is_not_hashed_yet_is_hashed_for_whoever_wants_it(world: World) -> None:
    await world.index()
    shares = {f"films/{number}.dat": content(f"film {number}", 1_100 * KIB) for number in range(8)}
    await world.person("bob", shares | {MUSIC_PATH: MUSIC}, hashing_s=0.7)
    alice = await world.person("alice")
    found = await alice.finds("blue monday", hashed=False)
    view = await alice.fetches(found)
    assert view.wasted_bytes == 0


@scenario(Kind.SIMULATED)
async def hashing_may_take_longer_than_anybody_waits_on_the_line(world: World) -> None:
    await world.index()
    await world.person("bob", {MUSIC_PATH: MUSIC}, hashing_s=45)
    alice = await world.person("alice")
    await alice.fetches(await alice.finds("blue monday", hashed=False))


@scenario()
async def somebody_with_a_part_gives_it_to_the_next(world: World) -> None:
    """Bob serves one at a time; carol gets what alice has so far from alice."""
    await world.index()
    await world.person("bob", {MUSIC_PATH: MUSIC}, upload_slots=1, upload_rate=512)
    alice, carol = await world.person("alice"), await world.person("carol")
    first = await alice.begins(await alice.finds("blue monday"))
    await alice.half_way(first.id, 0.1)
    second = await carol.begins(await carol.finds("blue monday", sources=2))
    await carol.sees(
        second.id,
        lambda view: any(source.nick == "alice" and source.done_bytes for source in view.sources),
        "pieces from alice",
    )
    assert (await alice.view(first.id)).state is DownloadState.RUNNING
    await alice.finished(first.id)
    await carol.finished(second.id)


@scenario()
async def many_small_files_at_once(world: World) -> None:
    await world.index()
    files = {
        f"notes/{number // 10}/{number}.dat": content(f"note {number}", 100 * number) for number in range(60)
    }
    await world.person("bob", files)
    alice = await world.person("alice")
    await alice.finds("59")
    [whole] = await alice.face.get("bob/notes")
    await alice.finished_folder(whole.id)
