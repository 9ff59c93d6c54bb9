"""Files that are played while they arrive."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import h11
import trio

from client.engine.status import DownloadState, PlayView, Priority
from p2pshare.limits import KIB, MIB
from tests.player import Player, player
from tests.world import Kind, Person, World, content, scenario

FILM = content("nosferatu", 12 * MIB + 777)
FILM_PATH = "films/Nosferatu.mp4"
RATE = 256 * KIB  # of the film, in bytes a second


async def seen(alice: Person, sources: int = 1) -> PlayView:
    found = await alice.finds("nosferatu", sources=sources)
    return await alice.face.play(str(found.number))


async def opened(world: World, view: PlayView) -> trio.abc.Stream:
    port = urlsplit(view.url).port
    assert port is not None
    return await world.connect_here("alice", port)


@scenario(Kind.SIMULATED)
async def a_film_from_four_who_are_hardly_fast_enough_never_stops(world: World) -> None:
    await world.index()
    for name, rate in {"bob": 96, "carol": 64, "dave": 80, "erin": 40}.items():  # 280 KiB/s together
        await world.person(name, {FILM_PATH: FILM}, upload_rate=rate)
    alice = await world.person("alice")
    view = await seen(alice, sources=4)
    async with player(await opened(world, view), view.url) as vlc:
        heard = await vlc.play(RATE, start_s=4.0)
    assert heard.data == FILM
    assert heard.began_after_s <= 8.0
    assert heard.stalled_s == 0.0
    assert view.download is not None
    done = await alice.finished(view.download.id)
    assert done.wasted_bytes <= len(FILM) * 0.06


@scenario(Kind.SIMULATED)
async def a_seek_far_ahead_is_played_soon(world: World) -> None:
    await world.index()
    for name in ("bob", "carol"):
        await world.person(name, {FILM_PATH: FILM}, upload_rate=160)
    alice = await world.person("alice")
    view = await seen(alice, sources=2)
    async with player(await opened(world, view), view.url) as vlc:
        await vlc.ask()
        await vlc.event()
    middle = len(FILM) // 2
    began = trio.current_time()
    async with player(await opened(world, view), view.url) as vlc:
        heard = await vlc.play(RATE, middle, start_s=1.0)
    assert heard.data == FILM[middle:]
    assert heard.began_after_s <= 6.0
    assert heard.stalled_s == 0.0
    assert trio.current_time() - began < len(FILM) / (320 * KIB), "it did not wait for what lies before"


@scenario()
async def ranges_come_while_the_rest_is_still_to_come(world: World) -> None:
    await world.index()
    for name in ("bob", "carol"):
        await world.person(name, {FILM_PATH: FILM}, upload_rate=1536)
    alice = await world.person("alice")
    view = await seen(alice, sources=2)
    assert view.download is not None
    async with player(await opened(world, view), view.url) as browser:
        for first, end in ((0, 10_000), (len(FILM) - 5_000, len(FILM)), (6 * MIB + 5, 6 * MIB + 200_000)):
            assert await browser.get(first, end) == FILM[first:end]
        assert (await alice.view(view.download.id)).state is not DownloadState.COMPLETE
        assert await browser.get() == FILM  # it becomes complete meanwhile
        await alice.finished(view.download.id)
        assert await browser.get(5, 500) == FILM[5:500]
    again = await alice.face.play_download(view.download.id)
    assert again.url == view.url, "an address stays what it is"


@scenario()
async def what_is_here_already_is_played_from_here(world: World) -> None:
    await world.index()
    await world.person("bob", {FILM_PATH: FILM})
    alice = await world.person("alice", {FILM_PATH: FILM})
    view = await alice.face.play(str(alice.shared(FILM_PATH)))
    assert view.download is None
    async with player(await opened(world, view), view.url) as vlc:
        assert await vlc.get() == FILM
    found = await alice.finds("nosferatu")
    assert (await alice.face.play(str(found.number))).url == view.url
    assert await alice.face.downloads() == ()


@scenario()
async def a_finished_file_that_is_not_shared_is_played_as_well(world: World) -> None:
    await world.index()
    await world.person("bob", {FILM_PATH: FILM})
    alice = await world.person("alice", share_downloads=False)
    view = await seen(alice)
    assert view.download is not None
    done = await alice.finished(view.download.id)
    async with player(await opened(world, view), view.url) as vlc:
        assert await vlc.get() == FILM
    place = Path(done.target)
    place.write_bytes(FILM[: 3 * MIB] + b"!" + FILM[3 * MIB + 1 :])
    async with player(await opened(world, view), view.url) as vlc:
        assert await vlc.get(0, 2 * MIB) == FILM[: 2 * MIB]
        await vlc.ask(Range=f"bytes={3 * MIB}-")
        await ends_early(vlc)
    place.write_bytes(FILM)


@scenario()
async def a_pause_ends_playing_and_says_why(world: World) -> None:
    await world.index()
    await world.person("bob", {FILM_PATH: FILM}, upload_rate=256)
    alice = await world.person("alice")
    view = await seen(alice)
    assert view.download is not None
    async with player(await opened(world, view), view.url) as vlc:
        await vlc.ask()
        await vlc.event()
        await alice.face.pause(view.download.id)
        await ends_early(vlc)
    async with player(await opened(world, view), view.url) as vlc:
        answer = await vlc.ask()
        assert answer.status_code == 503
        assert b"is paused" in await vlc.body()
    assert (await alice.face.play_download(view.download.id)).url == view.url  # it goes on
    async with player(await opened(world, view), view.url) as vlc:
        assert await vlc.get(0, 5_000) == FILM[:5_000]
    await alice.face.cancel(view.download.id)


@scenario()
async def the_beginning_is_heard_while_one_still_waits_in_a_queue(world: World) -> None:
    await world.index()
    await world.person("bob", {FILM_PATH: FILM}, upload_slots=1, upload_rate=1024)
    carol = await world.person("carol")
    first = await carol.begins(await carol.finds("nosferatu"))
    await carol.half_way(first.id, 0.02)
    alice = await world.person("alice")
    world.cut("alice", "carol")  # who would share what she has
    view = await seen(alice)
    assert view.download is not None
    async with player(await opened(world, view), view.url) as vlc:
        assert await vlc.get(0, 60 * KIB) == FILM[: 60 * KIB]
        assert await vlc.get(len(FILM) - 700, len(FILM)) == FILM[-700:]
    assert (await alice.view(view.download.id)).state is DownloadState.QUEUED
    await alice.face.cancel(view.download.id)
    await carol.face.cancel(first.id)


@scenario(Kind.SIMULATED)
async def what_is_more_urgent_gets_most_of_a_source(world: World) -> None:
    await world.index()
    await world.person(
        "bob",
        {"films/One.mp4": content("1", 8 * MIB), "films/Two.mp4": content("2", 8 * MIB)},
        upload_rate=256,
    )
    alice = await world.person("alice")
    await one_before_the_other(alice)


@scenario(Kind.SIMULATED)
async def what_is_more_urgent_gets_most_of_the_download_limit(world: World) -> None:
    await world.index()
    await world.person("bob", {"films/One.mp4": content("1", 8 * MIB)})
    await world.person("carol", {"films/Two.mp4": content("2", 8 * MIB)})
    alice = await world.person("alice", download_rate=256)
    await one_before_the_other(alice)


async def one_before_the_other(alice: Person) -> None:
    one = await alice.begins(await alice.finds("one"))
    two = await alice.begins(await alice.finds("two"))
    await alice.sees(two.id, lambda view: view.done_bytes > 0, "something of both")
    await alice.face.prioritise(one.id, Priority.LOW)
    before = (await alice.view(one.id)).done_bytes, (await alice.view(two.id)).done_bytes
    await alice.world.pass_time(20)
    slow, quick = await alice.view(one.id), await alice.view(two.id)
    assert (slow.priority, quick.priority) == (Priority.LOW, Priority.NORMAL)
    slow_bytes, quick_bytes = slow.done_bytes - before[0], quick.done_bytes - before[1]
    assert 0 < slow_bytes < quick_bytes / 2.5, "most goes to the urgent one, and some to the other"
    assert slow_bytes + quick_bytes > 20 * 256 * KIB * 0.9, "and nothing is lost"
    await alice.finished(two.id)
    rest = await alice.view(one.id)
    await alice.world.pass_time(10)
    assert (await alice.view(one.id)).done_bytes - rest.done_bytes > 10 * 256 * KIB * 0.8, "alone it is quick"
    await alice.finished(one.id)


async def ends_early(vlc: Player) -> None:
    try:
        await vlc.body()
    except h11.RemoteProtocolError:
        return
    raise AssertionError("the answer went on")
