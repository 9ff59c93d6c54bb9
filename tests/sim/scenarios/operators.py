"""What an operator says and decides, and people who want to be forgotten."""

from __future__ import annotations

import json

from client.engine.status import ServerState
from index_server.admin.registration import Mode
from p2pshare.errors import Disconnected, LocalTrouble
from p2pshare.limits import MIB
from p2pshare.links import Invite, format_link, parse_link_untrusted
from tests.world import Kind, Person, World, content, scenario

SONG = content("kashmir", MIB)


async def hears(person: Person, text: str) -> None:
    async def look() -> bool:
        (server,) = (await person.face.status()).servers
        return [said.text for said in server.announcements] == [text]

    await person.world.until(look, f"{person.name} hears {text!r}")


@scenario()
async def what_the_operator_says_reaches_who_is_there_and_who_comes_back(world: World) -> None:
    await world.index()
    alice, bob = await world.person("alice"), await world.person("bob")
    await world.leave("bob")
    desk = world.servers["index"].desk

    async def alone() -> bool:
        return len(desk.online) == 1

    await world.until(alone, "bob is gone")
    await desk.bulletin.announce("We move on Sunday.", desk.online.channels())
    await hears(alice, "We move on Sunday.")
    await desk.bulletin.choose("Be kind.")
    await world.restart("bob")
    await hears(bob, "We move on Sunday.")
    (server,) = (await bob.face.status()).servers
    assert server.welcome == "Be kind."


@scenario(Kind.SIMULATED)
async def who_deletes_an_account_takes_everything_along_and_does_not_come_back(world: World) -> None:
    await world.index()
    alice, bob = await world.person("alice", {"songs/Kashmir.flac": SONG}), await world.person("bob")
    await bob.finds("kashmir")
    page = await alice.face.account_record("")
    record = [json.loads(line) for line in page.lines]
    assert (record[0]["nick"], page.cursor) == ("alice", "")
    assert [line["path"] for line in record if line["what"] == "offer"] == ["songs/Kashmir.flac"]
    await alice.face.erase_account("")
    assert (await alice.face.status()).servers == ()
    assert (await bob.face.search("kashmir")).total == 0
    await world.pass_time(60)
    assert len(world.servers["index"].desk.online) == 1


@scenario()
async def an_invite_with_a_code_lets_somebody_in_where_nobody_else_gets_in(world: World) -> None:
    link = await world.index()
    alice = await world.person("alice")
    registration = world.servers["index"].desk.registration
    await registration.choose(Mode.INVITE)
    created = await registration.create(1, 0, "")
    bob = await world.person("bob", online=False)

    async def refused() -> str:
        (server,) = (await bob.face.status()).servers
        return server.problem if server.state is ServerState.REFUSED else ""

    assert "invite" in await world.until(refused, "bob is not let in")
    invite = parse_link_untrusted(link)
    assert isinstance(invite, Invite)
    coded = Invite(invite.server, invite.addresses, invite.name, created.code)
    await bob.face.join(format_link(coded))
    assert [server.state for server in (await bob.face.status()).servers] == [ServerState.ONLINE]
    carl = await world.person("carl", online=False)
    await carl.face.leave("index")
    try:
        await carl.face.join(format_link(coded))
        raise AssertionError("the code was used up")
    except (Disconnected, LocalTrouble) as error:
        assert "used up" in str(error)
    await world.leave("bob")
    await world.restart("bob")
    await world.online(bob)
    await world.online(alice)
