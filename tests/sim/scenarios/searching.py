"""From a few words, perhaps misspelt, to a list that says enough to choose from."""

from __future__ import annotations

from client.engine.search_view import SearchFilters
from p2pshare.errors import LocalTrouble
from tests.world import World, content, scenario

FILMS = {f"films/part {number} Nosferatu.mkv": content(f"reel {number}", 2_000) for number in range(5)}
SCORE_PATH = "scores/Nosferatu theme.txt"
SCORE = content("score", 3_000)


@scenario()
async def who_searches_goes_on_page_by_page_and_narrows_down(world: World) -> None:
    await world.index()
    await world.person("bob", {**FILMS, SCORE_PATH: SCORE})
    alice = await world.person("alice")
    await alice.finds("score theme")
    first = await alice.face.search("nosferatu", limit=4)
    assert (first.total, len(first.results), first.more) == (6, 4, True)
    assert {(facet.name, facet.files) for facet in first.facets.kinds} == {("video", 5), ("document", 1)}
    rest = await alice.face.search_more(4)
    assert [result.number for result in rest.results] == [5, 6] and not rest.more
    names = {result.name for result in first.results + rest.results}
    assert len(names) == 6
    assert (await alice.face.search_more(4)).results == ()
    texts = await alice.face.search("nosferatu -part", SearchFilters(kinds=("document",)), "smallest")
    [text] = texts.results
    assert text.name == "Nosferatu theme.txt" and not text.have
    begun = await alice.begins(text)
    await alice.finished(begun.id)


@scenario()
async def a_slip_is_put_right_and_contacts_and_free_slots_are_told(world: World) -> None:
    await world.index()
    bob = await world.person("bob", {SCORE_PATH: SCORE})
    alice = await world.person("alice")
    await alice.finds("nosferatu")

    async def has_a_free_slot() -> bool:
        return bool((await alice.face.search("nosferatu free:")).results)

    await world.until(has_a_free_slot, "bob has told that a slot is free", world.search_pause_s)
    found = await alice.face.search("nosferatoo theme")
    assert (found.suggestion, found.instead) == ("nosferatu theme", True)
    assert [result.name for result in found.results] == ["Nosferatu theme.txt"]
    try:
        await alice.face.search("contacts: nosferatu")
    except LocalTrouble as trouble:
        assert "group" in str(trouble)
    else:
        raise AssertionError("alice has no contacts yet")
    await alice.face.put_into_group("bob", "contacts")
    [result] = (await alice.face.search("contacts: nosferatu")).results
    assert (result.contacts, result.free, result.source_count) == (1, 1, 1)
    assert not (await alice.face.search("nosferatu -contacts:")).results
    [same] = (await alice.face.search("from:bob")).results
    assert same.file == result.file
    assert (await bob.face.search("nosferatu")).results[0].have
