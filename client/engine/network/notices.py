"""What the operator of one index server says: the message of the day, and announcements."""

from __future__ import annotations

from client.engine.status import AnnouncementView
from p2pshare.wire.account import Announcement

KEPT = 10  # announcements; a server that says more is talking to itself


class Notices:
    """Of one server, since this program runs."""

    def __init__(self) -> None:
        self.welcome = ""
        """The message of the day."""
        self.heard: tuple[AnnouncementView, ...] = ()
        """Oldest first."""

    def hear(self, announcement: Announcement) -> None:
        """After a lost connection a server may say something again."""
        view = AnnouncementView(announcement.at, announcement.text)
        if view not in self.heard:
            self.heard = (*self.heard, view)[-KEPT:]
