"""People who wish for something, and are told when somebody offers it."""

from __future__ import annotations

from client.engine.status import WishHitView, WishView
from p2pshare.limits import KIB, MIB
from tests.world import Kind, Person, World, content, scenario

FILM = content("metropolis", 1 * MIB + 1)
FILM_PATH = "films/Metropolis 1927.avi"
SONG = content("halo", 100 * KIB)
SONG_PATH = "music/Halo live.mp3"


async def wish_of(person: Person) -> WishView:
    (view,) = await person.face.wishes()
    return view


async def is_told(person: Person, name: str) -> WishHitView:
    """The hit of that name, as soon as it is there. It was shown then."""

    async def look() -> WishHitView | None:
        hits = await person.face.wish_hits(again=True)
        return next((hit for hit in hits if hit.result.name == name), None)

    return await person.world.until(look, f"{person.name} is told of {name}")


async def shares(person: Person, path: str, data: bytes) -> None:
    person.world.write(person, {path: data})
    await person.face.add_share(str(person.home / path.partition("/")[0]))


async def listed(person: Person, offers: int) -> None:
    """Wait until the index server lists so many files of theirs."""

    async def look() -> bool:
        (server,) = (await person.face.status()).servers
        return server.offers_published == offers and server.offers_pending == 0

    await person.world.until(look, f"{person.name} has {offers} files listed")


@scenario()
async def who_wishes_is_told_within_a_second_of_somebody_offering_it_and_can_get_it(world: World) -> None:
    await world.index()
    alice, bob = await world.person("alice"), await world.person("bob")
    wish = await alice.face.add_wish("metropolis kind:video")
    assert (wish.hits, wish.problem) == (0, "")
    await shares(bob, SONG_PATH, SONG)
    await shares(bob, FILM_PATH, FILM)
    hit = await is_told(alice, "Metropolis 1927.avi")
    assert (hit.wish, hit.query, [source.nick for source in hit.result.sources]) == (
        wish.id,
        "metropolis kind:video",
        ["bob"],
    )
    await alice.fetches(str(hit.result.number))
    seen = await wish_of(alice)
    assert (seen.hits, seen.new) == (1, 0)
    assert await alice.face.wish_hits() == ()
    assert (await bob.face.wishes()) == ()


@scenario()
async def who_was_away_is_told_at_the_next_login_and_once(world: World) -> None:
    await world.index()
    alice, bob = await world.person("alice"), await world.person("bob")
    await alice.face.add_wish("metropolis OR halo")
    await world.leave("alice")
    await shares(bob, FILM_PATH, FILM)
    await shares(bob, SONG_PATH, SONG)
    await listed(bob, 2)
    await world.leave("index")
    await world.restart_index()  # it has written everything down
    await world.online(bob)
    alice = await world.restart("alice")
    await is_told(alice, "Metropolis 1927.avi")
    await is_told(alice, "Halo live.mp3")
    await world.leave("alice")
    alice = await world.restart("alice")
    await world.online(alice)
    assert await alice.face.wish_hits() == ()
    assert (await wish_of(alice)).hits == 2


@scenario(Kind.SIMULATED)
async def what_somebody_offers_who_is_away_is_told_when_they_come(world: World) -> None:
    await world.index()
    bob, alice = await world.person("bob", {FILM_PATH: FILM}), await world.person("alice")
    await listed(bob, 1)
    await world.leave("bob")
    await world.pass_time(600)  # nobody waits for him any more
    await alice.face.add_wish("metropolis")
    await world.pass_time(60)
    assert (await wish_of(alice)).hits == 0
    await world.restart("bob")
    await is_told(alice, "Metropolis 1927.avi")


@scenario()
async def what_is_found_is_downloaded_by_itself_within_the_limits(world: World) -> None:
    await world.index()
    bob = await world.person("bob", {FILM_PATH: FILM})
    await listed(bob, 1)
    alice = await world.person("alice")
    await alice.face.change_setting("wishes.kinds", ("video",))
    await alice.face.add_wish("metropolis OR halo", automatic=True)  # the film is there already
    await shares(bob, SONG_PATH, SONG)
    assert (await is_told(alice, "Halo live.mp3")).result.have is False

    async def both() -> tuple[WishHitView, ...] | None:
        hits = await alice.face.wish_hits(again=True)
        done = len(hits) == 2 and all(hit.download is not None or hit.note for hit in hits)
        return hits if done else None

    hits = {hit.result.name: hit for hit in await world.until(both, "alice's engine decides")}
    assert "wishes.kinds" in hits["Halo live.mp3"].note
    assert hits["Halo live.mp3"].download is None
    number = hits["Metropolis 1927.avi"].download
    assert number is not None
    await alice.finished(number)


@scenario(Kind.SIMULATED)
async def a_wish_that_was_removed_while_no_server_was_there_is_forgotten_by_it(world: World) -> None:
    await world.index()
    alice, bob = await world.person("alice"), await world.person("bob")
    wish = await alice.face.add_wish("metropolis")
    await world.leave("index")
    await alice.face.remove_wishes((wish.id,))
    later = await alice.face.add_wish("halo")
    assert "No index server knows it yet" in later.problem
    await world.restart_index()
    await world.online(alice)
    await world.online(bob)
    await shares(bob, FILM_PATH, FILM)
    await shares(bob, SONG_PATH, SONG)
    await is_told(alice, "Halo live.mp3")
    await world.pass_time(60)
    assert [hit.result.name for hit in await alice.face.wish_hits(again=True)] == ["Halo live.mp3"]
