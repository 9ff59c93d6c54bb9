"""Index servers that go away, refuse, and stand beside each other."""

from __future__ import annotations

import itertools

import trio

from client.engine.status import DownloadState, ServerState
from p2pshare.limits import MIB
from tests.world import Kind, World, content, scenario

MAP = content("atlas", 2 * MIB)
MAP_PATH = "maps/Atlas.dat"


@scenario()
async def the_server_goes_away_and_the_download_goes_on(world: World) -> None:
    await world.index()
    await world.person("bob", {MAP_PATH: MAP}, upload_rate=1536)
    alice = await world.person("alice")
    begun = await alice.begins(await alice.finds("atlas"))
    await alice.half_way(begun.id, 0.1)
    await world.kill("index")
    await alice.finished(begun.id)
    (server,) = (await alice.face.status()).servers
    assert server.state is not ServerState.ONLINE
    assert server.problem
    await world.restart_index()
    await world.online(alice)
    await world.online(world.people["bob"])
    found = await alice.finds("atlas", of={"bob"})
    assert found.have


@scenario(Kind.SIMULATED)
async def a_server_that_stays_away_is_tried_less_and_less_often(world: World) -> None:
    await world.index()
    alice = await world.person("alice")
    await world.kill("index")
    tries = [attempt for attempt in world.attempts if attempt[:2] == ("alice", "index")]
    assert len(tries) == 1
    await world.pass_time(1_500)
    times = [at for who, whom, at in world.attempts if (who, whom) == ("alice", "index")]
    pauses = [later - sooner for sooner, later in itertools.pairwise(times[1:])]
    assert 8 <= len(pauses) <= 20
    assert max(pauses[:2]) < 5
    assert min(pauses[-2:]) > 100
    await world.restart_index()
    await world.online(alice)


@scenario(Kind.SIMULATED)
async def a_server_that_restarts_is_not_stormed_and_needs_no_new_manifests(world: World) -> None:
    await world.index()
    people = [
        await world.person(f"person{n}", {f"maps/{n}.dat": content(f"map {n}", 100)}) for n in range(10)
    ]
    for number in range(1, len(people)):
        await people[0].finds(str(number))
    await world.leave("index")
    await world.pass_time(300)
    await world.restart_index()
    for one in people:
        await world.online(one)
    await people[0].finds("9")
    logins = sorted(at for who, whom, at in world.attempts if whom == "index")[-len(people) :]
    assert logins[-1] - logins[0] > 1
    (server,) = (await people[0].face.status()).servers
    assert server.offers_pending == 0


@scenario()
async def a_nick_that_looks_like_another_is_refused_in_words(world: World) -> None:
    await world.index()
    await world.person("bob.smith")
    mallory = await world.person("b0b.smith", online=False)

    async def refused() -> str:
        (server,) = (await mallory.face.status()).servers
        return server.problem if server.state is ServerState.REFUSED else ""

    problem = await world.until(refused, "the nick is refused")
    assert "nick" in problem.lower()
    await mallory.face.rename("malcolm")
    await world.online(mallory)
    (server,) = (await mallory.face.status()).servers
    assert server.nick == "malcolm"


@scenario()
async def two_servers_are_searched_as_one(world: World) -> None:
    await world.index("north")
    await world.person("bob", {MAP_PATH: MAP}, upload_rate=256)  # so that neither gives everything alone
    north = world.invites.pop()
    await world.index("south")
    await world.person("carol", {MAP_PATH: MAP}, upload_rate=256)
    world.invites.append(north)
    alice = await world.person("alice")
    found = await alice.finds("atlas", sources=2)
    assert {source.nick for source in found.sources} == {"bob", "carol"}
    begun = await alice.begins(found)
    await alice.sees(
        begun.id, lambda view: sum(source.done_bytes > 0 for source in view.sources) == 2, "both give"
    )
    await alice.finished(begun.id)


