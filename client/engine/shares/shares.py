"""The shared folders of this client: kept in line with the disk, tagged, hashed, browsed and read.

A folder is offered as soon as it was looked into; tags and hashes follow in the background (hashing_queue.py,
tagging.py). No path is trusted for longer than one call: files are opened anew each time, without following
links, and refused when they are not what was hashed.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

import trio

from client.engine.beneath import Stamp
from client.engine.held import SharedFile, open_shared_file
from client.engine.offload import Offload
from client.engine.shares import hash_cache, inventory, offers
from client.engine.shares.checking import Checking
from client.engine.shares.checks import Place
from client.engine.shares.hashing_queue import HashingQueue
from client.engine.shares.inventory import Share
from client.engine.shares.listing import ListingPage, list_folder, position_untrusted
from client.engine.shares.lookout import Lookout
from client.engine.shares.offers import OnDisk
from client.engine.shares.publish import Publisher
from client.engine.shares.scan import Rules, Skipped
from client.engine.shares.stocktaking import Stocktaking, path_inside
from client.engine.shares.tag_worker import TagReader
from client.engine.shares.tagging import Tagging
from client.engine.status import ShareView
from client.engine.watch import Watch
from p2pshare.database import Database
from p2pshare.errors import LocalTrouble, Reason, Refused
from p2pshare.hashing import FileId, PieceHashes
from p2pshare.names import display
from p2pshare.wire.fields import Offer

RETRY_S = 30  # after the database failed, as on a full disk


class Shares:
    """What this client shares. `run` does the background work; everything else may be called without it."""

    def __init__(
        self,
        database: Database,
        offload: Offload,
        publisher: Publisher,
        rules: Rules,
        *,
        tag_reader: TagReader | None,
        watch: bool,
        busy: Callable[[], bool] = lambda: False,
        unix_now: Callable[[], float] = time.time,
        check_every_s: float = math.inf,
    ) -> None:
        """`watch`: hear of changes at once, by threads, so not in simulations. While `busy()`, hashing gives
        way to others. Without a `tag_reader` no tags are offered. Each file is read and held against its
        hashes every `check_every_s`."""
        self.problem = Watch("")  # what holds up the background work, in a sentence; empty if nothing
        self._database = database
        self._offload = offload
        self._publisher = publisher
        self._watching = watch
        self._unix_now = unix_now
        self._stock = Stocktaking(database, offload, rules, unix_now=unix_now, on_touched=self._touched)
        self._lookout = Lookout(self._stock, offload, rules)
        self._hashing = HashingQueue(
            database,
            offload,
            busy=busy,
            unix_now=unix_now,
            on_hashed=publisher.touch,
            on_unsettled=self._look_again,
        )
        self.checking = Checking(
            database,
            offload,
            every_s=check_every_s,
            busy=busy,
            unix_now=unix_now,
            on_touched=self._touched,
            on_unsettled=self._look_again,
        )
        self._tagging = None
        if tag_reader is not None:
            self._tagging = Tagging(database, offload, tag_reader, on_tagged=publisher.touch)

    # --- shared folders

    async def add(self, path: str) -> ShareView:
        """Share a folder. Its files are offered when this returns. Adding it again looks for changes.

        Raises LocalTrouble: no such folder, or it lies within a shared one, or the other way round.
        """
        root = await self._offload.run(_resolve_folder, path)
        share = await self._stock.add(root)
        await self._stock.look(share)
        return next(view for view in await self.views() if view.path == root)

    async def remove(self, path: str) -> None:
        """Share a folder, given by its path or the name others see, no longer. Nothing on disk is touched."""
        root = await self._offload.run(_real_path, path)
        for share in await self._stock.load():
            if path == share.top.name or root == share.top.root:
                return await self._stock.forget(share)
        raise LocalTrouble(f"{display(path)} is not shared. `p2pshare status` lists the shared folders.")

    def obey(self, rules: Rules) -> None:
        """Other rules of what is offered, from now on. Everything is looked at again in the background."""
        self._stock.rules = self._lookout.rules = rules
        for share in self._stock.shares.value:
            self._lookout.soon(share.id)

    async def rescan(self) -> tuple[ShareView, ...]:
        """Look for changes in every shared folder now."""
        for share in await self._stock.load():
            await self._stock.look(share)
        return await self.views()

    async def views(self) -> tuple[ShareView, ...]:
        """All shares, by name."""
        return tuple(
            ShareView(
                path=share.top.root,
                name=share.top.name,
                files=standing.files,
                bytes=standing.bytes,
                hashed=standing.hashed,
                problem=self._problem_of(share, standing.away),
                rotten=standing.rotten,
            )
            for share, standing in await self._database.read(inventory.shares)
        )

    @property
    def hashing(self) -> str:
        """Name of the file that is being hashed; empty if none."""
        return self._hashing.current.value

    # --- files

    async def hold(self, file: FileId) -> SharedFile | None:
        """A shared file, open; the caller closes it. None if it is not shared.

        Raises Refused when every copy of it changed, vanished or cannot be read.
        """
        refusal = None
        for copy, known in await self._database.read(offers.copies_of, file):
            try:
                return await open_shared_file(
                    copy.root, copy.parts, copy.stamp, known.hashes, self._offload, known.good
                )
            except Refused as error:
                refusal = error
                self._look_again(copy)
        if refusal is not None:
            raise refusal
        return None

    async def hash_now(self, offer: int) -> FileId:
        """The file id of an offer; the file is hashed before all others if need be. Needs `run`.

        Raises Refused: NO_SUCH_FILE, FILE_CHANGED, FAILED.
        """
        return await self._hashing.hash_now(offer)

    async def hold_offer(self, offer: int) -> SharedFile | None:
        """The same as `hash_now` and `hold`."""
        return await self.hold(await self.hash_now(offer))

    async def find_offer(self, offer: int) -> Offer | None:
        """By number."""
        return await self._database.read(offers.find_offer, offer)

    async def find_path(self, path: str) -> Offer | None:
        """The offer of a file on this machine; None if it is not shared."""
        path = await self._offload.run(_real_path, path)
        for share in await self._stock.load():
            if inside := path_inside(share.top.root, path):
                folder, _, name = inside.rpartition("/")
                return await self._database.read(offers.find_offer_at, share.id, folder, name)
        return None

    async def place(self, path: str) -> Place:
        """What a person means by a path on this machine. Raises LocalTrouble if nothing of it is shared."""
        real = await self._offload.run(_real_path, path)
        for share in await self._stock.load():
            if path == share.top.name or real == share.top.root:
                return Place(share.id)
            if inside := path_inside(share.top.root, real):
                return Place(share.id, inside)
        raise LocalTrouble(f"{display(path)} is not shared. `p2pshare share` lists the shared folders.")

    async def held_among(self, files: Iterable[FileId]) -> frozenset[FileId]:
        """Those of the files that are shared here."""
        return await self._database.read(offers.held_among, tuple(files))

    async def adopt(self, path: str, hashes: PieceHashes) -> int | None:
        """Take in a finished download without hashing it again. Returns its offer; None if it is in no share.

        Raises LocalTrouble if the file is not there, or has another size.
        """
        return await self._stock.adopt(path, hashes)

    async def adopt_all(self, files: Sequence[tuple[str, Stamp, PieceHashes]]) -> frozenset[str]:
        """The same for many files, by path and stamp. Returns the paths of those that lie in shares."""
        return await self._stock.adopt_all(files)

    async def listing(self, folder: str, cursor: bytes = b"") -> ListingPage:
        """One page of a folder ("" is the top). Raises Refused(NO_SUCH_FILE); BadMessage for the cursor."""
        after = position_untrusted(cursor)
        page = await self._database.read(list_folder, folder, after)
        if page is None:
            raise Refused(Reason.NO_SUCH_FILE, "That folder is not shared here, or not any more.")
        return page

    # --- in the background

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look, hash and read tags until cancelled. Started once the shares are known."""
        await self._database.write(hash_cache.prune, self._unix_now())
        await self._stock.load()
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._lookout.look_regularly)
            nursery.start_soon(self._persistently, self._lookout.look_where_asked)
            nursery.start_soon(self._persistently, self._hashing.run)
            nursery.start_soon(self._persistently, self.checking.run)
            if self._tagging is not None:
                nursery.start_soon(self._persistently, self._tagging.run)
            if self._watching:
                nursery.start_soon(self._lookout.hear_of_changes)

    async def _persistently(self, work: Callable[[], Awaitable[None]]) -> None:
        """Go on after trouble that may pass, as a full disk."""
        while True:
            try:
                await work()
            except LocalTrouble as error:
                self.problem.set(str(error))
                await trio.sleep(RETRY_S)
                self.problem.set("")

    def _touched(self, numbers: Sequence[int]) -> None:
        """Offers are new, different or gone."""
        if numbers:
            self._publisher.touch(numbers)
            self._hashing.files_changed(numbers)
            if self._tagging is not None:
                self._tagging.look_again()

    def _look_again(self, file: OnDisk) -> None:
        """A file is not what it was."""
        self._lookout.soon(file.share, {file.folder: False})

    def _problem_of(self, share: Share, away: bool) -> str:
        if away:
            return "The folder cannot be opened just now. Its files are offered again as soon as it is back."
        unreadable = sum(1 for file in self._hashing.unreadable.values() if file.share == share.id)
        return (self._stock.skipped(share) + Skipped(unreadable_files=unreadable)).sentences()


def _real_path(path: str) -> str:
    return os.path.realpath(os.path.expanduser(path))


def _resolve_folder(path: str) -> str:
    root = _real_path(path)
    try:
        os.listdir(root)
        root.encode()
    except UnicodeEncodeError:
        raise LocalTrouble(
            f"{display(root)} has a name that is not valid text. Rename it, then share it."
        ) from None
    except FileNotFoundError:
        raise LocalTrouble(f"{display(path)} does not exist. Check the spelling.") from None
    except NotADirectoryError:
        raise LocalTrouble(f"{display(path)} is not a folder. Share the folder it is in.") from None
    except OSError as error:
        raise LocalTrouble(f"{display(path)} cannot be read: {error.strerror}.") from None
    if os.path.dirname(root) == root:
        raise LocalTrouble("A whole disk cannot be shared. Choose a folder on it.")
    return root
