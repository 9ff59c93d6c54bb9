"""Bringing the rows in line with the disk, a bounded batch at a time.

Looking happens in the offload and comparing on the database's thread, so the loop never waits for either.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from operator import add

import trio

from client.engine.beneath import Stamp
from client.engine.offload import Offload
from client.engine.shares import hash_cache, inventory
from client.engine.shares.inventory import Change, Share
from client.engine.shares.scan import (
    NOTHING_SKIPPED,
    FoundFolder,
    Rules,
    Skipped,
    Top,
    Walk,
    fits_the_wire,
    look_into,
)
from client.engine.watch import Watch
from p2pshare.database import Database
from p2pshare.errors import LocalTrouble
from p2pshare.hashing import FileId, PieceHashes
from p2pshare.names import display, safe_leaf_name

WHOLE = {"": True}
OURS_S = 10.0  # a system tells of a change within so long
WRITE_AT_ONCE = 500  # changes in one transaction, some 10 ms: others want to write, too


class Stocktaking:
    """Looks into shares, one at a time."""

    def __init__(
        self,
        database: Database,
        offload: Offload,
        rules: Rules,
        *,
        unix_now: Callable[[], float],
        on_touched: Callable[[Sequence[int]], None],
    ) -> None:
        """`on_touched` is told the offers that are new, different or gone."""
        self._database = database
        self._offload = offload
        self.rules = rules
        self._unix_now = unix_now
        self._on_touched = on_touched
        self.shares: Watch[tuple[Share, ...]] = Watch(())
        self.present: Watch[Mapping[int, Top]] = Watch({})  # those that were there at the last look
        self._one_at_a_time = trio.Lock()
        self._skipped: dict[int, dict[str, Skipped]] = {}  # by share and folder
        self._adopted: set[tuple[int, str, str]] = set()  # since the look under way began
        self._ours = OurChanges()

    def skipped(self, share: Share) -> Skipped:
        """What could not be shared when it was looked at last."""
        return reduce(add, self._skipped.get(share.id, {}).values(), NOTHING_SKIPPED)

    async def load(self) -> tuple[Share, ...]:
        """All shares, as the rows say."""
        self.shares.set(tuple(share for share, _ in await self._database.read(inventory.shares)))
        return self.shares.value

    async def add(self, root: str) -> Share:
        """The share of a folder, if need be a new one. Raises LocalTrouble if it overlaps others."""
        if self.rules.is_private(root):
            raise LocalTrouble("This folder holds your own key, so it cannot be shared. Choose another one.")
        async with self._one_at_a_time:
            for share in await self.load():
                if share.top.root == root:
                    return share
                if path_inside(share.top.root, root):
                    raise LocalTrouble(
                        f"{display(root)} is shared already, as a part of {display(share.top.root)}."
                    )
                if path_inside(root, share.top.root):
                    raise LocalTrouble(
                        f"{display(root)} contains {display(share.top.root)}, which is shared already."
                        " Remove that share first, then add this one."
                    )
            name = safe_leaf_name(os.path.basename(root))
            share = await self._database.write(inventory.add_share, root, name, self._unix_now())
            await self.load()
            return share

    async def look(self, share: Share, folders: Mapping[str, bool] = WHOLE) -> None:
        """Look into some folders of a share, each with all beneath it (True) or only with what is new there.

        If the share is not there, its files are kept, but not offered.
        """
        async with self._one_at_a_time:
            if share not in self.shares.value:  # removed meanwhile
                return
            self._adopted.clear()
            try:
                await self._look_into(share, folders)
                away = False
            except OSError:
                away = True
            others = {id: top for id, top in self.present.value.items() if id != share.id}
            self.present.set(others if away else {**others, share.id: share.top})
            self._on_touched(await self._database.write(inventory.set_away, share.id, away))

    async def forget(self, share: Share) -> None:
        """Remove all rows of a share."""
        async with self._one_at_a_time:
            # Away first: nothing is offered any more while the files are removed bit by bit.
            self._on_touched(await self._database.write(inventory.set_away, share.id, True))
            self.present.set({id: top for id, top in self.present.value.items() if id != share.id})
            while not await self._database.write(inventory.remove_share, share.id):
                pass
            self._skipped.pop(share.id, None)
            await self.load()

    async def adopt(self, path: str, hashes: PieceHashes) -> int | None:
        """Take in a file that is already hashed. Returns its offer; None if it is in no share.

        Raises LocalTrouble if there is no such file.
        """
        path, stamp = await self._offload.run(_resolve, path)
        if stamp is None or stamp.size != hashes.size:
            raise LocalTrouble(f"{path} is not the file that was just written. Somebody moved or changed it.")
        await self._database.write(hash_cache.remember, path, stamp, hashes, self._unix_now(), ours=True)
        for share in await self.load():
            inside = path_inside(share.top.root, path)
            if not inside or self.rules.passes_over_any(share.top.root, inside):
                continue
            if not fits_the_wire(f"{share.top.name}/{inside}"):
                continue
            folder, _, name = inside.rpartition("/")
            self._adopted.add((share.id, folder, name))
            touched = await self._database.write(inventory.apply, share, [Change(folder, name, stamp)])
            self._on_touched(touched)
            return touched[0]
        return None

    async def adopt_all(self, files: Sequence[tuple[str, Stamp, PieceHashes]]) -> frozenset[str]:
        """Take in many files at once that we wrote just now, by path and stamp. Returns the paths of those
        that lie in shares; the others are small and soon hashed, should they ever be shared. What is not as
        it was any more is found out when it is looked at next."""
        real = await self._offload.run(_real_folders, {os.path.dirname(path) for path, _, _ in files})
        hashed: list[tuple[str, Stamp, PieceHashes]] = []
        changes: dict[Share, list[tuple[Change, FileId]]] = {}
        shared: list[str] = []
        shares = self.shares.value
        homes = {folder: self._home(shares, there) for folder, there in real.items()}
        for path, stamp, hashes in files:
            folder, name = os.path.split(path)
            if (home := homes[folder]) is None:
                continue
            share, inside = home
            within = f"{inside}/{name}" if inside else name
            if self.rules.passes_over(share.top.root, within, is_folder=False):
                continue
            if not fits_the_wire(f"{share.top.name}/{within}"):
                continue
            self._adopted.add((share.id, inside, name))
            self._ours.note(share.top.root, within, stamp)
            hashed.append((os.path.join(real[folder], name), stamp, hashes))
            changes.setdefault(share, []).append((Change(inside, name, stamp), hashes.file_id))
            shared.append(path)
        if not shared:
            return frozenset()
        self._on_touched(await self._database.write(_adopt_all, hashed, changes, self._unix_now()))
        return frozenset(shared)

    def heard_of(self, paths: Iterable[str]) -> set[str]:
        """Of the absolute paths at which something changed just now, those where it was not us."""
        return {path for path in paths if not self._ours.take(path)}

    def _home(self, shares: Sequence[Share], folder: str) -> tuple[Share, str] | None:
        """The share in which files of a folder would be shared, and its path there."""
        for share in shares:
            inside = path_inside(share.top.root, folder)
            if inside or folder == share.top.root:
                return None if self.rules.passes_over_folder(share.top.root, inside) else (share, inside)
        return None

    # --- one look

    async def _look_into(self, share: Share, folders: Mapping[str, bool]) -> None:
        deep = [path for path in folders if folders[path]]
        for path in folders:
            if not folders[path]:
                found = await self._offload.run(look_into, share.top, path, self.rules)
                deep += await self._take(share, [found])
        walk = Walk(share.top, self.rules, deep)
        while batch := await self._offload.run(walk.next_batch):
            await self._take(share, batch)

    async def _take(self, share: Share, batch: list[FoundFolder]) -> Sequence[str]:
        """Write down what was found. Returns the folders that were never looked into."""
        differences = await self._database.read(inventory.compare, share.id, batch)
        skipped = self._skipped.setdefault(share.id, {})
        for path in differences.gone_folders:
            if any(id == share.id and f"{folder}/".startswith(f"{path}/") for id, folder, _ in self._adopted):
                continue
            self._on_touched(await self._database.write(inventory.drop_folder, share.id, path))
            for known in [known for known in skipped if known == path or known.startswith(path + "/")]:
                del skipped[known]
        changes = [c for c in differences.changes if (share.id, c.folder, c.name) not in self._adopted]
        for first in range(0, len(changes), WRITE_AT_ONCE):
            some = changes[first : first + WRITE_AT_ONCE]
            self._on_touched(await self._database.write(inventory.apply, share, some))
        for found in batch:
            skipped.pop(found.path, None)
            if found.skipped != NOTHING_SKIPPED:
                skipped[found.path] = found.skipped
        return differences.new_folders


class OurChanges:
    """What we changed on the disk ourselves and noted already, so that hearing of it is no news."""

    def __init__(self) -> None:
        self._noted: dict[str, float] = {}  # absolute path -> when; oldest first

    def note(self, root: str, path: str, stamp: Stamp) -> None:
        """A file at `root`/`path`, with the folders on the way to it, which may be new, too."""
        now = trio.current_time()
        folder = os.path.join(root, *path.split("/")[:-1])
        # What Linux calls a file that has no name yet.
        self._noted[os.path.join(folder, f"#{stamp.identity.partition(':')[0]}")] = now
        while self._noted and now - next(iter(self._noted.values())) > OURS_S:
            del self._noted[next(iter(self._noted))]
        while path:
            absolute = os.path.join(root, *path.split("/"))
            self._noted.pop(absolute, None)
            self._noted[absolute] = now
            path = path.rpartition("/")[0]

    def take(self, path: str) -> bool:
        """Whether a change there is ours. Only the first one is: others may change it, too."""
        noted = self._noted.pop(path, None)
        return noted is not None and trio.current_time() - noted <= OURS_S


def _adopt_all(
    db: sqlite3.Connection,
    hashed: Sequence[tuple[str, Stamp, PieceHashes]],
    changes: Mapping[Share, Sequence[tuple[Change, FileId]]],
    unix_now: float,
) -> list[int]:
    hash_cache.remember_ours(db, hashed, unix_now)
    return [offer for share, some in changes.items() for offer in inventory.add(db, share, some)]


def _real_folders(folders: Iterable[str]) -> dict[str, str]:
    """Each without links on the way."""
    return {folder: os.path.realpath(folder) for folder in folders}


def path_inside(root: str, path: str) -> str:
    """The path within a share, "/" between its parts; empty if it is not inside."""
    relative = os.path.relpath(path, root) if _same_drive(root, path) else ".."
    parts = relative.split(os.sep)
    return "" if relative == os.curdir or parts[0] == os.pardir else "/".join(parts)


def _same_drive(root: str, path: str) -> bool:
    return os.path.splitdrive(root)[0].casefold() == os.path.splitdrive(path)[0].casefold()


def _resolve(path: str) -> tuple[str, Stamp | None]:
    """The path without links on the way, and the stamp of the file if it is one."""
    path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    try:
        status = os.lstat(path)
    except OSError:
        return path, None
    return path, Stamp.of(status) if stat.S_ISREG(status.st_mode) else None
