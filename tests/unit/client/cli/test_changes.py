from __future__ import annotations

from dataclasses import replace

import pytest

from client.cli.changes import Look, changes
from client.engine.status import (
    AnnouncementView,
    DownloadState,
    EngineView,
    ServerState,
    ShareView,
    UploadView,
)
from tests.fake_face import ANNA, FakeFace, download_view, server_view


@pytest.fixture
async def quiet() -> EngineView:
    return replace(await FakeFace().status(), servers=())


async def test_nothing_new_is_no_line(quiet: EngineView) -> None:
    look = Look(quiet, (download_view(1, "a", DownloadState.RUNNING),), ())
    assert list(changes(look, look)) == []


async def test_a_first_look_tells_all_but_what_is_over(quiet: EngineView) -> None:
    views = (download_view(1, "a", DownloadState.PAUSED), download_view(2, "b", DownloadState.COMPLETE, 1.0))
    engine = replace(
        quiet,
        servers=(server_view(),),
        shares=(ShareView("/m", "m", 3, 9, 0, ""),),
        lan=("anna (x)",),
        problem="Bad.",
    )
    assert list(changes(None, Look(engine, views, ()))) == [
        "Online at The Index as me.",
        "The Index can reach us from outside.",
        "Sharing /m: 3 files, 9 B.",
        "Bad.",
        "anna (x) is on the local network.",
        "a: paused, 0 %",
    ]


async def test_an_announcement_is_a_line_once(quiet: EngineView) -> None:
    before = Look(replace(quiet, servers=(server_view(),)), (), ())
    server = replace(server_view(), announcements=(AnnouncementView(1.0, "We move."),))
    after = Look(replace(quiet, servers=(server,)), (), ())
    [line] = changes(before, after)
    assert line.startswith("The Index says, ") and line.endswith(": We move.")
    assert list(changes(after, after)) == []


async def test_each_change_is_one_line(quiet: EngineView) -> None:
    up = UploadView(ANNA, "an\x1bna", ("a.flac",), 1, 0, 0, 0.0, 1.0)
    before = Look(
        replace(quiet, servers=(server_view(),), shares=(ShareView("/m", "m", 3, 9, 0, ""),), lan=("anna",)),
        (download_view(1, "a", DownloadState.RUNNING),),
        (),
    )
    after = Look(
        replace(quiet, servers=(server_view(ServerState.WAITING, "Gone."),), shares=()),
        (download_view(1, "a", DownloadState.COMPLETE, 1.0),),
        (up,),
    )
    assert list(changes(before, after)) == [
        "Not connected to The Index: Gone.",
        "/m is no longer shared.",
        "anna left the local network.",
        "a: complete",
        "an\\x1bna wants a.flac, number 1 in the queue.",
    ]
    served = Look(after.engine, after.downloads, (replace(up, position=0, files=("a.flac", "b.flac")),))
    assert list(changes(after, served)) == ["an\\x1bna wants b.flac."]
    assert list(changes(served, replace(served, uploads=()))) == ["an\\x1bna is gone; 0 B were sent."]


async def test_hashing_that_is_done_is_told_once(quiet: EngineView) -> None:
    some = Look(replace(quiet, shares=(ShareView("/m", "m", 3, 9, 2, ""),)), (), ())
    done = Look(replace(quiet, shares=(ShareView("/m", "m", 3, 9, 3, ""),)), (), ())
    assert list(changes(some, done)) == ["All of /m is hashed."]
    assert list(changes(done, done)) == []
