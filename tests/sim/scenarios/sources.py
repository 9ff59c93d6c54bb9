"""Sources that die, lie, come late, or change their files."""

from __future__ import annotations

from client.engine.downloads.plan import RACES_MIN
from client.engine.status import DownloadState
from p2pshare.limits import MIB, PIECE_BYTES_MIN
from tests.world import Kind, World, content, scenario

FILM = content("metropolis", 2 * MIB + 1)
FILM_PATH = "films/Metropolis.dat"
QUERY = "metropolis"


@scenario(Kind.KILLS)
async def one_of_two_is_killed_half_way(world: World) -> None:
    await world.index()
    for name in ("bob", "carol"):
        await world.person(name, {FILM_PATH: FILM}, upload_rate=1536)
    alice = await world.person("alice")
    begun = await alice.begins(await alice.finds(QUERY, sources=2))
    await alice.half_way(begun.id, 0.3)
    await world.kill("bob")
    view = await alice.finished(begun.id)
    assert view.wasted_bytes <= RACES_MIN * PIECE_BYTES_MIN


@scenario(Kind.KILLS)
async def the_only_one_is_killed_and_comes_back(world: World) -> None:
    await world.index()
    await world.person("bob", {FILM_PATH: FILM}, upload_rate=1536)
    alice = await world.person("alice")
    begun = await alice.begins(await alice.finds(QUERY))
    await alice.half_way(begun.id, 0.3)
    await world.kill("bob")
    await alice.sees(begun.id, lambda view: view.state is not DownloadState.RUNNING, "that nobody gives")
    await world.restart("bob")
    await alice.finished(begun.id)


@scenario()
async def a_liar_costs_one_piece_and_is_dropped(world: World) -> None:
    await world.index()
    await world.person("bob", {FILM_PATH: FILM}, upload_rate=256)  # so that he does not give everything alone
    mallory = await world.person("mallory", {FILM_PATH: FILM}, upload_rate=1536)
    alice = await world.person("alice")
    found = await alice.finds(QUERY, sources=2)
    mallory.spoil(FILM_PATH)
    begun = await alice.begins(found)
    seen = await alice.sees(
        begun.id, lambda view: any(source.state == "lied" for source in view.sources), "who lied"
    )
    assert [source.nick for source in seen.sources if source.state == "lied"] == ["mallory"]
    view = await alice.finished(begun.id)
    assert 0 < view.wasted_bytes <= PIECE_BYTES_MIN


@scenario(Kind.SIMULATED)
async def several_liars_cost_one_piece_each(world: World) -> None:
    await world.index()
    await world.person("bob", {FILM_PATH: FILM}, upload_rate=64)
    liars = [await world.person(f"liar{n}", {FILM_PATH: FILM}) for n in range(5)]
    alice = await world.person("alice")
    found = await alice.finds(QUERY, sources=6)
    for number, liar in enumerate(liars):
        liar.spoil(FILM_PATH, number * 5 * PIECE_BYTES_MIN)
    view = await alice.fetches(found)
    assert view.wasted_bytes <= (len(liars) + RACES_MIN) * PIECE_BYTES_MIN


@scenario(Kind.SIMULATED)
async def whoever_comes_late_is_found_and_helps(world: World) -> None:
    await world.index()
    await world.person("bob", {FILM_PATH: FILM}, upload_rate=10)  # some 200 s
    alice = await world.person("alice")
    begun = await alice.begins(await alice.finds(QUERY))
    await alice.half_way(begun.id, 0.1)
    await world.person("carol", {FILM_PATH: FILM}, upload_rate=1536)
    seen = await alice.sees(
        begun.id,
        lambda view: any(source.nick == "carol" and source.done_bytes for source in view.sources),
        "something from carol",
    )
    assert {source.nick for source in seen.sources} == {"bob", "carol"}  # and not herself
    await alice.finished(begun.id)


@scenario()
async def whoever_comes_late_helps_at_once_if_asked_for_again(world: World) -> None:
    await world.index()
    await world.person("bob", {FILM_PATH: FILM}, upload_rate=128)
    alice = await world.person("alice")
    begun = await alice.begins(await alice.finds(QUERY))
    await alice.half_way(begun.id, 0.05)
    await world.person("carol", {FILM_PATH: FILM}, upload_rate=1536)
    again = await alice.begins(await alice.finds(QUERY, of={"bob", "carol"}))
    assert again.id == begun.id
    await alice.sees(
        begun.id,
        lambda view: any(source.nick == "carol" and source.done_bytes for source in view.sources),
        "something from carol",
    )
    await alice.finished(begun.id)


@scenario()
async def a_download_that_waits_for_its_file_says_why_and_goes_on_by_itself(world: World) -> None:
    """The file is deleted while it is fetched, and somebody else brings it."""
    await world.index()
    bob = await world.person("bob", {FILM_PATH: FILM}, upload_rate=1536)
    alice = await world.person("alice")
    begun = await alice.begins(await alice.finds(QUERY))
    await alice.half_way(begun.id, 0.1)
    bob.shared(FILM_PATH).write_bytes(b"something else")
    seen = await alice.sees(begun.id, lambda view: bool(view.problem), "what the matter is")
    assert "changed on disk" in seen.problem, seen.problem
    assert seen.state is not DownloadState.FAILED
    await world.person("carol", {FILM_PATH: FILM})
    await alice.begins(await alice.finds(QUERY, of={"carol"}))
    await alice.finished(begun.id)


@scenario(Kind.SIMULATED)
async def a_file_that_vanished_is_not_offered_for_long(world: World) -> None:
    await world.index()
    bob = await world.person("bob", {FILM_PATH: FILM})
    alice = await world.person("alice")
    found = await alice.finds(QUERY)
    bob.shared(FILM_PATH).unlink()
    begun = await alice.begins(found)
    seen = await alice.sees(begun.id, lambda view: bool(view.problem), "what the matter is")
    assert "not shared here any more" in seen.problem

    async def nothing() -> bool:
        return not (await alice.face.search(QUERY)).results

    await world.until(nothing, "the file is offered no more", 1)


@scenario(Kind.SIMULATED)
async def a_line_that_falls_silent_costs_no_piece(world: World) -> None:
    await world.index()
    for name in ("bob", "carol"):
        await world.person(name, {FILM_PATH: FILM}, upload_rate=128)
    alice = await world.person("alice")
    begun = await alice.begins(await alice.finds(QUERY, sources=2))
    await alice.half_way(begun.id, 0.2)
    world.silence("alice", "bob")
    await alice.finished(begun.id)
    world.mend("alice", "bob")


@scenario()
async def a_cut_between_two_is_overcome(world: World) -> None:
    await world.index()
    await world.person("bob", {FILM_PATH: FILM}, upload_rate=1536)
    alice = await world.person("alice")
    begun = await alice.begins(await alice.finds(QUERY))
    await alice.half_way(begun.id, 0.2)
    world.cut("alice", "bob")
    await alice.sees(begun.id, lambda view: view.state is not DownloadState.RUNNING, "that nobody gives")
    world.mend("alice", "bob")
    await alice.finished(begun.id)


@scenario()
async def somebody_behind_a_firewall_connects_to_whoever_wants_their_file(world: World) -> None:
    await world.index()
    world.close_from_outside("bob")
    await world.person("bob", {FILM_PATH: FILM})
    alice = await world.person("alice")
    found = await alice.finds(QUERY)
    view = await alice.begins(found)
    await alice.finished(view.id)
