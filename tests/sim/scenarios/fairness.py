"""Who is served when, how fast, and how much of it."""

from __future__ import annotations

from client.engine.settings import GroupRules, Groups
from client.engine.status import DownloadState, DownloadView
from p2pshare.errors import LocalTrouble, Refused
from p2pshare.limits import MIB
from tests.world import Kind, Person, World, content, scenario

FILM = content("nosferatu", 3 * MIB)
FILM_PATH = "films/Nosferatu.dat"
QUERY = "nosferatu"


def position(view: DownloadView) -> int | None:
    """In the queue of bob, while it is known."""
    with_bob = (source for source in view.sources if source.nick == "bob")
    known = ("queued", "downloading", "idle")
    return next((source.position for source in with_bob if source.state in known), None)


async def wants(person: Person) -> DownloadView:
    return await person.begins(await person.finds(QUERY))


async def stands(person: Person, number: int, wanted: int) -> DownloadView:
    return await person.sees(number, lambda view: position(view) == wanted, f"place {wanted}")


@scenario()
async def a_place_in_line_survives_a_restart_of_both_sides(world: World) -> None:
    await world.index()
    await world.person("bob", {FILM_PATH: FILM}, upload_slots=1, upload_rate=20)
    alice, carol, dave = [await world.person(name) for name in ("alice", "carol", "dave")]
    await alice.half_way((first := await wants(alice)).id, 0.01)
    await stands(carol, (second := await wants(carol)).id, 1)
    await stands(dave, (third := await wants(dave)).id, 2)
    await world.leave("carol")
    await stands(dave, third.id, 1)
    await world.leave("bob")
    bob = await world.restart("bob")

    async def somebody_waits() -> str | None:
        """Whoever of the two is there first after the restart has the slot, the other one waits."""
        return next((view.nick for view in await bob.face.uploads() if view.position == 1), None)

    waiting = await world.until(somebody_waits, "one of them waits")
    carol = await world.restart("carol")
    await stands(carol, second.id, 1)
    await stands(*((alice, first.id) if waiting == "alice" else (dave, third.id)), 2)


@scenario(Kind.KILLS)
async def a_place_in_line_survives_that_both_are_killed(world: World) -> None:
    await world.index()
    await world.person("bob", {FILM_PATH: FILM}, upload_slots=1, upload_rate=20)
    alice, carol = await world.person("alice"), await world.person("carol")
    await alice.half_way((first := await wants(alice)).id, 0.01)
    await stands(carol, (second := await wants(carol)).id, 1)
    await world.pass_time(11)  # the ticket is kept by now
    for name in ("carol", "bob"):
        await world.kill(name)
    dave = await world.person("dave")
    await world.restart("bob")
    await stands(alice, first.id, 0)
    await stands(dave, (third := await wants(dave)).id, 1)
    carol = await world.restart("carol")
    await stands(carol, second.id, 1)
    await stands(dave, third.id, 2)


@scenario()
async def somebody_blocked_sees_nothing_and_may_be_let_in_again(world: World) -> None:
    await world.index()
    bob = await world.person("bob", {FILM_PATH: FILM})
    alice = await world.person("alice")
    found = await alice.finds(QUERY)
    assert "films" in [entry.name for entry in (await alice.face.browse("bob")).entries]
    blocked = await bob.face.put_into_group("alice", "blocked")
    assert await bob.face.groups() == (blocked,)
    empty = await alice.face.browse("bob")
    assert (empty.entries, empty.files, empty.bytes) == ((), 0, 0)
    try:
        await alice.face.browse("bob", "films")
        raise AssertionError("the folder is there")
    except (Refused, LocalTrouble) as error:
        assert "no such folder" in str(error)
    begun = await alice.begins(found)
    seen = await alice.sees(begun.id, lambda view: bool(view.problem), "what the matter is")
    assert "not shared here" in seen.problem
    assert await bob.face.uploads() == ()
    await bob.face.put_into_group("alice", "everyone")
    await alice.fetches(await alice.finds(QUERY))


