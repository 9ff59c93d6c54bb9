from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from client.engine.downloads.records import KnownSource, Record, delete, insert, load_all, save
from client.engine.library import MIGRATIONS
from client.engine.status import DownloadState
from p2pshare.database import open_database
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId

RECORD = Record(
    file=FileId(b"f" * 32),
    size=5,
    name="song.flac",
    target_folder="/downloads",
    target_path="album/song.flac",
    folder="album",
    sources=(KnownSource(NodeId(b"s" * 32), NodeId(b"a" * 32), "anna", 7),),
    added_at=1_700_000_000.5,
)


async def test_a_record_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    async with open_database(tmp_path / "library.sqlite", MIGRATIONS) as database:
        number = await database.write(insert, RECORD)
        changed = replace(
            RECORD,
            id=number,
            state=DownloadState.PAUSED,
            piece_size=65_536,
            hashes=b"h" * 32,
            part="song.flac.part",
            part_identity="1:2",
            done=b"\x80",
            wasted_bytes=3,
        )
        await database.write(save, changed)
        other = await database.write(insert, replace(RECORD, file=None, person=NodeId(b"a" * 32), offer=9))
        assert await database.read(load_all) == [
            changed,
            replace(RECORD, id=other, file=None, person=NodeId(b"a" * 32), offer=9),
        ]
        await database.write(delete, number)
        assert [record.id for record in await database.read(load_all)] == [other]
