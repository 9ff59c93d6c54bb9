"""The operator's words: the message of the day for whoever logs in, and announcements for everybody at once.

Whoever is away when something is announced hears of it at the next login, within some days.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable

import trio

from index_server import store
from p2pshare.database import Database
from p2pshare.transport.channel import Channel
from p2pshare.wire.account import Announcement

CHOICE = "message"
KEPT = 10  # announcements; older ones are nobody's news
KEPT_S = 7 * 86_400
AT_ONCE = 100  # channels that are written to without a pause: some 3 ms


class Bulletin:
    """What is said now. What the operator chose at run time holds until it is chosen otherwise."""

    def __init__(self, database: Database, usual: str, *, unix_now: Callable[[], float]) -> None:
        """`usual`: the message of the day by the settings."""
        self._database = database
        self._usual = usual
        self._chosen: str | None = None
        self._unix_now = unix_now
        self._said: deque[Announcement] = deque(maxlen=KEPT)

    @property
    def message(self) -> str:
        """The message of the day."""
        return self._usual if self._chosen is None else self._chosen

    @property
    def said(self) -> tuple[Announcement, ...]:
        """What was announced lately, oldest first."""
        return tuple(one for one in self._said if one.at > self._unix_now() - KEPT_S)

    async def load(self) -> None:
        self._chosen = await self._database.read(store.chosen, CHOICE)
        self._said.extend(await self._database.read(_announcements))

    async def choose(self, message: str | None) -> None:
        """None: what the settings say."""
        await self._database.write(store.choose, CHOICE, message)
        self._chosen = message

    async def announce(self, text: str, channels: Iterable[Channel]) -> int:
        """Tell everybody who is online; returns how many those are."""
        announcement = Announcement(at=int(self._unix_now()), text=text)
        await self._database.write(_keep, announcement)
        self._said.append(announcement)
        told = 0
        for told, channel in enumerate(channels, start=1):
            channel.post(announcement)
            if told % AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
        return told

    def tell_missed(self, channel: Channel, seen_at: int) -> None:
        """Tell somebody who has just logged in what was announced since they were last here."""
        for announcement in self.said:
            if announcement.at >= seen_at:
                channel.post(announcement)


def _announcements(connection: sqlite3.Connection) -> list[Announcement]:
    rows = connection.execute("SELECT at, text FROM announcement ORDER BY id")
    return [Announcement(at=at, text=text) for at, text in rows]


def _keep(connection: sqlite3.Connection, announcement: Announcement) -> None:
    connection.execute(
        "INSERT INTO announcement (at, text) VALUES (?, ?)", (announcement.at, announcement.text)
    )
    connection.execute("DELETE FROM announcement WHERE id <= (SELECT max(id) FROM announcement) - ?", (KEPT,))
