"""When to look into which shared folder.

Where a change was heard of, where somebody stumbled over one, and everywhere from time to time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import aclosing

import trio

from client.engine.offload import Offload
from client.engine.shares.folder_watch import changed_paths
from client.engine.shares.scan import Rules, Top
from client.engine.shares.stocktaking import WHOLE, Stocktaking, path_inside

LOOK_EVERY_S = 900  # into everything: network drives tell of no changes, and a watch may fail
LOOK_FOR_AWAY_S = 30  # whether a drive was plugged in again
PAUSE_S = 0.5  # between two looks, at least: a file that is being written changes all the time
FOLDERS_MAX = 1_000  # with more to look at, the whole share is looked into


class Lookout:
    """Three tasks, run by `Shares`."""

    def __init__(self, stock: Stocktaking, offload: Offload, rules: Rules) -> None:
        self._stock = stock
        self._offload = offload
        self.rules = rules
        self._asked: dict[int, dict[str, bool]] = {}  # by share; see Stocktaking.look
        self._anything = trio.Event()

    def soon(self, share: int, folders: Mapping[str, bool] = WHOLE) -> None:
        """Look there when there is time."""
        asked = self._asked.setdefault(share, {})
        for folder, deep in folders.items():
            asked[folder] = deep or asked.get(folder, False)
        if len(asked) > FOLDERS_MAX:
            self._asked[share] = dict(WHOLE)
        self._anything.set()

    async def look_where_asked(self) -> None:
        while True:
            await self._anything.wait()
            self._anything = trio.Event()
            asked, self._asked = self._asked, {}
            began = trio.current_time()
            for share in self._stock.shares.value:
                if folders := asked.get(share.id):
                    await self._stock.look(share, WHOLE if folders.get("") else folders)
            await trio.sleep(max(PAUSE_S, trio.current_time() - began))

    async def look_regularly(self) -> None:
        """At once, and then every LOOK_EVERY_S."""
        while True:
            for share in self._stock.shares.value:
                self.soon(share.id)
            with trio.move_on_after(LOOK_EVERY_S):
                while True:
                    await trio.sleep(LOOK_FOR_AWAY_S)
                    for share in self._stock.shares.value:
                        if share.id not in self._stock.present.value:
                            self.soon(share.id)

    async def hear_of_changes(self) -> None:
        """Watch every share that is there."""
        hearing: dict[int, trio.CancelScope] = {}
        present: Mapping[int, Top] = {}
        async with trio.open_nursery() as nursery:
            while True:
                present = await self._stock.present.other_than(present)
                for gone in hearing.keys() - present.keys():
                    hearing.pop(gone).cancel()
                for new in present.keys() - hearing.keys():
                    hearing[new] = trio.CancelScope()
                    nursery.start_soon(self._hear, new, present[new], hearing[new])

    async def _hear(self, share: int, top: Top, scope: trio.CancelScope) -> None:
        with scope:
            try:
                async with aclosing(changed_paths(top.root)) as changes:
                    await anext(changes)
                    self.soon(share)  # what changed before the watch stood
                    async for paths in changes:
                        if paths := self._stock.heard_of(paths):
                            folders = await self._offload.run(folders_to_look_at, top.root, self.rules, paths)
                            self.soon(share, folders)
            except (OSError, RuntimeError):
                pass  # the folder went away, or the system has no more watches: it is looked at regularly


def folders_to_look_at(root: str, rules: Rules, paths: Iterable[str]) -> dict[str, bool]:
    """The folders of a share, and whether to look deep, after these absolute paths changed."""
    folders: dict[str, bool] = {}
    for path in paths:
        inside = path_inside(root, path)
        if not inside:
            return dict(WHOLE)
        if rules.passes_over_any(root, inside):
            continue
        folders.setdefault(inside.rpartition("/")[0], False)
        if os.path.isdir(path):  # made, or moved here with all that is in it
            folders[inside] = True
    return folders
