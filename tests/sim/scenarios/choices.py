"""Settings that are changed while everything runs."""

from __future__ import annotations

from p2pshare.errors import LocalTrouble
from tests.world import World, content, scenario

FILM_PATH = "films/Caligari.dat"
FILM = content("caligari", 100_000)


@scenario()
async def what_is_excluded_is_offered_no_more_until_it_is_let_in_again(world: World) -> None:
    await world.index()
    bob = await world.person("bob", {FILM_PATH: FILM})
    alice = await world.person("alice")
    await alice.finds("caligari")
    usual = next(view for view in await bob.face.settings() if view.name == "exclude")
    assert isinstance(usual.default, tuple)
    await bob.face.change_setting("exclude", (*usual.default, "*.dat"))

    async def nothing() -> bool:
        return not (await alice.face.search("caligari")).results

    await world.until(nothing, "the film is offered no more", 0.5)
    await bob.face.change_setting("exclude", usual.default)
    await alice.fetches(await alice.finds("caligari"))


@scenario()
async def a_nick_and_the_servers_are_settings_like_others(world: World) -> None:
    invite = await world.index()
    bob = await world.person("bob", {FILM_PATH: FILM})
    alice = await world.person("alice")
    await bob.face.change_setting("nick", ("robert",))
    assert "films" in [entry.name for entry in (await alice.face.browse("robert")).entries]
    await bob.face.change_setting("servers", ())
    assert (await bob.face.status()).servers == ()
    await bob.face.change_setting("servers", (invite,))
    await world.online(bob)
    await alice.fetches(await alice.finds("caligari"))


@scenario()
async def what_was_chosen_survives_a_restart_and_what_does_not_fit_changes_nothing(world: World) -> None:
    await world.index()
    bob = await world.person("bob")
    changes = {
        "upload_slots": ("9",),
        "groups.trusted.daily_quota": ("700",),
        "schedule": ("mon-sun 00:00-24:00 up=77",),
        "lan_without_ticket": ("no",),
    }
    for name, words in changes.items():
        await bob.face.change_setting(name, words)
    for name, words in (("upload_slots", ("0",)), ("colour", ("red",)), ("schedule", ("often",))):
        try:
            await bob.face.change_setting(name, words)
            raise AssertionError(f"{name} was changed")
        except LocalTrouble as trouble:
            assert str(trouble).startswith("Not changed: ")
    before = await bob.face.settings()
    await world.leave("bob")
    bob = await world.restart("bob")
    assert await bob.face.settings() == before
    chosen = {view.name: view.value for view in before}
    assert (chosen["upload_slots"], chosen["groups.trusted.daily_quota"]) == (9, 700)
    limits = {view.name: view for view in await bob.face.limits()}
    assert (limits["up"].rate, limits["up"].usual, limits["down"].rate) == (77, 0, 0)
