"""Disks that rot and people who lie: found, named, mended, and nothing of anybody's is damaged."""

from __future__ import annotations

import os

from client.engine.distrust import FIRST_S
from client.engine.status import CheckView, DownloadState
from p2pshare.limits import KIB, MIB, PIECE_BYTES_MIN
from tests.world import Kind, Person, World, content, scenario

OPERA = content("aida", 2 * MIB)
OPERA_PATH = "music/Aida.dat"
OTHER = content("tosca", 300 * KIB)
OTHER_PATH = "music/Tosca.dat"


async def checked(person: Person, path: str | None = None) -> CheckView:
    await person.face.check(path)

    async def over() -> CheckView | None:
        view = await person.face.checks()
        return None if view.running else view

    return await person.world.until(over, f"the check of {person.name} is over")


async def all_hashed(person: Person) -> None:
    async def look() -> bool:
        return all(share.hashed == share.files for share in await person.face.rescan())

    await person.world.until(look, f"everything of {person.name} is hashed")


@scenario()
async def a_rotten_file_is_found_and_mended_from_others(world: World) -> None:
    await world.index()
    await world.person("bob", {OPERA_PATH: OPERA})
    alice = await world.person("alice", {OPERA_PATH: OPERA})
    await alice.finds("aida")  # of bob: oneself is not found
    place = alice.shared(OPERA_PATH)
    os.chmod(place, 0o640)
    await all_hashed(alice)
    alice.spoil(OPERA_PATH, len(OPERA) - 3 * PIECE_BYTES_MIN)
    before = place.stat()
    view = await checked(alice)
    assert [(found.path, found.bad_pieces) for found in view.rotten] == [(str(place), 3)]
    [view] = await alice.face.repair()
    done = await alice.finished(view.id)
    assert sum(source.done_bytes for source in done.sources) == 3 * PIECE_BYTES_MIN
    after = place.stat()
    assert place.read_bytes() == OPERA
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert os.listdir(place.parent) == [place.name]
    assert (await checked(alice)).rotten == ()
    assert [share.rotten for share in (await alice.face.status()).shares if share.name == "music"] == [0]


