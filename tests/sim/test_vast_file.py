"""A file of 100 GiB: offered, fetched in part, and gone on with after a restart. It is sparse, so it takes no
room, and the library is told beforehand what its pieces are, so nobody hashes it.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import pytest

from client.engine.beneath import Stamp
from client.engine.downloads import linux
from client.engine.downloads.folder import PathFolder, RelativeFolder
from client.engine.profile import Profile
from client.engine.shares import hash_cache
from p2pshare.hashing import PieceHashes, hash_piece, piece_count, piece_size_for
from p2pshare.limits import GIB
from tests.sim.world import run_scenario
from tests.world import FIRST_SHARED_AT, UNIX_START, Person, World

SIZE = 100 * GIB
PIECE_BYTES = piece_size_for(SIZE)


def make_vast(person: Person) -> str:
    """A folder with a sparse file that the person's library knows. The file's name."""
    place = person.shared("films/vast.dat")
    place.parent.mkdir()
    with place.open("wb") as file:
        file.truncate(SIZE)
    os.utime(place, (FIRST_SHARED_AT, FIRST_SHARED_AT))
    one = hash_piece(bytes(PIECE_BYTES))
    hashes = PieceHashes(SIZE, PIECE_BYTES, one * piece_count(SIZE, PIECE_BYTES))
    with closing(sqlite3.connect(Profile(person.home / "profile").library_file)) as library, library:
        hash_cache.remember(library, str(place), Stamp.of(place.stat()), hashes, UNIX_START, ours=True)
    return "vast"


def test_a_file_of_a_hundred_gibibytes_is_offered_and_goes_on_after_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # No machine that runs tests need have so much room.
    for kind in (RelativeFolder, PathFolder):
        monkeypatch.setattr(kind, "free_bytes", lambda folder: 2 * SIZE)
    monkeypatch.setattr(linux, "reserve", lambda fd, size: False)

    async def told(world: World) -> None:
        await world.index()
        bob = await world.person("bob")
        name = make_vast(bob)
        await bob.face.add_share(str(bob.shared("films")))
        alice = await world.person("alice", share_downloads=False)
        begun = await alice.begins(await alice.finds(name))
        assert begun.size == SIZE
        await alice.sees(begun.id, lambda view: view.done_bytes >= 6 * PIECE_BYTES, "some pieces")
        await world.leave("alice")
        await world.restart("alice")
        again = await alice.view(begun.id)
        assert again.done_bytes > 0
        await alice.sees(begun.id, lambda view: view.done_bytes >= 9 * PIECE_BYTES, "more pieces")
        await alice.face.cancel(begun.id)
        bob.shared("films/vast.dat").unlink()  # the world reads whatever is left on a disk

    run_scenario(told, 1)
