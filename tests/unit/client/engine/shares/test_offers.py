from __future__ import annotations

from client.engine.beneath import Stamp
from client.engine.shares import hash_cache, inventory
from client.engine.shares.inventory import Change, Share
from client.engine.shares.offers import (
    UNIX_TIME_MAX,
    copies_of,
    find_offer,
    find_offer_at,
    find_on_disk,
    held_among,
    offers_among,
)
from p2pshare.database import Database
from p2pshare.hashing import FileHasher, FileId, PieceHashes
from p2pshare.wire.fields import NO_TAGS, Offer, Tags
from tests.shared_tree import open_library

STAMP = Stamp(3, 1_700_000_000_999_999_999, "7")


async def shared(library: Database, *changes: Change) -> tuple[Share, list[int]]:
    share = await library.write(inventory.add_share, "/home/me/music", "Music", 0.0)
    return share, await library.write(inventory.apply, share, list(changes))


def hashes() -> PieceHashes:
    hasher = FileHasher(3)
    hasher.update(b"abc")
    return hasher.finish()


async def test_a_row_becomes_an_offer() -> None:
    tags = Tags(title="A", year=1999)
    async with open_library() as library:
        share, [top, deep] = await shared(library, Change("", "a.txt", STAMP), Change("x/y", "b.mp3", STAMP))
        await library.write(inventory.set_file_ids, [(deep, STAMP, FileId(bytes(32)))])
        assert await library.read(find_offer, top) == Offer(
            offer=top, path="Music/a.txt", size=3, changed=1_700_000_000
        )
        offer = Offer(
            offer=deep, path="Music/x/y/b.mp3", size=3, file=FileId(bytes(32)), changed=1_700_000_000
        )
        assert await library.read(find_offer, deep) == offer
        await library.write(inventory.set_tags, deep, STAMP, tags)
        found = await library.read(find_offer_at, share.id, "x/y", "b.mp3")
        assert found is not None and found.tags == tags
        assert await library.read(find_offer_at, share.id, "x", "b.mp3") is None
        assert await library.read(find_offer, 99) is None


async def test_times_that_no_message_can_carry_are_bent_to_the_nearest() -> None:
    async with open_library() as library:
        _, [early, late] = await shared(
            library, Change("", "a", Stamp(1, -5, "1")), Change("", "b", Stamp(1, 2**63 - 1, "1"))
        )
        offers = await library.read(offers_among, [early, late])
        assert [offer.changed for offer in offers] == [0, (2**63 - 1) // 10**9]
        assert offers[1].changed <= UNIX_TIME_MAX and offers[0].tags is NO_TAGS


async def test_what_is_away_is_not_offered() -> None:
    async with open_library() as library:
        share, [offer] = await shared(library, Change("", "a", STAMP))
        assert len(await library.read(offers_among, [offer, 99])) == 1
        await library.write(inventory.set_away, share.id, True)
        assert await library.read(find_offer, offer) is None
        assert await library.read(find_on_disk, offer) is None
        assert await library.read(offers_among, [offer]) == []


async def test_every_copy_of_a_file_is_known_with_its_place_and_hashes() -> None:
    async with open_library() as library:
        for path in ("/home/me/music/a", "/home/me/music/in/b"):
            await library.write(hash_cache.remember, path, STAMP, hashes(), 0.0)
        share, [first, second, _] = await shared(
            library, Change("", "a", STAMP), Change("in", "b", STAMP), Change("in", "c", STAMP)
        )
        copies = await library.read(copies_of, hashes().file_id)
        assert [(copy.offer, copy.parts, copy.path) for copy, _ in copies] == [
            (first, ("a",), "/home/me/music/a"),
            (second, ("in", "b"), "/home/me/music/in/b"),
        ]
        assert all(kept.hashes == hashes() and copy.stamp == STAMP for copy, kept in copies)
        assert await library.read(held_among, [hashes().file_id, FileId(bytes(32))]) == {hashes().file_id}
        on_disk = await library.read(find_on_disk, second)
        assert on_disk is not None and (on_disk.share, on_disk.root) == (share.id, "/home/me/music")
