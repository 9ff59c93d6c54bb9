from __future__ import annotations

from pathlib import Path

from client.engine.library import MIGRATIONS
from client.engine.uploads.quota import Ledger, Quota, keep_changes, load_ledger
from p2pshare.database import open_database
from p2pshare.identity import NodeId

ALICE, BOB = NodeId(b"a" * 32), NodeId(b"b" * 32)
DAY = 739_000


def test_a_day_and_a_week_are_added_up_for_each_person() -> None:
    ledger = Ledger()
    for day, size in ((DAY - 7, 1), (DAY - 6, 10), (DAY - 1, 100), (DAY, 1_000)):
        ledger.add(ALICE, size, day)
    ledger.add(BOB, 5, DAY)
    ledger.add(BOB, 5, DAY)
    assert ledger.sent(ALICE, DAY) == Quota(1_000, 1_110)
    assert ledger.sent(BOB, DAY) == Quota(10, 10)
    assert ledger.sent(ALICE, DAY + 7) == Quota(0, 0)


def test_the_first_day_with_something_left() -> None:
    ledger = Ledger()
    ledger.add(ALICE, 60, DAY - 5)
    ledger.add(ALICE, 40, DAY)
    assert ledger.free_on(ALICE, Quota(), DAY) == DAY
    assert ledger.free_on(ALICE, Quota(daily_bytes=41), DAY) == DAY
    assert ledger.free_on(ALICE, Quota(daily_bytes=40), DAY) == DAY + 1
    assert ledger.free_on(ALICE, Quota(weekly_bytes=100), DAY) == DAY + 2
    assert ledger.free_on(ALICE, Quota(weekly_bytes=40), DAY) == DAY + 7
    assert ledger.free_on(ALICE, Quota(daily_bytes=40, weekly_bytes=100), DAY) == DAY + 2
    assert ledger.free_on(BOB, Quota(1, 1), DAY) == DAY


async def test_the_week_survives_a_restart_and_older_days_are_forgotten(tmp_path: Path) -> None:
    ledger = Ledger()
    ledger.add(ALICE, 5, DAY - 8)
    ledger.add(ALICE, 7, DAY)
    async with open_database(tmp_path / "library.sqlite", MIGRATIONS, threads=False) as database:
        await database.write(keep_changes, ledger.take_changes(), DAY - 8)
        ledger.add(ALICE, 3, DAY)
        assert ledger.take_changes() == ((ALICE, DAY, 10),)
        await database.write(keep_changes, ((ALICE, DAY, 10),), DAY)
        again = await database.read(load_ledger, DAY)
        assert again.sent(ALICE, DAY) == Quota(10, 10)
        assert await database.read(lambda c: c.execute("SELECT count(*) FROM sent_on_day").fetchone()) == (1,)
