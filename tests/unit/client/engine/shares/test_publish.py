from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from client.engine.beneath import Stamp
from client.engine.library import MIGRATIONS
from client.engine.shares import inventory, publish
from client.engine.shares.inventory import Change, Share
from client.engine.shares.offers import DOWNLOAD_OFFERS_FROM, offers_among
from client.engine.shares.publish import Fact, Publisher, plan_batch
from p2pshare.database import Database, open_database
from p2pshare.errors import Misuse, Refused
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.limits import PUBLISH_BATCH
from p2pshare.wire.fields import Offer
from p2pshare.wire.index import Publish
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest, offer_hash
from p2pshare.wire.schema import encode
from tests.fake_index import FakeIndex
from tests.shared_tree import open_library

SERVER, OTHER = NodeId(b"s" * 32), NodeId(b"o" * 32)
STAMP = Stamp(10, 0, "1")


class Stand:
    """A library with one share, whose changes are told to servers."""

    def __init__(self, library: Database) -> None:
        self.library = library
        self.publisher = Publisher(library)

    async def put(self, *names: str, stamp: Stamp | None = STAMP) -> list[int]:
        share = await self.share()
        changes = [Change("in", name, stamp) for name in names]
        numbers = await self.library.write(inventory.apply, share, changes)
        self.publisher.touch(numbers)
        return numbers

    async def share(self) -> Share:
        known = await self.library.read(inventory.shares)
        return known[0][0] if known else await self.library.write(inventory.add_share, "/music", "music", 0.0)

    async def tell(self, index: FakeIndex, server: NodeId = SERVER) -> list[Publish]:
        """Tell a server everything, as its task does."""
        while (batch := await self.publisher.next_batch(server, index.digest)) is not None:
            index.publish(batch)
            await self.publisher.acknowledge(server, batch)
        assert await self.publisher.pending(server) == 0
        return index.taken()

    async def manifest(self) -> dict[int, Offer]:
        numbers = await self.library.read(lambda db: [n for (n,) in db.execute("SELECT id FROM file")])
        return {offer.offer: offer for offer in await self.library.read(offers_among, numbers)}


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    async with open_library() as library:
        yield Stand(library)


# --- the decision ------------------------------------------------------------------------------------


def offer(number: int, path: str = "a") -> Offer:
    return Offer(offer=number, path=path, size=1)


def fact(number: int, there: Offer | None, told: Offer | None = None) -> Fact:
    hashes = (None if one is None else offer_hash(one) for one in (there, told))
    return Fact(number, there, *hashes)


def test_a_batch_tells_what_is_new_different_or_gone_and_nothing_else() -> None:
    new, changed, before, gone, same = offer(1), offer(2, "b"), offer(2), offer(3), offer(4)
    base = change_digest(EMPTY_MANIFEST, added=map(offer_hash, (before, gone, same)))
    facts = [fact(1, new), fact(2, changed, before), fact(3, None, gone), fact(4, same, same), fact(5, None)]
    batch = plan_batch(base, facts)
    assert batch is not None
    message = batch.message
    assert (message.removed, message.added, message.reset) == ((3,), (new, changed), False)
    assert message.base == base
    assert message.result == change_digest(EMPTY_MANIFEST, added=map(offer_hash, (new, changed, same)))
    assert set(batch.numbers) == {1, 2, 3} and batch.left == ()


def test_nothing_to_tell_is_no_batch_unless_the_server_has_to_forget() -> None:
    same = offer(4)
    assert plan_batch(EMPTY_MANIFEST, []) is None
    assert plan_batch(bytes(16), [fact(4, same, same), fact(5, None)]) is None
    reset = plan_batch(EMPTY_MANIFEST, [], reset=True)
    assert reset is not None
    assert (reset.message.base, reset.message.result, reset.message.reset) == (
        EMPTY_MANIFEST,
        EMPTY_MANIFEST,
        True,
    )


def test_a_batch_fits_its_frame_and_the_rest_is_left() -> None:
    facts = [fact(number, offer(number + 2**31, "x" * 1_000)) for number in range(PUBLISH_BATCH)]
    batch = plan_batch(EMPTY_MANIFEST, facts)
    assert batch is not None and batch.left
    assert Publish.FRAME_MAX * 0.97 < len(encode(batch.message)) <= Publish.FRAME_MAX
    assert {*batch.numbers, *batch.left} == {number for number in range(PUBLISH_BATCH)}


