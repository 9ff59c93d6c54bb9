"""Moderators and the people they keep out."""

from __future__ import annotations

from client.engine.network.servers import HOPELESS_S
from client.engine.status import ServerState
from p2pshare.errors import Refused
from p2pshare.identity import format_node_id
from p2pshare.limits import MIB
from tests.world import OWNER, Kind, Person, World, content, scenario

SONG, FAKE = content("kashmir", MIB), content("fake", MIB)
DAY_S = 86_400
LOOK_AGAIN_S = 2.0


async def is_banned(person: Person) -> str:
    """Wait until a server will not have them; what it says."""

    async def look() -> str:
        (server,) = (await person.face.status()).servers
        return server.problem if server.state is ServerState.REFUSED else ""

    return await person.world.until(look, f"{person.name} is banned", LOOK_AGAIN_S)


@scenario(Kind.SIMULATED)
async def who_is_banned_is_told_why_and_is_back_when_it_is_over(world: World) -> None:
    await world.index()
    owner, mallory = await world.person(OWNER), await world.person("mallory")
    helper = await world.person("helper")
    await owner.face.moderate("", "give_role", "account", "helper", role="helper")
    try:
        await mallory.face.moderate("", "ban", "account", "helper", for_s=9, reason="revenge")
        raise AssertionError("a stranger has banned somebody")
    except Refused as refused:
        assert "takes a helper" in refused.text
    await helper.face.moderate(
        "", "ban", "account", "mallory", for_s=1_000, reason="rude in every room", appeal="ask olivia"
    )
    told = await is_banned(mallory)
    assert "until" in told and told.endswith("UTC: rude in every room (to appeal: ask olivia).")
    assert [rule.target for rule in (await owner.face.server_rules("", "bans")).rules] == [
        format_node_id(world.identity("mallory").node_id)
    ]
    await world.pass_time(1_000)
    await world.online(mallory)
    log = (await owner.face.server_rules("", "log")).rules
    assert [(rule.by_nick, rule.action, rule.nick) for rule in log] == [
        ("helper", "ban", "mallory"),
        (OWNER, "give_role", "helper"),
    ]


@scenario(Kind.SIMULATED)
async def a_ban_outlives_the_server_and_can_be_taken_back(world: World) -> None:
    await world.index()
    owner, mallory = await world.person(OWNER), await world.person("mallory")
    await owner.face.moderate("", "ban", "account", "mallory", reason="floods")
    assert "until further notice: floods" in await is_banned(mallory)
    await world.leave("index")
    await world.pass_time(30)
    await world.restart_index()
    await world.online(owner)
    await is_banned(mallory)
    await owner.face.moderate("", "unban", "account", "mallory", reason="a mistake")
    await world.pass_time(HOPELESS_S)
    await world.online(mallory)


@scenario()
async def hidden_results_are_counted_and_a_banned_file_cannot_be_found(world: World) -> None:
    await world.index()
    owner = await world.person(OWNER)
    await world.person("bob", {"songs/Kashmir.dat": SONG, "songs/Kashmir casino.dat": FAKE})
    alice = await world.person("alice")
    await alice.finds("kashmir casino")
    await owner.face.moderate("", "hide", "word", "casino", reason="spam")
    found = await alice.face.search("kashmir")
    assert ([result.name for result in found.results], found.hidden) == (["Kashmir.dat"], 1)
    await owner.face.moderate("", "unhide", "word", "casino")
    song = await alice.finds("kashmir -casino")
    assert song.file is not None
    await owner.face.moderate("", "ban", "file", song.file, for_s=DAY_S, reason="not bob's to give")
    found = await alice.face.search("kashmir")
    assert ([result.name for result in found.results], found.hidden) == (["Kashmir casino.dat"], 1)
    why = await owner.face.why_ranked("", song.file)
    assert why.sources == 1 and "hidden from search" in why.reasons[-1]


@scenario(Kind.SIMULATED)
async def who_asks_much_waits_their_turn_and_is_never_refused(world: World) -> None:
    await world.index()
    alice = await world.person("alice")
    for turn in range(6):  # more than a minute's worth
        await alice.face.rename(f"alice{turn}")
    await world.leave("alice")
    alice = await world.restart("alice")
    await world.online(alice)
    for turn in range(3):  # the server remembers; so it tells, and the new program knows
        await alice.face.rename(f"alicia{turn}")
    (server,) = (await alice.face.status()).servers
    assert (server.nick, server.problem) == ("alicia2", "")
