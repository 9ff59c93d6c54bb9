"""Disk first, then memory; and the same again after a restart."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from index_server import manifests, store
from index_server.manifests import STEP, Manifests
from index_server.search.catalogue import Catalogue
from index_server.search.query import parse_search_untrusted
from index_server.snapshot_file import SnapshotFile
from p2pshare import limits
from p2pshare.database import Database, open_database
from p2pshare.errors import BadMessage, Reason, Refused
from p2pshare.identity import NodeId
from p2pshare.wire.fields import Offer
from p2pshare.wire.index import Publish, Search
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest, offer_hash

SNAPSHOT = "catalogue.snapshot"


class Place:
    """One start of a server, as far as manifests are concerned, with one account that is online."""

    def __init__(self, database: Database, manifests: Manifests, catalogue: Catalogue, account: int) -> None:
        self.database = database
        self.manifests = manifests
        self.catalogue = catalogue
        self.account = account
        catalogue.set_online(account, True)

    async def register(self, name: str) -> int:
        node = NodeId(name.encode() * 32)
        return (await self.database.write(store.add_account, node, name, name, 1)).number

    def found(self, text: str) -> int:
        return self.catalogue.search(parse_search_untrusted(Search(request=1, query=text)), limit=1).total


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Place]:
    async with open_database(path, store.MIGRATIONS, threads=False) as database:
        account = await database.write(store.add_account, NodeId(b"a" * 32), "alice", "allce", 1)
        catalogue = Catalogue(random.Random(1))
        snapshot = SnapshotFile(path.with_name(SNAPSHOT), threads=False)
        manifests = Manifests(database, catalogue, snapshot, offers_max=10_000)
        await manifests.start()
        yield Place(database, manifests, catalogue, account.number)


@asynccontextmanager
async def filled(path: Path) -> AsyncIterator[Place]:
    async with opened(path) as place:
        await place.manifests.list_all()
        yield place


def offers(*numbers: int) -> tuple[Offer, ...]:
    return tuple(Offer(offer=number, path=f"wu {number}.mp3", size=1) for number in numbers)


def publish(base: bytes, added: tuple[Offer, ...], **more: Any) -> Publish:
    result = change_digest(base, added=map(offer_hash, added))
    fields: dict[str, Any] = {"base": base, "result": result, "removed": (), "added": added}
    return Publish(request=1, **fields | more)


async def test_what_is_published_is_found_and_still_there_after_a_restart(tmp_path: Path) -> None:
    first = publish(EMPTY_MANIFEST, offers(*range(STEP * 2 + 1)))
    async with filled(tmp_path / "index.sqlite") as place:
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
    async with filled(tmp_path / "index.sqlite") as place:
        await place.manifests.publish(place.account, first)
    async with opened(tmp_path / "index.sqlite") as place:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(place.manifests.list_all)
            await place.manifests.publish(place.account, more)
            await place.manifests.publish(place.account, removal)
        assert place.found("wu") == count
        assert place.found("0") == 0


async def test_a_reset_before_the_catalogue_is_filled_is_all_there_is(tmp_path: Path) -> None:
    async with filled(tmp_path / "index.sqlite") as place:
        await place.manifests.publish(place.account, publish(EMPTY_MANIFEST, offers(1, 2, 3)))
    async with opened(tmp_path / "index.sqlite") as place:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(place.manifests.list_all)
            await place.manifests.publish(place.account, publish(EMPTY_MANIFEST, offers(4), reset=True))
        assert place.found("wu") == 1


async def test_listing_again_after_a_cancelled_start_lists_nothing_twice(tmp_path: Path) -> None:
    first = publish(EMPTY_MANIFEST, offers(*range(STEP * 3)))
    async with filled(tmp_path / "index.sqlite") as place:
        await place.manifests.publish(place.account, first)
    async with opened(tmp_path / "index.sqlite") as place:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(place.manifests.list_all)
                while not len(place.catalogue):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
        await place.manifests.list_all()
        assert place.found("wu") == STEP * 3
        await place.manifests.publish(place.account, publish(first.result, offers(1_000)))
        assert place.found("wu") == STEP * 3 + 1


async def test_a_snapshot_stands_for_the_rows_that_are_in_it(tmp_path: Path) -> None:
    first = publish(EMPTY_MANIFEST, offers(*range(5)))
    async with filled(tmp_path / "index.sqlite") as place:
        await place.manifests.publish(place.account, first)
        await place.manifests.save()
    async with open_database(tmp_path / "index.sqlite", store.MIGRATIONS, threads=False) as database:
        await database.write(lambda connection: connection.execute("DELETE FROM offer").close())
    async with filled(tmp_path / "index.sqlite") as place:
        assert place.found("wu") == 5, "read from the snapshot alone"


async def test_whoever_published_after_the_snapshot_is_listed_from_the_rows(tmp_path: Path) -> None:
    first = publish(EMPTY_MANIFEST, offers(*range(5)))
    second = publish(first.result, offers(7))
    async with filled(tmp_path / "index.sqlite") as place:
        await place.manifests.publish(place.account, first)
        await place.manifests.save()
        await place.manifests.publish(place.account, second)
    async with filled(tmp_path / "index.sqlite") as place:
        assert place.found("wu") == 6
        await place.manifests.save()
        await place.manifests.erase(place.account)
    async with filled(tmp_path / "index.sqlite") as place:
        assert place.found("wu") == len(place.catalogue) == 0


async def test_a_list_that_is_back_where_it_was_is_not_taken_for_the_one_before(tmp_path: Path) -> None:
    """The digest is the same, but nobody says that what led to it is."""
    first = publish(EMPTY_MANIFEST, offers(1))
    async with filled(tmp_path / "index.sqlite") as place:
        await place.manifests.publish(place.account, first)
        before = (await stamps(tmp_path))[place.account]
        await place.manifests.publish(place.account, publish(EMPTY_MANIFEST, offers(1), reset=True))
        assert (await stamps(tmp_path))[place.account] != before


async def stamps(folder: Path) -> dict[int, bytes]:
    async with open_database(folder / "index.sqlite", store.MIGRATIONS, threads=False) as database:
        return await database.read(store.accounts_with_offers)


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
async def test_a_torn_snapshot_is_as_good_as_none(tmp_path: Path, kept: float) -> None:
    first = publish(EMPTY_MANIFEST, offers(*range(5)))
    async with filled(tmp_path / "index.sqlite") as place:
        await place.manifests.publish(place.account, first)
        await place.manifests.save()
    torn = (tmp_path / SNAPSHOT).read_bytes()
    (tmp_path / SNAPSHOT).write_bytes(torn[: int(len(torn) * kept)])
    async with filled(tmp_path / "index.sqlite") as place:
        assert place.found("wu") == 5


async def test_a_damaged_snapshot_is_as_good_as_none(tmp_path: Path) -> None:
    async with filled(tmp_path / "index.sqlite") as place:
        await place.manifests.publish(place.account, publish(EMPTY_MANIFEST, offers(*range(5))))
        await place.manifests.save()
    damaged = bytearray((tmp_path / SNAPSHOT).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / SNAPSHOT).write_bytes(damaged)
    async with filled(tmp_path / "index.sqlite") as place:
        assert place.found("wu") == 5


async def test_what_is_published_while_a_snapshot_is_written_is_found_after_it_was_read(
    tmp_path: Path,
) -> None:
    first = publish(EMPTY_MANIFEST, offers(*range(STEP)))
    second = publish(first.result, offers(*range(STEP, STEP * 3)))
    async with filled(tmp_path / "index.sqlite") as place:
        await place.manifests.publish(place.account, first)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(place.manifests.save)
            await place.manifests.publish(place.account, second)
    async with filled(tmp_path / "index.sqlite") as place:
        assert place.found("wu") == len(place.catalogue) == STEP * 3


async def test_a_turn_of_the_loop_has_one_step_of_one_publisher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with filled(tmp_path / "index.sqlite") as place:
        turns, steps = 0, Counter[int]()
        real = place.catalogue.publish

        def counted(*arguments: Any) -> None:
            steps[turns] += 1
            real(*arguments)

        async def take_turns() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        monkeypatch.setattr(place.catalogue, "publish", counted)
        message = publish(EMPTY_MANIFEST, offers(*range(STEP * 3)))
        async with trio.open_nursery() as watching:
            watching.start_soon(take_turns)
            async with trio.open_nursery() as nursery:
                for name in "bcdefgh":
                    account = await place.register(name)
                    nursery.start_soon(place.manifests.publish, account, message)
            watching.cancel_scope.cancel()
        assert steps.total() == 21
        assert max(steps.values()) <= 2, "one before and one after the watcher had its turn"


async def test_a_refused_change_changes_neither_disk_nor_memory(tmp_path: Path) -> None:
    first = publish(EMPTY_MANIFEST, offers(1))
    async with filled(tmp_path / "index.sqlite") as place:
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
    async with filled(tmp_path / "index.sqlite") as place:

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
    async with filled(tmp_path / "index.sqlite") as place:
        with pytest.raises(BadMessage):
            await place.manifests.publish(place.account, publish(EMPTY_MANIFEST, offers(1, 1)))


async def test_what_nobody_offers_any_more_is_forgotten_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifests, "TIDY_EVERY_S", 0)
    async with filled(tmp_path / "index.sqlite") as place:
        await place.manifests.publish(place.account, publish(EMPTY_MANIFEST, offers(*range(STEP + 2))))
        await place.manifests.publish(place.account, publish(EMPTY_MANIFEST, offers(7), reset=True))
        assert (len(place.catalogue), place.found("wu")) == (1, 1)
        assert place.catalogue.frequency("wu") == STEP + 2, "the others may come back"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(place.manifests.tidy_often)
            while place.catalogue.frequency("wu") > 1:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert place.found("wu") == 1
