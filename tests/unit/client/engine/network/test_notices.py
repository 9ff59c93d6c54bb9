from __future__ import annotations

from client.engine.network.notices import KEPT, Notices
from p2pshare.wire.account import Announcement


def test_the_last_announcements_are_kept_and_each_once() -> None:
    notices = Notices()
    for at in range(KEPT + 2):
        for _ in range(2):
            notices.hear(Announcement(at=at, text=f"word {at}"))
    assert [said.at for said in notices.heard] == list(range(2, KEPT + 2))
    assert notices.heard[-1].text == f"word {KEPT + 1}"
