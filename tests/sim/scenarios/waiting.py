"""Downloads that wait for each other, or for somebody who never comes."""

from __future__ import annotations

from client.engine.downloads.turns import ACTIVE_MAX
from client.engine.status import DownloadState
from p2pshare.hashing import FileId
from p2pshare.limits import MIB
from p2pshare.links import FileLink, format_link
from tests.world import Kind, World, content, scenario

SONG = content("wanted by all", MIB)


@scenario(Kind.SIMULATED)
async def downloads_that_nobody_has_do_not_keep_the_others_waiting_for_ever(world: World) -> None:
    await world.index()
    await world.person("bob", {"songs/wanted by all.dat": SONG})
    alice = await world.person("alice")
    found = await alice.finds("wanted by all")
    for number in range(ACTIVE_MAX + 2):
        nowhere = FileLink(FileId(bytes([number]) * 32), f"gone {number}.dat", 1_000)
        await alice.face.get(format_link(nowhere))
    await alice.fetches(found)


@scenario(Kind.SIMULATED)
async def a_file_fetched_to_a_place_outside_the_shares_is_shared_onward(world: World) -> None:
    await world.index()
    await world.person("bob", {"songs/wanted by all.dat": SONG})
    alice, carol = await world.person("alice"), await world.person("carol")
    elsewhere = alice.downloads.parent / "elsewhere"
    elsewhere.mkdir()
    await alice.fetches(await alice.finds("wanted by all"), target=f"{elsewhere}/")
    await world.leave("bob")
    await carol.fetches(await carol.finds("wanted by all", sources=1))


@scenario(Kind.SIMULATED)
async def a_download_that_cannot_begin_says_so_and_begins_by_itself_later(world: World) -> None:
    await world.index()
    await world.person("bob", {"songs/wanted by all.dat": SONG}, upload_slots=1)
    alice = await world.person("alice")
    found = await alice.finds("wanted by all")
    [begun] = await alice.face.get(str(found.number))
    alice.downloads.rmdir()
    view = await alice.sees(
        begun.id, lambda view: view.state is DownloadState.STUCK, "that the folder is gone"
    )
    assert "not there any more" in view.problem
    alice.downloads.mkdir()
    await alice.finished(begun.id)