# --- servers -----------------------------------------------------------------------------------------


async def test_a_new_server_is_told_everything_in_batches(stand: Stand) -> None:
    await stand.put(*map(str, range(1_234)))
    index = FakeIndex()
    assert await stand.publisher.pending(SERVER) == 1_234
    told = await stand.tell(index)
    assert [len(message.added) for message in told] == [500, 500, 234]
    assert not any(message.reset or message.removed for message in told)
    assert index.offers == await stand.manifest()


async def test_afterwards_only_what_changed_is_told(stand: Stand) -> None:
    [first, second, third] = await stand.put("a", "b", "c")
    index = FakeIndex()
    await stand.tell(index)
    assert await stand.tell(index) == []
    await stand.library.write(inventory.set_file_ids, [(first, STAMP, FileId(bytes(32)))])
    stand.publisher.touch([first])
    await stand.put("b", stamp=None)
    await stand.put("c", stamp=Stamp(11, 0, "1"))
    [fourth] = await stand.put("d")
    [message] = await stand.tell(index)
    assert message.removed == (second,)
    assert {added.offer for added in message.added} == {first, third, fourth}
    assert index.offers == await stand.manifest()


async def test_a_file_that_came_and_went_is_not_told(stand: Stand) -> None:
    index = FakeIndex()
    await stand.put("a")
    await stand.put("a", stamp=None)
    assert await stand.tell(index) == []


async def test_after_a_restart_only_what_changed_meanwhile_is_told(stand: Stand) -> None:
    await stand.put("a", "b", "c")
    index = FakeIndex()
    await stand.tell(index)
    share = await stand.share()
    changes = [Change("in", "a", None), Change("in", "b", Stamp(11, 0, "1")), Change("in", "d", STAMP)]
    await stand.library.write(inventory.apply, share, changes)  # nobody was told
    [message] = await Stand(stand.library).tell(index)
    assert (len(message.removed), len(message.added)) == (1, 2)
    assert index.offers == await stand.manifest()
    assert await Stand(stand.library).tell(index) == []


async def test_each_server_has_a_copy_of_its_own(stand: Stand) -> None:
    await stand.put("a")
    index, other = FakeIndex(), FakeIndex()
    await stand.tell(index)
    await stand.put("b")
    assert [len(message.added) for message in await stand.tell(other, OTHER)] == [2]
    assert [len(message.added) for message in await stand.tell(index)] == [1]
    assert index.offers == other.offers == await stand.manifest()


@pytest.mark.parametrize("known", [True, False])
async def test_a_server_that_has_something_else_is_told_everything_anew(stand: Stand, known: bool) -> None:
    await stand.put("a", "b")
    index = FakeIndex()
    if known:
        await stand.tell(index)
    stranger = offer(77, "left over")
    index.offers, index.digest = {77: stranger}, change_digest(EMPTY_MANIFEST, added=[offer_hash(stranger)])
    [message] = await stand.tell(index)
    assert message.reset and len(message.added) == 2
    assert index.offers == await stand.manifest()


async def test_a_server_forgets_even_if_we_share_nothing(stand: Stand) -> None:
    index = FakeIndex()
    index.offers, index.digest = {1: offer(1)}, change_digest(EMPTY_MANIFEST, added=[offer_hash(offer(1))])
    [message] = await stand.tell(index)
    assert message.reset and index.offers == {}


async def test_what_a_refusal_names_a_mismatch_is_told_anew(stand: Stand) -> None:
    await stand.put("a")
    index = FakeIndex()
    await stand.tell(index)
    index.offers.clear()  # it lost them, but not the digest
    await stand.put("a", stamp=None)
    batch = await stand.publisher.next_batch(SERVER, index.digest)
    assert batch is not None
    with pytest.raises((Refused, KeyError)):
        index.publish(batch)
    batch = await stand.publisher.next_batch(SERVER, b"")
    assert batch is not None and batch.reset
    index.publish(batch)
    await stand.publisher.acknowledge(SERVER, batch)
    assert index.offers == await stand.manifest() == {}


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_lost_answer_costs_nothing_whether_the_batch_arrived_or_not(
    stand: Stand, arrived: bool
) -> None:
    await stand.put("a", "b")
    index = FakeIndex()
    batch = await stand.publisher.next_batch(SERVER, index.digest)
    assert batch is not None
    if arrived:
        index.publish(batch)
        index.taken()
    await stand.put("b", stamp=Stamp(12, 0, "1"))  # meanwhile
    [message] = await stand.tell(index)
    assert not message.reset and len(message.added) == (1 if arrived else 2)
    assert index.offers == await stand.manifest()