@scenario()
async def somebody_blocked_while_they_fetch_gets_nothing_more(world: World) -> None:
    await world.index()
    bob = await world.person("bob", {FILM_PATH: FILM}, upload_rate=100)
    alice = await world.person("alice")
    begun = await wants(alice)
    await alice.half_way(begun.id, 0.1)
    await bob.face.put_into_group("alice", "blocked")

    async def gone() -> bool:
        return not await bob.face.uploads()

    await world.until(gone, "nobody is served")
    before = await alice.view(begun.id)
    await world.pass_time(3)
    after = await alice.view(begun.id)
    assert after.done_bytes - before.done_bytes <= MIB // 8, "what was on its way may arrive"


@scenario()
async def a_limit_that_is_lifted_lets_go_at_once(world: World) -> None:
    await world.index()
    bob = await world.person("bob", {FILM_PATH: FILM}, upload_rate=1)  # most of an hour
    alice = await world.person("alice", download_rate=1)
    begun = await wants(alice)
    await alice.sees(begun.id, lambda view: view.state is DownloadState.RUNNING, "that it runs")
    await world.pass_time(2)
    for person, name in ((bob, "upload_rate"), (alice, "download_rate")):
        assert (await person.face.change_setting(name, ("0",))).value == 0
    world.patience_s = 30
    await alice.finished(begun.id)


@scenario(Kind.SIMULATED)
async def limits_are_kept_from_end_to_end(world: World) -> None:
    await world.index()
    bob = await world.person("bob", {FILM_PATH: FILM}, upload_rate=200)
    alice = await world.person("alice")
    begun = await wants(alice)
    await alice.half_way(begun.id, 0.1)
    before = await bob.face.status()
    start = (await alice.view(begun.id)).done_bytes
    await world.pass_time(10)
    half = (await alice.view(begun.id)).done_bytes
    await alice.face.change_setting("download_rate", ("50",))
    await world.pass_time(10)
    end = (await alice.view(begun.id)).done_bytes
    assert before.upload_rate > 0
    assert abs((half - start) / (10 * 200 * 1024) - 1) < 0.06, "a piece of 64 KiB is 3 %"
    assert abs((end - half) / (10 * 50 * 1024) - 1) < 0.26


@scenario()
async def who_is_trusted_need_not_wait_for_others(world: World) -> None:
    await world.index()
    bob = await world.person("bob", {FILM_PATH: FILM}, upload_slots=1, upload_rate=512)
    alice, carol, dave = [await world.person(name) for name in ("alice", "carol", "dave")]
    await alice.half_way((await wants(alice)).id, 0.01)
    await stands(carol, (await wants(carol)).id, 1)
    waiting = await wants(dave)
    await stands(dave, waiting.id, 2)
    await bob.face.put_into_group("dave", "trusted")
    await stands(dave, waiting.id, 0)
    groups = {view.nick: (view.group, view.position) for view in await bob.face.uploads()}
    assert groups["dave"] == ("trusted", 0)
    await dave.finished(waiting.id)


@scenario(Kind.SIMULATED)
async def a_quota_survives_a_restart_and_can_be_lifted(world: World) -> None:
    await world.index()
    groups = Groups(everyone=GroupRules(daily_quota=1))
    bob = await world.person("bob", {FILM_PATH: FILM}, groups=groups, upload_rate=500)
    alice = await world.person("alice")
    begun = await wants(alice)
    seen = await alice.sees(begun.id, lambda view: view.state is DownloadState.QUEUED, "that it waits")
    assert MIB <= seen.done_bytes <= MIB + MIB // 4
    await world.leave("bob")
    bob = await world.restart("bob")
    seen = await stands(alice, begun.id, 1)
    assert seen.sources[0].wait_s > 3600, "until midnight"
    await world.pass_time(60)
    assert (await alice.view(begun.id)).done_bytes == seen.done_bytes
    await bob.face.change_setting("groups.everyone.daily_quota", ("0",))
    await alice.finished(begun.id)
