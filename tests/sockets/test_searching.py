"""Searches against a real server: who is named, what else is told, and what it refuses."""

from __future__ import annotations

import pytest
import trio.testing

from p2pshare import limits
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId, format_node_id
from p2pshare.wire import index
from p2pshare.wire.fields import Offer, SortBy
from tests.sockets.test_index_server import Person, house, listening

FILE = FileId(b"f" * 32)


def film(number: int, name: str, file: FileId | None = None) -> Offer:
    return Offer(offer=number, path=f"films/{name}", size=1_000 * number, file=file)


async def hears_of_slots(asker: Person, free: int) -> None:
    """The notice has no answer; it counts once a search shows it."""
    while (await asker.search("nosferatu")).hits[0].free != free:
        await trio.testing.wait_all_tasks_blocked()


async def test_who_has_a_free_slot_is_found_and_named_first() -> None:
    async with house() as here, here.person("alice") as alice, here.person("bob") as bob:
        async with here.person("carol") as carol:
            await alice.publish(film(1, "Nosferatu.mkv", FILE))
            await bob.publish(film(2, "Nosferatu 1922.mkv", FILE))
            assert (await carol.search("nosferatu free:")).total == 0
            alice.channel.post(index.Slots(wait_s=90))
            bob.channel.post(index.Slots(wait_s=0))
            await hears_of_slots(carol, 1)
            [hit] = (await carol.search("nosferatu free:")).hits
            assert [(source.nick, source.wait_s) for source in hit.some] == [("bob", 0), ("alice", 90)]
            assert {hit.path.rpartition("/")[2], *hit.names} == {"Nosferatu.mkv", "Nosferatu 1922.mkv"}
            bob.channel.post(index.Slots(wait_s=30))
            await hears_of_slots(carol, 0)


async def test_what_is_told_of_somebody_changes_with_their_nick_and_port() -> None:
    async with house() as here, here.person("alice") as alice, here.person("bob") as bob:
        await alice.publish(film(1, "Nosferatu.mkv", FILE))

        async def told() -> tuple[str, bool]:
            [hit] = (await bob.search("nosferatu")).hits
            [source] = hit.some
            return source.nick, source.reachable

        assert await told() == ("alice", False)
        await alice.ask(index.Rename, nick="wonder")
        assert await told() == ("wonder", False)
        async with listening(alice.me) as port:
            await alice.ask(index.Listen, port=port)
        assert await told() == ("wonder", True)


async def test_notices_of_slots_that_come_too_often_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SLOTS_PER_MINUTE", 2)
    async with house() as here, here.person("alice") as alice:
        await alice.publish(film(1, "Nosferatu.mkv"))
        for wait_s in (0, 5, 0, 0):
            alice.channel.post(index.Slots(wait_s=wait_s))
        assert (await alice.search("nosferatu")).hits[0].free == 0, "the second was the last that counted"


async def test_people_are_named_by_nick_or_key_and_contacts_by_the_asker() -> None:
    async with house() as here, here.person("alice") as alice, here.person("bob") as bob:
        await alice.publish(film(1, "Nosferatu.mkv", FILE))
        await bob.publish(film(1, "Nosferatu.mkv", FILE), film(2, "Caligari.mkv"))
        assert (await alice.search("from:B0b")).total == 2, "a nick that looks alike is the same"
        assert (await alice.search(f"from:{format_node_id(bob.me.node)} caligari")).total == 1
        assert "Nobody is called" in (await alice.refused(index.Search, query="from:carol")).text
        assert (await alice.search("contacts:")).total == 0
        found = await alice.search("contacts: nosferatu", contacts=(bob.me.node, here_is_nobody()))
        assert [(hit.sources, hit.contacts) for hit in found.hits] == [(2, 1)]


def here_is_nobody() -> NodeId:
    return NodeId(b"n" * 32)


async def test_a_query_that_finds_nothing_is_answered_by_one_that_does() -> None:
    async with house() as here, here.person("alice") as alice:
        await alice.publish(*(film(number, f"Nosferatu {number}.mkv") for number in range(1, 6)))
        page = await alice.search("nosferatou", limit=3)
        assert (page.suggestion, page.instead, page.total, len(page.hits)) == ("nosferatu", True, 5, 3)
        rest = await alice.search(page.suggestion, limit=3, cursor=page.cursor)
        assert (len(rest.hits), rest.cursor, rest.suggestion) == (2, b"", "")
        one = await alice.search("nosferatu 4")
        assert (one.total, one.suggestion) == (1, "")


async def test_facets_come_with_the_first_page_and_every_order_goes_on_where_it_stopped() -> None:
    async with house() as here, here.person("alice") as alice:
        names = [f"wu {number}.{ending}" for number, ending in enumerate(("mkv", "mp3", "mp3", "txt"), 1)]
        await alice.publish(*(film(number, name) for number, name in enumerate(names, 1)))
        for sort in SortBy:
            first = await alice.search("wu", sort=sort, limit=3)
            assert [(each.extension, each.files) for each in first.facets.extensions] == [
                ("mp3", 2),
                ("mkv", 1),
                ("txt", 1),
            ]
            rest = await alice.search("wu", sort=sort, limit=3, cursor=first.cursor)
            assert rest.facets.kinds == () and rest.cursor == b""
            assert len({hit.path for hit in first.hits + rest.hits}) == 4
            wrong = SortBy.SIZE if sort is not SortBy.SIZE else SortBy.DATE
            refused = await alice.refused(index.Search, query="wu", sort=wrong, cursor=first.cursor)
            assert refused.reason is Reason.BAD_QUERY


async def test_a_hostile_query_is_answered_or_refused_in_words() -> None:
    async with house() as here, here.person("alice") as alice:
        await alice.publish(*(film(number, f"wu {number}.mkv") for number in range(1, 50)))
        for query in (
            "(" * 250,
            "wu " + "-(" * 120,
            'wu "' + "a b " * 60,
            "OR " * 80 + "wu",
            "size:>" + "9" * 200,
        ):
            try:
                await alice.search(query)
            except Refused as refused:
                assert refused.reason is Reason.BAD_QUERY and refused.text
