from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from index_server import store
from index_server.search.entry import entry_untrusted
from index_server.store import ManifestChange
from index_server.wishes import mailbox
from index_server.wishes.mailbox import Kept, Match, Untold
from p2pshare import limits
from p2pshare.database import Database, open_database
from p2pshare.errors import Reason, Refused
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.wire.fields import Offer
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest

ANNA, BERT, CARL = 1, 2, 3
FILM, SONG = FileId(b"f" * 32), FileId(b"s" * 32)


@asynccontextmanager
async def accounts() -> AsyncIterator[Database]:
    """Anna, Bert and Carl have one."""
    async with open_database(":memory:", store.MIGRATIONS, threads=False) as database:
        for number, name in enumerate(("anna", "bert", "carl"), start=1):
            await database.write(store.add_account, NodeId(bytes([number]) * 32), name, name, 0)
        yield database


async def wish(database: Database, wish: int = 7, query: str = "film", account: int = ANNA) -> Kept:
    _, left = await database.write(mailbox.change_wishes, account, [], (wish, query), 3)
    return next(kept for kept in left if kept.wish == wish)


async def note(database: Database, *matches: Match) -> frozenset[int]:
    return (await database.write(mailbox.note_matches, matches)).wishers


async def untold(database: Database, account: int = ANNA) -> list[Untold]:
    return await database.read(mailbox.untold_of, [account])


async def test_wishes_are_kept_dropped_and_bounded() -> None:
    async with accounts() as database:
        kept = [await wish(database, number) for number in (7, 8, 9)]
        assert await database.read(mailbox.wishes_of, ANNA) == kept
        with pytest.raises(Refused) as caught:
            await wish(database, 10)
        assert caught.value.reason is Reason.TOO_MUCH
        gone, left = await database.write(mailbox.change_wishes, ANNA, [8, 8, 99], (10, "song"), 3)
        assert ([each.wish for each in gone], [each.wish for each in left]) == ([8], [7, 9, 10])
        assert await database.read(mailbox.wishes_of, BERT) == []
        assert [each.wish for each in await database.read(mailbox.all_wishes, kept[0].number, 1)] == [9]


async def test_making_a_wish_twice_changes_nothing_and_another_query_makes_it_another_wish() -> None:
    async with accounts() as database:
        first = await wish(database)
        await note(database, Match(first.number, BERT, 1, FILM))
        assert await wish(database) == first._replace(found=1)
        other = await wish(database, query="song")
        assert (other.wish, other.query, other.found) == (7, "song", 0)
        assert other.number != first.number
        assert await untold(database) == []


async def test_a_file_is_told_once_whoever_offers_it_again() -> None:
    async with accounts() as database:
        number = (await wish(database)).number
        assert await note(database, Match(number, BERT, 1, FILM)) == {ANNA}
        (hit,) = await untold(database)
        assert (hit.wish, hit.holder, hit.offer, hit.file) == (7, BERT, 1, FILM)
        assert await note(database, Match(number, CARL, 5, FILM)) == {ANNA}
        (again,) = await untold(database)
        assert again == hit._replace(holder=CARL, offer=5)
        await database.write(mailbox.take_hits, ANNA, [hit.number, 99])
        assert await note(database, Match(number, BERT, 2, FILM)) == frozenset()
        assert await untold(database) == []
        assert (await wish(database)).found == 1


async def test_a_file_is_told_once_though_it_is_hashed_later() -> None:
    async with accounts() as database:
        number = (await wish(database)).number
        await note(database, Match(number, BERT, 1, None))
        (hit,) = await untold(database)
        assert (hit.file, hit.key) == (None, (BERT, 1))
        await note(database, Match(number, BERT, 1, FILM))
        assert await untold(database) == [hit._replace(file=FILM)]
        await database.write(mailbox.take_hits, ANNA, [hit.number])
        assert await note(database, Match(number, BERT, 1, FILM), Match(number, CARL, 9, FILM)) == frozenset()


async def test_an_offer_that_turns_out_to_be_a_known_file_is_no_hit_of_its_own() -> None:
    async with accounts() as database:
        number = (await wish(database)).number
        await note(database, Match(number, BERT, 1, FILM), Match(number, CARL, 1, None))
        assert len(await untold(database)) == 2
        await note(database, Match(number, CARL, 1, FILM))
        assert [hit.key for hit in await untold(database)] == [FILM]


async def test_nobody_takes_the_hits_of_others() -> None:
    async with accounts() as database:
        await note(database, Match((await wish(database)).number, BERT, 1, FILM))
        (hit,) = await untold(database)
        await database.write(mailbox.take_hits, CARL, [hit.number])
        assert await untold(database) == [hit]
        assert await database.read(mailbox.wishers_with_mail) == [ANNA]


async def test_a_wish_that_found_enough_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WISH_FOUND_MAX", 2)
    async with accounts() as database:
        number = (await wish(database)).number
        matches = [Match(number, BERT, offer, FileId(bytes([offer]) * 32)) for offer in range(4)]
        noted = await database.write(mailbox.note_matches, matches)
        assert noted.full == (number,)
        assert len(await untold(database)) == 2


async def test_a_full_mailbox_takes_no_more_until_something_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "UNTOLD_MAX", 2)
    async with accounts() as database:
        one, other = [(await wish(database, number)).number for number in (7, 8)]
        matches = [Match(one, BERT, 1, FILM), Match(other, BERT, 1, FILM), Match(one, BERT, 2, SONG)]
        assert await note(database, *matches) == {ANNA}
        hits = await untold(database)
        assert [(hit.wish, hit.file) for hit in hits] == [(7, FILM), (8, FILM)]
        await database.write(mailbox.take_hits, ANNA, [hits[0].number])
        assert await note(database, *matches) == {ANNA}
        assert [(hit.wish, hit.file) for hit in await untold(database)] == [(8, FILM), (7, SONG)]


async def test_matches_of_a_wish_that_was_dropped_come_to_nothing() -> None:
    async with accounts() as database:
        number = (await wish(database)).number
        await database.write(mailbox.change_wishes, ANNA, [7], None, 3)
        assert await note(database, Match(number, BERT, 1, FILM)) == frozenset()


async def test_hits_whose_offer_is_gone_are_forgotten_and_may_be_found_again() -> None:
    offer = Offer(offer=1, path="film.avi", size=1, file=FILM)
    async with accounts() as database:
        await publish(database, replace(offer, offer=2, file=SONG), offer, replace(offer, offer=4, file=None))
        number = (await wish(database)).number
        there = [Match(number, BERT, 1, FILM), Match(number, BERT, 4, None)]
        gone = [Match(number, BERT, 2, FileId(b"x" * 32)), Match(number, BERT, 3, FileId(b"y" * 32))]
        await note(database, *there, *gone)
        hits = await untold(database)
        numbers = await database.read(mailbox.without_offer, hits)
        assert [hit.offer for hit in hits if hit.number in numbers] == [2, 3]
        await database.write(mailbox.forget_hits, [*numbers, *numbers])
        assert [hit.offer for hit in await untold(database)] == [1, 4]
        assert (await wish(database)).found == 2
        assert await note(database, gone[0]) == {ANNA}


async def publish(database: Database, *offers: Offer) -> None:
    """Bert offers these."""
    entries = tuple(map(entry_untrusted, offers))
    digest = change_digest(EMPTY_MANIFEST, added=[entry.hash for entry in entries])
    change = ManifestChange(EMPTY_MANIFEST, digest, (), entries, reset=True)
    await database.write(store.change_manifest, BERT, change, 10)
