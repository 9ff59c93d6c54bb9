"""Frozen snapshots: the only types that a front (command line, window, browser) sees. No secrets in here.

Every snapshot is plain data that survives a trip through JSON, because a second process asks the running
engine over a local socket (`control.py`). Sizes in bytes, times in seconds; `*_at` is Unix time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class TagsView:
    """What a file says of itself; empty or 0 where it says nothing."""

    title: str = ""
    artist: str = ""
    album: str = ""
    track: int = 0
    year: int = 0
    length_s: int = 0
    bitrate_kbps: int = 0
    lossless: bool = False
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class SourceView:
    """One person who holds a file, found on one index server."""

    person: str  # node id in text form
    nick: str
    server: str  # node id of the index server that named them
    offer: int
    partial: bool
    reachable: bool


@dataclass(frozen=True)
class ResultView:
    """One file found by a search, merged over all servers."""

    number: int  # 1, 2, ... in the order shown; `p2pshare get NUMBER`
    file: str | None  # file id in text form; None while its one owner has not hashed it
    name: str
    folder: str
    size: int
    kind: str  # "audio", "video", ...
    tags: TagsView
    source_count: int
    sources: tuple[SourceView, ...]
    have: bool  # shared or downloaded here already
    link: str | None


@dataclass(frozen=True)
class SearchView:
    """What a search found so far."""

    query: str
    total: int
    results: tuple[ResultView, ...]
    servers_asked: int
    problems: tuple[str, ...]  # one sentence per server that did not answer or refused
    more: bool  # further pages exist


class ServerState(StrEnum):
    """How the engine stands with one index server."""

    CONNECTING = "connecting"
    ONLINE = "online"
    WAITING = "waiting to reconnect"
    REFUSED = "refused"


@dataclass(frozen=True)
class ServerView:
    """One index server."""

    server: str  # node id in text form
    name: str
    address: str
    state: ServerState
    nick: str
    reachable: bool | None  # whether the server could reach our port; None while unknown
    offers_published: int
    offers_pending: int
    problem: str  # one sentence; empty if there is none
    retry_in_s: float


@dataclass(frozen=True)
class ShareView:
    """One shared folder."""

    path: str
    name: str  # the top folder others see
    files: int
    bytes: int
    hashed: int  # files with a file id by now
    problem: str


class DownloadState(StrEnum):
    """Where a download stands. It goes on by itself in every state but the last four."""

    LOOKING = "looking for sources"
    CONNECTING = "connecting"
    QUEUED = "queued"
    RUNNING = "downloading"
    FINISHING = "finishing"
    STUCK = "stuck"  # needs something from the person (disk full, folder gone); goes on once it is mended
    PAUSED = "paused"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class DownloadSourceView:
    """One source of a running download."""

    person: str
    nick: str
    state: str  # "connecting", "queued", "downloading", "idle", "gone", "lied"
    position: int  # in the queue there; 0 if a slot is held
    wait_s: int
    done_bytes: int  # verified bytes that came from it
    rate: float  # bytes per second
    path: str  # "direct, IPv4"


@dataclass(frozen=True)
class DownloadView:
    """One download of one file."""

    id: int
    name: str
    target: str  # where the finished file goes
    file: str | None
    size: int
    done_bytes: int  # verified and written
    state: DownloadState
    problem: str  # one sentence; empty if there is none
    rate: float
    eta_s: float | None
    sources: tuple[DownloadSourceView, ...]
    folder: str  # name of the folder download that it belongs to; empty if none
    wasted_bytes: int  # arrived and thrown away: bad or duplicate
    added_at: float
    finished_at: float | None


@dataclass(frozen=True)
class UploadView:
    """One person being served, or waiting to be."""

    person: str
    nick: str
    files: tuple[str, ...]  # names of the files they have open
    position: int  # 0: holds a slot
    wait_s: int
    sent_bytes: int
    rate: float
    connected_at: float


@dataclass(frozen=True)
class EntryView:
    """One line of somebody's shares."""

    name: str
    is_folder: bool
    size: int
    files: int  # in a folder, at any depth; 1 for a file
    offer: int | None
    file: str | None
    tags: TagsView


@dataclass(frozen=True)
class ListingView:
    """One folder of somebody's shares."""

    person: str
    nick: str
    folder: str
    entries: tuple[EntryView, ...]
    files: int
    bytes: int


@dataclass(frozen=True)
class EngineView:
    """Everything at one glance."""

    person: str  # our own node id in text form
    short: str
    nick: str
    profile: str
    port: int
    servers: tuple[ServerView, ...]
    shares: tuple[ShareView, ...]
    hashing: str  # name of the file being hashed; empty if none
    hashing_left: int  # files not hashed yet
    downloads_running: int
    uploads_running: int
    download_rate: float
    upload_rate: float
    downloaded_bytes: int  # since the profile was made
    uploaded_bytes: int
    people_served: int
    lan: tuple[str, ...]  # people seen on the local network, "nick (short id)"
    problem: str  # what keeps the network from working, in one sentence with what to do; empty if nothing
