"""Who sent wrong data, and for how long they are left alone. Remembered by key, over downloads and restarts.

A piece that does not match its hash came over a channel that only the owner of a key could speak on: there is
no doubt who sent it. Yet it need not be malice, for a failing disk lies, too. So one lie costs somebody that
file for a month and everything else for some hours, and only who lies about one file after the other is left
alone for long. Who is slow, silent or gone did nothing wrong.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from dataclasses import dataclass

import trio

from client.engine.status import DistrustedView
from p2pshare.database import Database
from p2pshare.errors import LocalTrouble
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId, format_node_id

SAME_FILE_S = 30 * 86_400.0  # they are not asked for that file again; lies older than this are forgotten
FIRST_S = 6 * 3_600.0  # they are not asked for anything; long enough to notice a bad disk ...
GROWTH = 4.0  # ... and so much longer with each further file: 6 h, 1 day, 4 days, 16 days
LONGEST_S = 30 * 86_400.0
LIES_MAX = 10_000  # remembered; the oldest is forgotten
RETRY_S = 30.0  # after the database failed, as on a full disk


@dataclass(frozen=True)
class Lie:
    """Somebody sent data for a file that was none of it."""

    node: NodeId
    file: FileId
    nick: str
    told_at: float  # Unix seconds


class Lies:
    """All of them, and what follows. Pure."""

    def __init__(self) -> None:
        self._by_node: dict[NodeId, dict[FileId, Lie]] = {}
        self._count = 0

    def add(self, lie: Lie) -> None:
        """The same lie again counts from then on, but once."""
        told = self._by_node.setdefault(lie.node, {})
        self._count += lie.file not in told
        told[lie.file] = lie
        if self._count > LIES_MAX:
            oldest = min((lie for told in self._by_node.values() for lie in told.values()), key=_age_key)
            self._drop(oldest)

    def forgive(self, node: NodeId) -> bool:
        """Whether there was anything to forgive."""
        gone = self._by_node.pop(node, {})
        self._count -= len(gone)
        return bool(gone)

    def avoids(self, node: NodeId, file: FileId | None, unix_now: float) -> bool:
        """Whether they are not to be asked for this file now."""
        told = self._recent(node, unix_now)
        return bool(told) and (file in told or unix_now < _until(told.values()))

    def nodes(self, unix_now: float) -> list[NodeId]:
        """Everybody who did not tell the truth lately."""
        return [node for node in list(self._by_node) if self._recent(node, unix_now)]

    def told_by(self, node: NodeId, unix_now: float) -> tuple[list[Lie], float]:
        """What they told lately, oldest first, and until when they are left alone."""
        told = sorted(self._recent(node, unix_now).values(), key=_age_key)
        return told, _until(told)

    def _recent(self, node: NodeId, unix_now: float) -> dict[FileId, Lie]:
        told = self._by_node.get(node, {})
        for lie in [lie for lie in told.values() if unix_now - lie.told_at > SAME_FILE_S]:
            self._drop(lie)
        return self._by_node.get(node, {})

    def _drop(self, lie: Lie) -> None:
        told = self._by_node[lie.node]
        del told[lie.file]
        self._count -= 1
        if not told:
            del self._by_node[lie.node]


def _age_key(lie: Lie) -> float:
    return lie.told_at


def _until(told: Collection[Lie]) -> float:
    if not told:
        return 0.0
    return max(lie.told_at for lie in told) + min(LONGEST_S, FIRST_S * GROWTH ** (len(told) - 1))


class Distrust:
    """The same, kept in the library. `run` writes it down."""

    def __init__(self, database: Database, unix_now: Callable[[], float]) -> None:
        self._database = database
        self._unix_now = unix_now
        self._lies = Lies()
        self._unwritten: list[Lie] = []
        self._work = trio.Event()

    async def load(self) -> None:
        """What is known from earlier."""
        now = self._unix_now()
        for lie in await self._database.read(load_lies):
            # A time that lies ahead is from a clock that was wrong: count from now.
            self._lies.add(Lie(lie.node, lie.file, lie.nick, min(lie.told_at, now)))

    def caught(self, node: NodeId, nick: str, file: FileId) -> None:
        """They just sent wrong data for this file."""
        lie = Lie(node, file, nick, self._unix_now())
        self._lies.add(lie)
        self._unwritten.append(lie)
        self._work.set()

    def avoids(self, node: NodeId, file: FileId | None) -> bool:
        return self._lies.avoids(node, file, self._unix_now())

    async def forgive(self, person: str) -> tuple[NodeId, ...]:
        """Trust somebody again, given by nick or key; "all" for everybody. Returns who that is.

        Raises LocalTrouble if nobody of that name is distrusted.
        """
        views = {view.person: view for view in self.views()}
        wanted = [
            node
            for node in self._lies.nodes(self._unix_now())
            if person in ("all", format_node_id(node), views[format_node_id(node)].nick)
        ]
        if not wanted and person != "all":
            raise LocalTrouble(f"Nobody called {person} is distrusted. `p2pshare distrusted` lists them.")
        await self._database.write(forget_lies, wanted)
        for node in wanted:
            self._lies.forgive(node)
        self._unwritten = [lie for lie in self._unwritten if lie.node not in wanted]
        return tuple(wanted)

    def views(self) -> tuple[DistrustedView, ...]:
        """Who is distrusted, the latest last."""
        views = []
        for node in self._lies.nodes(self._unix_now()):
            told, until = self._lies.told_by(node, self._unix_now())
            views.append(
                DistrustedView(format_node_id(node), told[-1].nick, len(told), told[-1].told_at, until)
            )
        return tuple(sorted(views, key=lambda view: view.last_at))

    async def run(self) -> None:
        """Write down, for ever."""
        while True:
            await self._work.wait()
            self._work = trio.Event()
            writing = list(self._unwritten)
            try:
                await self._database.write(save_lies, writing, self._unix_now())
            except LocalTrouble:  # until there is room it is known to this run alone
                await trio.sleep(RETRY_S)
                self._work.set()
            else:
                self._unwritten = [lie for lie in self._unwritten if lie not in writing]


def load_lies(db: sqlite3.Connection) -> list[Lie]:
    rows = db.execute(
        "SELECT node, file_id, nick, told_at FROM lie ORDER BY told_at DESC LIMIT ?", (LIES_MAX,)
    )
    return [Lie(NodeId(node), FileId(file), nick, told_at) for node, file, nick, told_at in rows]


def save_lies(db: sqlite3.Connection, lies: list[Lie], unix_now: float) -> None:
    """Write down new ones, and forget what is old or too much."""
    db.executemany(
        "INSERT OR REPLACE INTO lie(node, file_id, nick, told_at) VALUES (?, ?, ?, ?)",
        [(lie.node, lie.file, lie.nick, lie.told_at) for lie in lies],
    )
    db.execute("DELETE FROM lie WHERE told_at < ?", (unix_now - SAME_FILE_S,))
    db.execute(
        "DELETE FROM lie WHERE told_at < (SELECT told_at FROM lie ORDER BY told_at DESC LIMIT 1 OFFSET ?)",
        (LIES_MAX - 1,),
    )


def forget_lies(db: sqlite3.Connection, nodes: list[NodeId]) -> None:
    db.executemany("DELETE FROM lie WHERE node = ?", [(node,) for node in nodes])
