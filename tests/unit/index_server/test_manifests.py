"""Disk first, then memory; and the same again after a restart."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from index_server import store
from index_server.catalogue import Catalogue
from index_server.manifests import STEP, Manifests
from index_server.query import parse_search_untrusted
from p2pshare import limits
from p2pshare.database import open_database
from p2pshare.errors import BadMessage, Reason, Refused
from p2pshare.identity import NodeId
from p2pshare.wire.fields import Offer
from p2pshare.wire.index import Publish, Search
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest, offer_hash


class Place:
    """One start of a server, as far as manifests are concerned, with one account that is online."""

    def __init__(self, manifests: Manifests, catalogue: Catalogue, account: int) -> None:
        self.manifests = manifests
        self.catalogue = catalogue
        self.account = account
        catalogue.set_online(account, True)

    def found(self, text: str) -> int:
        return self.catalogue.search(parse_search_untrusted(Search(request=1, query=text)), limit=1).total


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Place]:
    async with open_database(path, store.MIGRATIONS, threads=False) as database:
        account = await database.write(store.add_account, NodeId(b"a" * 32), "alice", "allce", 1)
        catalogue = Catalogue(random.Random(1))
        manifests = Manifests(database, catalogue, offers_max=10_000)
        await manifests.start()
        yield Place(manifests, catalogue, account.number)


def offers(*numbers: int) -> tuple[Offer, ...]:
    return tuple(Offer(offer=number, path=f"wu {number}.mp3", size=1) for number in numbers)


def publish(base: bytes, added: tuple[Offer, ...], **more: Any) -> Publish:
    result = change_digest(base, added=map(offer_hash, added))
    fields: dict[str, Any] = {"base": base, "result": result, "removed": (), "added": added}
    return Publish(request=1, **fields | more)


async def test_what_is_published_is_found_and_still_there_after_a_restart(tmp_path: Path) -> None:
    first = publish(EMPTY_MANIFEST, offers(*range(STEP * 2 + 1)))
    async with opened(tmp_path / "index.sqlite") as place:
        assert await place.manifests.publish(place.account, first) == STEP * 2 + 1
        assert place.found("wu") == STEP * 2 + 1
    async with opened(tmp_path / "index.sqlite") as place:
        assert place.found("wu") == 0
        await place.manifests.list_all()
        assert place.found("wu") == STEP * 2 + 1


async def test_a_change_before_the_catalogue_is_filled_finds_it_filled(tmp_path: Path) -> None:
    count = limits.PUBLISH_BATCH
    first = publish(EMPTY_MANIFEST, offers(*range(count)))
    more = publish(first.result, offers(count))
    removal = publish(
        more.result, (), removed=(0,), result=change_digest(more.result, removed=[offer_hash(offers(0)[0])])
    )
    async with opened(tmp_path / "index.sqlite") as place:
        await place.manifests.publish(place.account, first)
    async with opened(tmp_path / "index.sqlite") as place:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(place.manifests.list_all)
            await place.manifests.publish(place.account, more)
            await place.manifests.publish(place.account, removal)
        assert place.found("wu") == count
        assert place.found("0") == 0


async def test_a_reset_before_the_catalogue_is_filled_is_all_there_is(tmp_path: Path) -> None:
    async with opened(tmp_path / "index.sqlite") as place:
        await place.manifests.publish(place.account, publish(EMPTY_MANIFEST, offers(1, 2, 3)))
    async with opened(tmp_path / "index.sqlite") as place:
        await place.manifests.publish(place.account, publish(EMPTY_MANIFEST, offers(4), reset=True))
        await place.manifests.list_all()
        assert place.found("wu") == 1


async def test_listing_again_after_a_cancelled_request_lists_nothing_twice(tmp_path: Path) -> None:
    first = publish(EMPTY_MANIFEST, offers(*range(STEP * 3)))
    async with opened(tmp_path / "index.sqlite") as place:
        await place.manifests.publish(place.account, first)
    async with opened(tmp_path / "index.sqlite") as place:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(
                    place.manifests.publish, place.account, publish(first.result, offers(1_000))
                )
                while not len(place.catalogue):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
        await place.manifests.list_all()
        assert place.found("wu") == STEP * 3
        await place.manifests.publish(place.account, publish(first.result, offers(1_000)))
        assert place.found("wu") == STEP * 3 + 1


async def test_a_refused_change_changes_neither_disk_nor_memory(tmp_path: Path) -> None:
    first = publish(EMPTY_MANIFEST, offers(1))
    async with opened(tmp_path / "index.sqlite") as place:
        await place.manifests.publish(place.account, first)
        for wrong in (
            publish(EMPTY_MANIFEST, offers(2)),
            publish(first.result, offers(2), result=bytes(16)),
            publish(first.result, (Offer(offer=2, path="../wu.mp3", size=1),)),
        ):
            with pytest.raises(Refused):
                await place.manifests.publish(place.account, wrong)
            assert place.found("wu") == 1
        assert await place.manifests.publish(place.account, publish(first.result, offers(2))) == 2


async def test_two_changes_from_the_same_list_cannot_both_hold(tmp_path: Path) -> None:
    refusals: list[Reason] = []
    async with opened(tmp_path / "index.sqlite") as place:

        async def try_publish(number: int) -> None:
            try:
                await place.manifests.publish(place.account, publish(EMPTY_MANIFEST, offers(number)))
            except Refused as refused:
                refusals.append(refused.reason)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(try_publish, 1)
            nursery.start_soon(try_publish, 2)
        assert refusals == [Reason.MANIFEST_MISMATCH]
        assert place.found("wu") == 1


async def test_a_number_that_stands_twice_is_no_message(tmp_path: Path) -> None:
    async with opened(tmp_path / "index.sqlite") as place:
        with pytest.raises(BadMessage):
            await place.manifests.publish(place.account, publish(EMPTY_MANIFEST, offers(1, 1)))
