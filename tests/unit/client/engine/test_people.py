from __future__ import annotations

from pathlib import Path

from client.engine.library import MIGRATIONS
from client.engine.people import Totals, count_exchange, totals
from p2pshare.database import open_database
from p2pshare.identity import NodeId

ANNA, BERT = NodeId(b"a" * 32), NodeId(b"b" * 32)


async def test_what_was_exchanged_adds_up_and_only_those_who_got_something_were_served(
    tmp_path: Path,
) -> None:
    async with open_database(tmp_path / "library.sqlite", MIGRATIONS) as database:
        assert await database.read(totals) == Totals(0, 0, 0)
        await database.write(count_exchange, ANNA, "anna", sent=10, unix_now=1.0)
        await database.write(count_exchange, ANNA, "", sent=5, received=2, unix_now=2.0)
        await database.write(count_exchange, BERT, "bert", received=7, unix_now=3.0)
        assert await database.read(totals) == Totals(15, 9, 1)
