"""How often something goes back and forth: a round trip that creeps in is found here."""

from __future__ import annotations

from p2pshare.limits import KIB, PIECE_BYTES_MIN
from tests.conversation import Conversation
from tests.sim.world import SimWorld, run_scenario
from tests.world import World, content

SONG = content("flights", PIECE_BYTES_MIN // 2)
PATH = "music/flights.dat"


def between(conversation: Conversation, one: str, other: str) -> list[str]:
    """ "> search" for what `one` said to `other`, "< search_hits" for what came back."""
    nodes = {name: SimWorld.identity(None, name).node_id for name in (one, other)}  # type: ignore[arg-type]
    arrows = {(nodes[one], nodes[other]): ">", (nodes[other], nodes[one]): "<"}
    return [
        f"{arrows[said.sender, said.hearer]} {said.message.NAME}"
        for said in conversation.said
        if (said.sender, said.hearer) in arrows
    ]


def test_a_small_file_takes_a_handshake_a_knock_and_three_questions() -> None:
    async def told(world: World) -> None:
        await world.index()
        await world.person("bob", {PATH: SONG})
        alice = await world.person("alice")
        await alice.fetches(await alice.finds("flights"))

    words = between(run_scenario(told, 1), "alice", "bob")
    assert words[:10] == [
        "< hello",
        "> hello",
        "> knock",
        "< admitted",
        "> open_file",
        "< file_opened",
        "> ask_hashes",
        "< hashes",
        "> fetch",
        "< data",
    ]


def test_a_hit_holds_all_that_is_needed_to_begin() -> None:
    async def told(world: World) -> None:
        await world.index()
        await world.person("bob", {PATH: SONG})
        alice = await world.person("alice")
        await alice.fetches(await alice.finds("flights"))

    words = between(run_scenario(told, 1), "alice", "index")
    asked = [word for word in words if word.startswith(">")]
    # The ticket does not wait for the further sources that are asked for beside it.
    assert set(asked[asked.index("> search") + 1 :]) <= {
        "> ask_ticket",
        "> find_sources",
        "> publish",
        "> close",
    }
    assert asked.count("> ask_ticket") == 1


def test_a_second_file_of_the_same_person_needs_no_second_connection() -> None:
    other = content("second", 30 * KIB)

    async def told(world: World) -> None:
        await world.index()
        await world.person("bob", {PATH: SONG, "music/second.dat": other})
        alice = await world.person("alice")
        await alice.fetches(await alice.finds("flights"))
        await alice.fetches(await alice.finds("second"))

    words = between(run_scenario(told, 1), "alice", "bob")
    assert words.count("> knock") == 1
    assert words.count("> open_file") == 2


def test_a_login_with_an_unchanged_manifest_publishes_nothing() -> None:
    async def told(world: World) -> None:
        await world.index()
        await world.person("bob", {PATH: SONG})
        alice = await world.person("alice")
        await alice.finds("flights")
        await world.leave("bob")
        await world.restart("bob")
        await world.online(world.people["bob"])
        await alice.finds("flights")
        await world.leave("index")
        await world.restart_index()
        await world.pass_time(60)  # each is told another moment to come back
        await world.online(world.people["bob"])
        await alice.finds("flights")

    words = between(run_scenario(told, 1), "bob", "index")
    assert words.count("< logged_in") == 3
    assert words.count("> publish") == 1