async def test_a_crash_before_the_answer_leads_to_the_same_manifest(tmp_path: Path) -> None:
    index = FakeIndex()
    for crash in (True, False):
        async with open_database(tmp_path / "library.sqlite", MIGRATIONS, threads=False) as library:
            stand = Stand(library)
            if crash:
                await stand.put("a", "b")
                batch = await stand.publisher.next_batch(SERVER, index.digest)
                assert batch is not None
                index.publish(batch)
                index.taken()
            else:
                [message] = await stand.tell(index)
                assert message.reset
                assert index.offers == await stand.manifest()


async def test_a_share_that_is_away_is_withdrawn_and_offered_again(stand: Stand) -> None:
    await stand.put("a", "b")
    index = FakeIndex()
    await stand.tell(index)
    share = await stand.share()
    stand.publisher.touch(await stand.library.write(inventory.set_away, share.id, True))
    [message] = await stand.tell(index)
    assert len(message.removed) == 2 and index.offers == {}
    stand.publisher.touch(await stand.library.write(inventory.set_away, share.id, False))
    await stand.tell(index)
    assert index.offers == await stand.manifest() != {}


async def test_a_share_that_went_away_before_a_restart_is_withdrawn(stand: Stand) -> None:
    await stand.put("a")
    index = FakeIndex()
    await stand.tell(index)
    await stand.library.write(inventory.set_away, (await stand.share()).id, True)
    await Stand(stand.library).tell(index)
    assert index.offers == {}


async def test_running_downloads_are_offered_beside_the_files(stand: Stand) -> None:
    [number] = await stand.put("a")
    partial = Offer(offer=DOWNLOAD_OFFERS_FROM, path="b", size=5, file=FileId(bytes(32)), partial=True)
    stand.publisher.set_download_offers([partial])
    index = FakeIndex()
    await stand.tell(index)
    assert index.offers[DOWNLOAD_OFFERS_FROM] == partial and set(index.offers) == {
        number,
        DOWNLOAD_OFFERS_FROM,
    }
    before = stand.publisher.changed.value
    stand.publisher.set_download_offers([partial])
    assert stand.publisher.changed.value == before
    again = Stand(stand.library)  # after a restart the download is not running yet
    await again.tell(index)
    assert set(index.offers) == {number}
    again.publisher.set_download_offers([partial])
    await again.tell(index)
    assert set(index.offers) == {number, DOWNLOAD_OFFERS_FROM}
    with pytest.raises(Misuse):
        stand.publisher.set_download_offers([offer(7)])


async def test_what_changes_while_a_batch_is_made_is_told_in_the_next(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    [number] = await stand.put("a")
    plan = publish.plan_batch

    def touched_meanwhile(*args: object, **kwargs: object) -> object:
        stand.publisher.touch([number])
        return plan(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(publish, "plan_batch", touched_meanwhile)
    assert await stand.publisher.next_batch(SERVER, EMPTY_MANIFEST) is not None
    assert await stand.publisher.pending(SERVER) == 2  # the batch, and the offer once more


async def test_what_was_not_read_because_of_trouble_is_not_forgotten(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stand.put("a")

    def fail(*args: object) -> list[Fact]:
        raise OSError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(publish, "_facts", fail)
        with pytest.raises(OSError):
            await stand.publisher.next_batch(SERVER, EMPTY_MANIFEST)
    index = FakeIndex()
    await stand.tell(index)
    assert index.offers == await stand.manifest() != {}


async def test_only_the_last_batch_can_be_acknowledged(stand: Stand) -> None:
    await stand.put("a")
    batch = await stand.publisher.next_batch(SERVER, EMPTY_MANIFEST)
    assert batch is not None
    await stand.publisher.acknowledge(SERVER, batch)
    with pytest.raises(Misuse):
        await stand.publisher.acknowledge(SERVER, batch)


async def test_touching_nothing_wakes_nobody(stand: Stand) -> None:
    stand.publisher.touch([])
    assert stand.publisher.changed.value == 0
    stand.publisher.touch([1])
    assert stand.publisher.changed.value == 1
