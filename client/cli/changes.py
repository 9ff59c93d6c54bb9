"""What happened between two looks at the engine, as lines for a log. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from client.cli import words
from client.engine.status import (
    DownloadState,
    DownloadView,
    EngineView,
    ServerState,
    ServerView,
    ShareView,
    UploadView,
)
from p2pshare.names import display


@dataclass(frozen=True)
class Look:
    """Everything worth a line."""

    engine: EngineView
    downloads: tuple[DownloadView, ...]
    uploads: tuple[UploadView, ...]


def changes(before: Look | None, now: Look) -> Iterator[str]:
    """One line per change; all that is, if there was no look before."""
    engine, earlier = now.engine, before.engine if before else None
    servers = {server.server: server for server in earlier.servers} if earlier else {}
    for server in engine.servers:
        yield from _server(servers.get(server.server), server)
    shares = {share.path: share for share in earlier.shares} if earlier else {}
    for share in engine.shares:
        yield from _share(shares.get(share.path), share)
    for path in shares.keys() - {share.path for share in engine.shares}:
        yield f"{display(path)} is no longer shared."
    if engine.problem and (earlier is None or engine.problem != earlier.problem):
        yield display(engine.problem)
    people = earlier.lan if earlier else ()
    yield from (f"{display(who)} is on the local network." for who in engine.lan if who not in people)
    yield from (f"{display(who)} left the local network." for who in people if who not in engine.lan)
    new = engine.wish_hits_new - (earlier.wish_hits_new if earlier else 0)
    if new > 0:
        yield f"{words.count(new, 'new file')} for your wishes. See `p2pshare wish hits`."
    states = {view.id: view.state for view in before.downloads} if before else {}
    for view in now.downloads:
        if view.state is not states.get(view.id) and (before or view.state not in _AT_REST):
            yield f"{display(view.name)}: {words.progress(view)}"
    yield from _uploads(before.uploads if before else (), now.uploads)


_AT_REST = (DownloadState.COMPLETE, DownloadState.FAILED, DownloadState.CANCELLED)


def _server(before: ServerView | None, now: ServerView) -> Iterator[str]:
    name = display(now.name or now.address)
    if before is None or before.state is not now.state:
        if now.state is ServerState.ONLINE:
            yield f"Online at {name} as {display(now.nick)}."
        elif now.state is not ServerState.CONNECTING:
            yield f"Not connected to {name}: {display(now.problem or now.state.value)}"
    elif now.problem and now.problem != before.problem:
        yield f"{name}: {display(now.problem)}"
    if now.reachable is not None and (before is None or before.reachable is not now.reachable):
        if now.reachable:
            yield f"{name} can reach us from outside."
        else:
            yield f"{name} cannot reach us from outside: people behind routers may not get files from us."
    heard = before.announcements if before else ()
    yield from (f"{name} says, {words.announcement(said)}" for said in now.announcements if said not in heard)


def _share(before: ShareView | None, now: ShareView) -> Iterator[str]:
    if before is None or before.files != now.files:
        yield f"Sharing {display(now.path)}: {words.count(now.files, 'file')}, {words.size(now.bytes)}."
    if now.problem and (before is None or before.problem != now.problem):
        yield f"{display(now.path)}: {display(now.problem)}"
    if now.files and now.hashed == now.files and before is not None and before.hashed < before.files:
        yield f"All of {display(now.path)} is hashed."


def _uploads(before: tuple[UploadView, ...], now: tuple[UploadView, ...]) -> Iterator[str]:
    known = {view.person: view for view in before}
    for view in now:
        earlier = known.pop(view.person, None)
        new = [name for name in view.files if earlier is None or name not in earlier.files]
        if new:
            waits = f", number {view.position} in the queue" if view.position else ""
            yield f"{display(view.nick)} wants {', '.join(display(name) for name in new)}{waits}."
    for gone in known.values():
        yield f"{display(gone.nick)} is gone; {words.size(gone.sent_bytes)} were sent."
