"""Giving and taking, and what both sign for it."""

from __future__ import annotations

from client.engine.credit.signing import LOOK_S
from client.engine.library import LIBRARY_FILE
from client.engine.status import PersonCreditView, VouchedView
from p2pshare.identity import format_node_id
from p2pshare.limits import MIB
from tests.world import Kind, Person, World, content, scenario

LOOK_AGAIN_S = 1.0

FILM, BOOK, SONG = content("metropolis", 6 * MIB), content("ulysses", 3 * MIB), content("kashmir", 2 * MIB)
FILM_PATH, BOOK_PATH, SONG_PATH = "films/Metropolis.dat", "books/Ulysses.dat", "songs/Kashmir.dat"


async def between(one: Person, other: str) -> PersonCreditView | None:
    """How `one` stands with the other, if they know of anything between them."""
    person = format_node_id(one.world.identity(other).node_id)
    return next((view for view in (await one.face.credit()).people if view.person == person), None)


async def signed(
    one: Person, other: str, *, given: int | None = None, taken: int | None = None
) -> PersonCreditView:
    """Wait until both have signed so much of what `one` gave to and took from the other."""

    async def look() -> PersonCreditView | None:
        view = await between(one, other)
        if view is None or given not in (None, view.given_signed) or taken not in (None, view.taken_signed):
            return None
        return view

    what = f"{one.name} and {other} have signed given={given} taken={taken}"
    return await one.world.until(look, what, LOOK_AGAIN_S)


async def vouched(one: Person, about: str) -> VouchedView:
    (view,) = (await one.face.credit(about)).vouched
    return view


@scenario()
async def what_was_moved_is_signed_by_both_and_shortens_the_wait(world: World) -> None:
    await world.index()
    bob = await world.person("bob", {FILM_PATH: FILM})
    alice = await world.person("alice")
    await alice.fetches(await alice.finds("metropolis"))
    at_alice = await signed(alice, "bob", taken=len(FILM))
    at_bob = await signed(bob, "alice", given=len(FILM))
    assert (at_bob.given_bytes, at_bob.taken_bytes) == (len(FILM), 0)
    assert at_alice.taken_bytes == len(FILM)
    assert at_bob.weight == at_alice.weight_there == 1.0, "who only took waits as a stranger does"
    assert at_alice.weight == at_bob.weight_there > 2.5, "who gave six megabytes waits for less long"


@scenario()
async def both_give_at_once_over_one_connection_and_both_flows_are_signed(world: World) -> None:
    await world.index()
    bob = await world.person("bob", {FILM_PATH: FILM}, upload_rate=1536)
    alice = await world.person("alice", {BOOK_PATH: BOOK}, upload_rate=1536)
    begun = await alice.begins(await alice.finds("metropolis"))
    await bob.fetches(await bob.finds("ulysses"))
    await alice.finished(begun.id)
    await signed(alice, "bob", taken=len(FILM), given=len(BOOK))
    await signed(bob, "alice", taken=len(BOOK), given=len(FILM))


@scenario()
async def receipts_outlive_a_restart_and_grow_on(world: World) -> None:
    await world.index()
    bob = await world.person("bob", {FILM_PATH: FILM, BOOK_PATH: BOOK})
    alice = await world.person("alice")
    await alice.fetches(await alice.finds("metropolis"))
    await signed(bob, "alice", given=len(FILM))
    for name in ("alice", "bob"):
        await world.leave(name)
        await world.restart(name)
    await signed(alice, "bob", taken=len(FILM))
    await alice.fetches(await alice.finds("ulysses"))
    await signed(alice, "bob", taken=len(FILM) + len(BOOK))
    await signed(bob, "alice", given=len(FILM) + len(BOOK))


@scenario(Kind.KILLS)
async def whoever_is_killed_half_way_signs_what_they_know_of(world: World) -> None:
    await world.index()
    bob = await world.person("bob", {FILM_PATH: FILM}, upload_rate=768)
    alice = await world.person("alice")
    begun = await alice.begins(await alice.finds("metropolis"))
    await alice.half_way(begun.id, 0.4)
    await world.kill("alice")
    await world.restart("alice")
    await alice.half_way(begun.id, 0.7)
    await world.kill("bob")
    await world.restart("bob")
    await alice.finished(begun.id)

    async def look() -> bool:
        at_alice, at_bob = await between(alice, "bob"), await between(bob, "alice")
        if at_alice is None or at_bob is None:
            return False
        assert not at_bob.refuses_to_sign
        return at_alice.taken_signed == at_bob.given_signed > len(FILM) // 4

    await world.until(look, "both have signed the same", LOOK_AGAIN_S)


