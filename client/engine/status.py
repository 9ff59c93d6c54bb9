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
    wait_s: int | None = None  # for a slot, as they say; 0: one is free; None: they did not say
    speed: str = "unknown"  # how fast they gave to others: "medium", "fast", "very_fast"


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
    had: bool = False  # not here now, but it was
    names: tuple[str, ...] = ()  # other names that people have for it
    free: int = 0  # how many of the sources say that a slot is free
    contacts: int = 0  # how many of the sources, at least, are people in "contacts" or "trusted"
    doubts: tuple[str, ...] = ()  # why it is ranked down: "names_differ", "new_accounts", "one_person"


class ServerState(StrEnum):
    """How the engine stands with one index server."""

    CONNECTING = "connecting"
    ONLINE = "online"
    WAITING = "waiting to reconnect"
    REFUSED = "refused"


@dataclass(frozen=True)
class AnnouncementView:
    """What the operator of an index server said to everybody."""

    at: float
    text: str


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
    welcome: str = ""  # the operator's message of the day
    announcements: tuple[AnnouncementView, ...] = ()  # oldest first


@dataclass(frozen=True)
class RecordView:
    """One page of everything that an index server keeps about our account."""

    server: str  # its name
    lines: tuple[str, ...]  # each a JSON object
    cursor: str  # for the next page; empty on the last


@dataclass(frozen=True)
class ShareView:
    """One shared folder."""

    path: str
    name: str  # the top folder others see
    files: int
    bytes: int
    hashed: int  # files with a file id by now
    problem: str
    rotten: int = 0  # files that a check found damaged; `p2pshare repair` mends them


@dataclass(frozen=True)
class RottenView:
    """A shared file that the disk does not give back as it was."""

    path: str
    file: str  # file id in text form
    size: int
    bad_pieces: int


@dataclass(frozen=True)
class CheckView:
    """How a check that the person asked for stands, or how the last one ended."""

    running: bool
    name: str  # of the file being checked; empty if none
    files: int  # of the whole check
    files_done: int
    bytes: int
    bytes_done: int
    changed: int  # files that were edited since they were hashed: they are hashed again
    rotten: tuple[RottenView, ...]
    unreadable: tuple[str, ...]  # paths


@dataclass(frozen=True)
class DistrustedView:
    """Somebody who sent wrong data, and is left alone for a while."""

    person: str  # node id in text form
    nick: str
    files: int  # with how many of them
    last_at: float
    until: float  # Unix time; then they are asked again, but for those files


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


class Priority(StrEnum):
    """How urgent a download is beside others."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def rank(self) -> int:
        """Greater is more urgent."""
        return (Priority.LOW, Priority.NORMAL, Priority.HIGH).index(self)


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
    files: int = 0  # of a folder, how many it has; 0: this is a file
    files_done: int = 0  # of a folder, how many of them are complete
    priority: Priority = Priority.NORMAL


@dataclass(frozen=True)
class PlayView:
    """A file that a player on this machine can open, complete or not."""

    url: str  # for whoever knows it; valid as long as the engine runs
    name: str
    size: int
    type: str  # as in HTTP, "video/mp4"; "application/octet-stream" if it is nothing that is played
    download: DownloadView | None  # None if it is shared from here


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
    group: str = "everyone"


@dataclass(frozen=True)
class LimitView:
    """A limit of bytes a second as it holds now."""

    name: str  # "up", "down", "trusted.up" ...
    rate: int  # KiB per second; 0 for no limit
    line: str  # of the schedule, if it decides; otherwise empty
    usual: int  # what the settings say, for when no line does


@dataclass(frozen=True)
class SettingView:
    """Something that a person can choose."""

    name: str  # in a table with dots: "groups.trusted.slots"
    value: str | bool | int | tuple[str, ...]
    default: str | bool | int | tuple[str, ...]
    doc: str
    restart: bool  # a change takes effect at the next start only


@dataclass(frozen=True)
class MemberView:
    """Somebody, and the group they were put into."""

    person: str  # node id in text form
    nick: str
    group: str


@dataclass(frozen=True)
class PersonCreditView:
    """What a person and we have given each other, ever."""

    person: str
    nick: str
    given_bytes: int  # by us to them
    given_signed: int  # of these, what both signed for
    taken_bytes: int  # by us from them
    taken_signed: int
    weight: float  # of their waiting with us: 1 for a stranger, at most 4
    weight_there: float  # of ours with them, as far as we can know
    refuses_to_sign: bool  # they took much from us that they did not sign for


@dataclass(frozen=True)
class VouchedView:
    """What the receipts of others say about somebody, as an index server adds them up."""

    server: str
    given_bytes: int
    given_people: int
    taken_bytes: int
    taken_people: int


@dataclass(frozen=True)
class CreditView:
    """Credit with everybody, or with one person."""

    people: tuple[PersonCreditView, ...]
    vouched: tuple[VouchedView, ...]  # about that person, or about ourselves


@dataclass(frozen=True)
class WishView:
    """A search that index servers keep for us."""

    id: int
    query: str
    automatic: bool  # what is found is downloaded by itself
    added_at: float
    hits: int  # files found
    new: int  # of these, never shown
    problem: str  # why it finds nothing more, or not everywhere; empty if all is well


@dataclass(frozen=True)
class WishHitView:
    """A file that was found for a wish."""

    wish: int
    query: str
    found_at: float
    new: bool  # never shown before
    download: int | None  # its number, if it was downloaded by itself
    note: str  # why that was left to the person; empty if nobody wanted it
    result: ResultView


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
    given_signed: int = 0  # bytes given to others that both signed for
    given_signed_people: int = 0
    taken_signed: int = 0
    taken_signed_people: int = 0
    wish_hits_new: int = 0  # files found for wishes that were never shown