@scenario()
async def what_is_good_of_a_rotten_file_is_still_given(world: World) -> None:
    """Two have it, each with another half damaged: together they hold it, and nobody is called a liar."""
    await world.index()
    bob = await world.person("bob", {OPERA_PATH: OPERA})
    carol = await world.person("carol", {OPERA_PATH: OPERA})
    alice = await world.person("alice")
    await alice.finds("aida", sources=2)
    half = len(OPERA) // 2
    bob.spoil(OPERA_PATH, half)
    carol.spoil(OPERA_PATH)
    place = carol.shared(OPERA_PATH)
    before = place.stat()
    with open(place, "r+b") as file:
        file.seek(half)
        file.write(OPERA[half:])
    carol.remove_traces(OPERA_PATH, before)
    for one in (bob, carol):
        assert [found.bad_pieces for found in (await checked(one)).rotten] == [half // PIECE_BYTES_MIN]
    view = await alice.fetches(await alice.finds("aida", sources=2))
    assert view.wasted_bytes == 0 and await alice.face.distrusted() == ()
    for one in (bob, carol):
        [view] = await one.face.repair(str(one.shared("music")))
        await one.finished(view.id)
        assert one.shared(OPERA_PATH).read_bytes() == OPERA


@scenario()
async def a_file_that_was_edited_meanwhile_is_not_mended(world: World) -> None:
    await world.index()
    alice = await world.person("alice", {OPERA_PATH: OPERA})
    await all_hashed(alice)
    alice.spoil(OPERA_PATH, len(OPERA) - 1)
    await checked(alice)
    place = alice.shared(OPERA_PATH)
    [view] = await alice.face.repair(str(place))
    await alice.sees(view.id, lambda view: view.done_bytes > 0, "what is good was kept")
    edited = b"a new title" + OPERA[11:]
    place.write_bytes(edited)
    await world.person("bob", {OPERA_PATH: OPERA})
    seen = await alice.sees(view.id, lambda view: view.state is DownloadState.FAILED, "it is left alone")
    assert "left as it is" in seen.problem
    assert place.read_bytes() == edited and os.listdir(place.parent) == [place.name]


@scenario()
async def the_damaged_file_is_kept_if_asked_for_and_not_shared(world: World) -> None:
    await world.index()
    await world.person("bob", {OPERA_PATH: OPERA})
    alice = await world.person("alice", {OPERA_PATH: OPERA})
    await alice.finds("aida")  # of bob: oneself is not found
    await all_hashed(alice)
    alice.spoil(OPERA_PATH, 0)
    await checked(alice)
    place = alice.shared(OPERA_PATH)
    damaged = place.read_bytes()
    [view] = await alice.face.repair(None, True)
    await alice.finished(view.id)
    assert place.read_bytes() == OPERA
    assert place.with_name("Aida.dat.rotten").read_bytes() == damaged
    assert [share.files for share in await alice.face.rescan() if share.name == "music"] == [1]


@scenario(Kind.KILLS)
async def a_repair_goes_on_after_being_killed(world: World) -> None:
    await world.index()
    await world.person("bob", {OPERA_PATH: OPERA}, upload_rate=512)
    alice = await world.person("alice", {OPERA_PATH: OPERA})
    await alice.finds("aida")  # of bob: oneself is not found
    await all_hashed(alice)
    alice.spoil(OPERA_PATH, len(OPERA) // 4)
    damaged = alice.shared(OPERA_PATH).read_bytes()
    await checked(alice)
    [view] = await alice.face.repair()
    await alice.half_way(view.id, 0.5)
    await world.kill("alice")
    assert alice.shared(OPERA_PATH).read_bytes() == damaged
    await world.restart("alice")
    await alice.finished(view.id)
    assert alice.shared(OPERA_PATH).read_bytes() == OPERA


@scenario(Kind.SIMULATED)
async def who_lied_once_is_left_alone_for_hours_and_longer_for_that_file(world: World) -> None:
    await world.index()
    mallory = await world.person("mallory", {OPERA_PATH: OPERA, OTHER_PATH: OTHER})
    alice = await world.person("alice")
    found = await alice.finds("aida")
    mallory.spoil(OPERA_PATH)
    begun = await alice.begins(found)

    async def known() -> bool:
        return bool(await alice.face.distrusted())

    await world.until(known, "mallory is known")
    [who] = await alice.face.distrusted()
    assert (who.nick, who.files) == ("mallory", 1)
    await world.pass_time(1)
    await world.kill("alice")  # it is remembered
    await world.restart("alice")
    assert [one.nick for one in await alice.face.distrusted()] == ["mallory"]
    other = await alice.begins(await alice.finds("tosca"))
    await world.pass_time(120)
    assert (await alice.view(other.id)).done_bytes == 0
    world.turn_clock("alice", FIRST_S)
    await alice.finished(other.id)
    assert (await alice.view(begun.id)).state is DownloadState.LOOKING
    assert (await alice.view(begun.id)).wasted_bytes <= PIECE_BYTES_MIN


@scenario()
async def who_is_trusted_again_is_asked_again(world: World) -> None:
    await world.index()
    mallory = await world.person("mallory", {OPERA_PATH: OPERA})
    alice = await world.person("alice")
    found = await alice.finds("aida")
    mallory.spoil(OPERA_PATH, len(OPERA) - PIECE_BYTES_MIN)
    begun = await alice.begins(found)

    async def known() -> bool:
        return bool(await alice.face.distrusted())

    await world.until(known, "mallory is known")
    place = mallory.shared(OPERA_PATH)
    before = place.stat()
    place.write_bytes(OPERA)  # mended by its owner
    mallory.remove_traces(OPERA_PATH, before)
    assert await alice.face.trust("mallory") == 1
    assert await alice.face.distrusted() == ()
    await alice.finished(begun.id)


@scenario(Kind.SIMULATED)
async def who_is_slow_or_gone_is_not_distrusted(world: World) -> None:
    await world.index()
    await world.person("bob", {OPERA_PATH: OPERA}, upload_rate=16)
    await world.person("carol", {OPERA_PATH: OPERA}, upload_rate=16)
    alice = await world.person("alice")
    begun = await alice.begins(await alice.finds("aida", sources=2))
    await alice.half_way(begun.id, 0.1)
    world.silence("alice", "bob")
    await world.kill("carol")
    await world.pass_time(300)
    world.mend("alice", "bob")
    await world.restart("carol")
    await alice.finished(begun.id)
    assert await alice.face.distrusted() == ()
