"""Mending shared files that rotted: an order for each, which the downloads carry out."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from client.engine.downloads.records import Record
from client.engine.shares import checks
from client.engine.shares.checks import Place
from client.engine.shares.hash_cache import Hashed
from client.engine.shares.offers import OnDisk
from client.engine.status import DownloadView
from p2pshare.database import Database

REPAIRS = "Repairs"  # what the downloads that mend something are listed under


async def repair(
    database: Database,
    place: Place,
    keep_old: bool,
    add: Callable[[Record], Awaitable[DownloadView]],
    unix_now: float,
) -> tuple[DownloadView, ...]:
    """Begin to mend everything there that a check found rotten."""
    found = await database.read(checks.rotten, place)
    return tuple([await add(_order(target, known, keep_old, unix_now)) for target, known in found])


def _order(target: OnDisk, known: Hashed, keep_old: bool, unix_now: float) -> Record:
    return Record(
        file=known.hashes.file_id,
        size=known.hashes.size,
        name=target.name,
        target_folder=os.path.dirname(target.path),
        target_path=target.name,
        folder=REPAIRS,
        piece_size=known.hashes.piece_size,
        hashes=known.hashes.hashes,
        replaces=target.stamp,
        keep_replaced=keep_old,
        added_at=unix_now,
    )
