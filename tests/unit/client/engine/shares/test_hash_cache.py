from __future__ import annotations

import pytest

from client.engine.beneath import Stamp
from client.engine.shares import hash_cache, inventory
from client.engine.shares.hash_cache import SETTLED_S, Hashed, Known
from client.engine.shares.inventory import Change
from p2pshare.hashing import FileHasher, PieceHashes
from tests.shared_tree import open_library

STAMP = Stamp(3, 1_000, "7")


def hashes(content: bytes = b"abc") -> PieceHashes:
    hasher = FileHasher(len(content))
    hasher.update(content)
    return hasher.finish()


async def test_an_entry_holds_as_long_as_the_stamp_does() -> None:
    async with open_library() as library:
        await library.write(hash_cache.remember, "/a", STAMP, hashes(), 0.0)
        assert await library.read(hash_cache.find, "/a", STAMP) == Known(hashes().file_id, False)
        assert await library.read(hash_cache.pieces, "/a", STAMP) == Hashed(hashes(), None, False)
        for other in (Stamp(4, 1_000, "7"), Stamp(3, 1_001, "7"), Stamp(3, 1_000, "8")):
            assert await library.read(hash_cache.find, "/a", other) is None
            assert await library.read(hash_cache.pieces, "/a", other) is None
        assert await library.read(hash_cache.find, "/b", STAMP) is None


async def test_a_later_hash_replaces_an_earlier_one() -> None:
    later = Stamp(3, 2_000, "7")
    async with open_library() as library:
        await library.write(hash_cache.remember, "/a", STAMP, hashes(), 0.0)
        await library.write(hash_cache.remember, "/a", later, hashes(b"xyz"), 1.0)
        assert await library.read(hash_cache.find, "/a", STAMP) is None
        assert await library.read(hash_cache.find, "/a", later) == Known(hashes(b"xyz").file_id, False)


@pytest.mark.parametrize(
    ("age_s", "ours", "settled"),
    [(SETTLED_S + 1, False, True), (SETTLED_S - 1, False, False), (0, True, True), (-1e9, False, False)],
)
async def test_what_somebody_may_have_been_writing_when_it_was_hashed_is_not_settled(
    age_s: float, ours: bool, settled: bool
) -> None:
    changed_at = 1_800_000_000
    stamp = Stamp(3, 1_000, f"7:{changed_at}000000000")
    async with open_library() as library:
        await library.write(hash_cache.remember, "/a", stamp, hashes(), changed_at + age_s, ours=ours)
        found = await library.read(hash_cache.pieces, "/a", stamp)
        assert found is not None and found.settled is settled


@pytest.mark.parametrize(("shared", "age_s", "pruned"), [(False, 1, 1), (False, -1, 0), (True, 1, 0)])
async def test_only_old_entries_of_files_no_longer_shared_are_pruned(
    shared: bool, age_s: float, pruned: int
) -> None:
    async with open_library() as library:
        await library.write(hash_cache.remember, "/s/a", STAMP, hashes(), 0.0)
        if shared:
            share = await library.write(inventory.add_share, "/s", "s", 0.0)
            await library.write(inventory.apply, share, [Change("", "a", STAMP)])
        assert await library.write(hash_cache.prune, hash_cache.KEEP_UNSHARED_S + age_s) == pruned
        assert (await library.read(hash_cache.find, "/s/a", STAMP) is None) == bool(pruned)
