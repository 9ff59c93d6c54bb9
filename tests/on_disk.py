"""What a downloader has, seen from outside: the files, and what the library says of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from client.engine.profile import Profile
from p2pshare.hashing import hash_piece, piece_count, piece_span
from p2pshare.limits import KEY_BYTES
from p2pshare.ranges import RangeSet

_QUERY = (
    "SELECT name, state, size, piece_size, hashes, target_folder, part, part_identity, done FROM download"
)


def recorded_bytes(profile: Profile, contents: Mapping[str, bytes]) -> int:
    """How many bytes the library says are there; `contents` are the files that may be, by name.

    Fails if anything wrong stands under a final name, or the library names a piece that is not on the disk.
    """
    folder = profile.folder / "downloads"
    for path in folder.iterdir() if folder.exists() else ():
        if path.suffix != ".part":
            assert path.read_bytes() == contents[path.name], f"{path.name} is wrong"
    if not profile.library_file.exists():
        return 0
    with closing(sqlite3.connect(profile.library_file)) as library:
        if not library.execute("PRAGMA user_version").fetchone()[0]:
            return 0
        assert library.execute("PRAGMA quick_check").fetchone() == ("ok",)
        return sum(_held(contents, *row) for row in library.execute(_QUERY).fetchall())


def _held(
    contents: Mapping[str, bytes],
    name: str,
    state: str,
    size: int,
    piece_size: int | None,
    hashes: bytes | None,
    target_folder: str,
    part: str,
    identity: str | None,
    done: bytes,
) -> int:
    folder = Path(target_folder)
    if state == "complete":
        assert (folder / name).read_bytes() == contents[name]
        return size
    if not done or piece_size is None or hashes is None:
        return 0
    # One that got its final name just before is found by it.
    place = next((path for path in (folder / part, folder / name) if path.exists()), None)
    assert place is not None, f"{name} is not there, though pieces of it are recorded"
    assert str(place.stat().st_ino) == identity
    held = 0
    with open(place, "rb") as file:
        for pieces in RangeSet.from_bitmap(done, piece_count(size, piece_size)):
            for piece in pieces:
                offset, length = piece_span(piece, size, piece_size)
                file.seek(offset)
                expected = hashes[piece * KEY_BYTES : (piece + 1) * KEY_BYTES]
                assert hash_piece(file.read(length)) == expected, f"piece {piece} of {name} is not there"
                held += length
    return held