@scenario(Kind.SIMULATED)
async def whoever_lost_their_library_is_shown_what_they_signed(world: World) -> None:
    await world.index()
    bob = await world.person("bob", {FILM_PATH: FILM, BOOK_PATH: BOOK, SONG_PATH: SONG})
    alice = await world.person("alice")
    await alice.fetches(await alice.finds("metropolis"))
    await signed(bob, "alice", given=len(FILM))
    await world.leave("alice")
    (alice.home / "profile" / LIBRARY_FILE).unlink()
    await world.restart("alice")
    await alice.fetches(await alice.finds("ulysses"))
    await signed(alice, "bob", taken=len(FILM))  # hers was smaller, so bob shows her what she signed before
    await world.leave("bob")
    (bob.home / "profile" / LIBRARY_FILE).unlink()
    await world.restart("bob")
    for folder in ("films", "books", "songs"):
        await bob.face.add_share(str(bob.home / folder))
    await alice.fetches(await alice.finds("kashmir"))
    await signed(alice, "bob", taken=len(FILM) + len(SONG))  # and she shows him what he signed
    await signed(bob, "alice", given=len(FILM) + len(SONG))


@scenario(Kind.SIMULATED)
async def wrong_clocks_have_no_say_in_receipts(world: World) -> None:
    await world.index()
    bob = await world.person("bob", {FILM_PATH: FILM, BOOK_PATH: BOOK})
    alice = await world.person("alice")
    world.clock_skew_s["alice"] = -250.0  # type: ignore[attr-defined]
    await alice.fetches(await alice.finds("metropolis"))
    await signed(bob, "alice", given=len(FILM))
    world.clock_skew_s["alice"] = 250.0  # type: ignore[attr-defined]
    await alice.fetches(await alice.finds("ulysses"))
    await signed(bob, "alice", given=len(FILM) + len(BOOK))


@scenario(Kind.SIMULATED)
async def the_index_server_adds_up_what_both_signed_once_whoever_tells_it(world: World) -> None:
    await world.index()
    bob = await world.person("bob", {FILM_PATH: FILM, BOOK_PATH: BOOK})
    alice = await world.person("alice", share_downloads=False)
    carol = await world.person("carol", report_receipts=False)
    for one in (alice, carol):
        await one.fetches(await one.finds("metropolis"))
        await signed(one, "bob", taken=len(FILM))

    async def told() -> bool:
        return (await vouched(alice, "bob")).given_people == 2

    await world.until(told, "the server knows of both", LOOK_AGAIN_S)
    await world.pass_time(1_000)  # alice and bob have both told of the one receipt
    assert (await vouched(alice, "bob")).given_bytes == 2 * len(FILM)
    assert (await vouched(alice, "carol")).taken_bytes == len(FILM)
    await world.leave("index")
    await world.restart_index()
    await world.online(alice)
    await world.online(bob)
    await alice.fetches(await alice.finds("ulysses"))
    await signed(bob, "alice", given=len(FILM) + len(BOOK))
    await world.pass_time(1_000)
    seen = await vouched(carol, "bob")
    assert (seen.given_bytes, seen.given_people) == (2 * len(FILM) + len(BOOK), 2)


@scenario(Kind.SIMULATED)
async def who_cannot_be_reached_when_a_receipt_is_due_signs_it_later(world: World) -> None:
    await world.index()
    bob = await world.person("bob", {FILM_PATH: FILM, BOOK_PATH: BOOK})
    alice = await world.person("alice")
    begun = await alice.begins(await alice.finds("metropolis"))
    await alice.finished(begun.id)
    world.cut("alice", "bob")
    await world.pass_time(3 * LOOK_S)
    before = await between(bob, "alice")
    assert before is None or before.given_signed < len(FILM)
    world.mend("alice", "bob")
    await alice.fetches(await alice.finds("ulysses"))
    await signed(bob, "alice", given=len(FILM) + len(BOOK))


@scenario(Kind.SIMULATED)
async def who_gave_before_waits_for_less_long_and_the_newcomer_is_served_all_the_same(world: World) -> None:
    await world.index()
    gift, long = content("gift", 16 * MIB), content("long", 24 * MIB)
    slow = {"upload_slots": 1, "upload_rate": 384, "share_downloads": False}
    files = {FILM_PATH: FILM, BOOK_PATH: BOOK, "films/Long.dat": long}
    alice = await world.person("alice", {"gifts/Gift.dat": gift})
    bob = await world.person("bob", files, **slow)
    carol, dave = [await world.person(name) for name in ("carol", "dave")]
    await bob.fetches(await bob.finds("gift"))
    await signed(bob, "alice", taken=len(gift))
    first = await carol.begins(await carol.finds("long"))  # 64 s
    await carol.half_way(first.id, 0.1)
    newcomer = await dave.begins(await dave.finds("metropolis"))
    await world.pass_time(10)
    giver = await alice.begins(await alice.finds("ulysses"))
    await carol.finished(first.id)
    ended = [
        (await one.finished(begun.id)).finished_at or 0.0 for one, begun in ((alice, giver), (dave, newcomer))
    ]
    assert ended == sorted(ended), "she came ten seconds later, but each of her seconds counts for four"