@scenario()
async def somebody_joins_and_leaves_a_server_while_running(world: World) -> None:
    invite = await world.index()
    world.invites.clear()
    await world.person("bob", {MAP_PATH: MAP}, servers=(invite,))
    alice = await world.person("alice")
    assert "Join one by its invite" in (await alice.face.status()).problem
    await alice.face.join(invite)
    begun = await alice.begins(await alice.finds("atlas"))
    await alice.finished(begun.id)
    (server,) = (await alice.face.status()).servers
    await alice.face.leave(server.server)
    assert (await alice.face.status()).servers == ()
    assert (await alice.view(begun.id)).state is DownloadState.COMPLETE


@scenario(Kind.KILLS)
async def what_somebody_offers_is_hidden_when_they_are_gone_and_back_when_they_are(world: World) -> None:
    world.server_settings["connections.grace"] = "2s"
    await world.index()
    await world.person("bob", {MAP_PATH: MAP})
    alice = await world.person("alice")
    await alice.finds("atlas")
    await world.kill("bob")

    async def nothing() -> bool:
        return not (await alice.face.search("atlas")).results

    await world.until(nothing, "bob's files are hidden", world.search_pause_s)
    await world.restart("bob")
    await alice.finds("atlas")


@scenario()
async def a_line_that_breaks_for_a_moment_takes_nobody_offline(world: World) -> None:
    await world.index()
    bob = await world.person("bob", {MAP_PATH: MAP})
    alice = await world.person("alice")
    await alice.finds("atlas", of={"bob"})
    world.cut("bob", "index")
    found = await alice.finds("atlas", of={"bob"})
    await alice.fetches(found)  # bob himself is still there
    world.mend("bob", "index")
    await world.online(bob)
    await alice.finds("atlas", of={"bob"})


@scenario(Kind.SIMULATED)
async def who_is_back_in_time_was_never_away_and_who_is_not_is_offline(world: World) -> None:
    await world.index()
    bob = await world.person("bob", {MAP_PATH: MAP})
    alice = await world.person("alice")
    await alice.finds("atlas", of={"bob"})
    for _ in range(3):
        world.cut("bob", "index")
        await world.pass_time(5)
        world.mend("bob", "index")
        for _ in range(20):
            found = await alice.face.search("atlas")
            assert [source.nick for source in found.results[0].sources] == ["bob"]
            await world.pass_time(1)
        await world.online(bob)
    (server,) = (await bob.face.status()).servers
    assert server.reachable
    tests = [attempt for attempt in world.attempts if attempt[:2] == ("index", "bob")]
    assert len(tests) == 1  # a port that was tested is not tested again
    world.cut("bob", "index")
    await world.pass_time(120)
    assert (await alice.face.search("atlas")).results == ()


@scenario(Kind.SIMULATED)
async def a_server_that_restarts_has_everybody_online_from_its_first_moment(world: World) -> None:
    await world.index()
    names = [f"person{n}" for n in range(8)]
    people = [await world.person(name, {f"maps/{name}.dat": content(name, 100)}) for name in names]
    await world.pass_time(10)  # for the tests of their ports
    await world.leave("index")
    await world.restart_index()
    await world.online(people[0])
    for name in names[1:]:
        found = await people[0].finds(name)
        assert [source.nick for source in found.sources] == [name]
    for person in people:
        await world.online(person)
    tests = [attempt for attempt in world.attempts if attempt[0] == "index"]
    assert len(tests) == len(people)


@scenario(Kind.SIMULATED)
async def a_crowd_comes_in_as_fast_as_the_server_lets_it_and_without_a_storm(world: World) -> None:
    world.server_settings["connections.logins_per_second"] = "1"
    await world.index()
    names = [f"person{n}" for n in range(12)]
    people = [await world.person(name, online=False) for name in names]
    for person in people:
        await world.online(person)
    await world.leave("index")
    left_at = trio.current_time()
    await world.restart_index()
    for person in people:
        await world.online(person)
    assert trio.current_time() - left_at < 60
    tries = [who for who, whom, at in world.attempts if whom == "index" and at > left_at]
    assert len(tries) < 3 * len(people)
