"""Field types and structs that several messages share."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from p2pshare import limits
from p2pshare.errors import Explained
from p2pshare.hashing import FileId as FileIdBytes
from p2pshare.identity import NodeId as NodeIdBytes
from p2pshare.kinds import FileKind
from p2pshare.wire.schema import Range, Size, Struct, spec

RequestId = Annotated[int, Range(1, 2**32 - 1)]
OfferId = Annotated[int, Range(0, 2**32 - 1)]
NodeId = Annotated[NodeIdBytes, Size(limits.KEY_BYTES, limits.KEY_BYTES)]
FileId = Annotated[FileIdBytes, Size(limits.KEY_BYTES, limits.KEY_BYTES)]
Digest = Annotated[bytes, Size(16, 16)]
Count = Annotated[int, Range(0, 2**63 - 1)]
FileSize = Annotated[int, Range(0, limits.FILE_BYTES_MAX)]
PieceIndex = Annotated[int, Range(0, limits.PIECES_MAX - 1)]
Seconds = Annotated[int, Range(0, 2**31 - 1)]
UnixTime = Annotated[int, Range(0, 2**40)]
Nick = Annotated[str, Size(limits.NICK_CHARS_MIN, limits.NICK_BYTES_MAX)]
Text = Annotated[str, Size(0, limits.TEXT_BYTES_MAX)]
Path = Annotated[str, Size(1, limits.PATH_BYTES_MAX)]
FolderPath = Annotated[str, Size(0, limits.PATH_BYTES_MAX)]
TagText = Annotated[str, Size(0, limits.TAG_TEXT_BYTES_MAX)]
Extension = Annotated[str, Size(1, limits.EXTENSION_BYTES_MAX)]
Kbps = Annotated[int, Range(0, 2**31 - 1)]
Year = Annotated[int, Range(0, 9_999)]
Cursor = Annotated[bytes, Size(0, 64)]
Port = Annotated[int, Range(1, 65_535)]
RuleText = Annotated[str, Size(0, limits.RULE_TEXT_BYTES_MAX)]
ReceiptBytes = Annotated[bytes, Size(limits.RECEIPT_BYTES, limits.RECEIPT_BYTES)]


class Role(IntEnum):
    """What a program is on the network; told in its hello."""

    CLIENT = 1
    INDEX = 2


class ServerRole(IntEnum):
    """What somebody may do about the rules of an index server. Each may what those below it may."""

    NOBODY = 0
    HELPER = 1
    MODERATOR = 2
    OWNER = 3


class Subject(Explained):
    """What a rule of an index server is about, and how its target is written."""

    ACCOUNT = 1, "A person: the text of the key, or the nick."
    ADDRESS = 2, "An address, or a range as in `203.0.113.0/24` or `2001:db8::/48`."
    FILE = 3, "A file: the text of its file id."
    WORD = 4, "One word, folded as in section 3.4."


class RuleAction(Explained):
    """What a moderator does."""

    BAN = 1, "Keep an account or an address out, or a file from being found, until some time."
    UNBAN = 2, "Take a ban back."
    HIDE = 3, "Leave a file, or all that has a word, out of search results, and say how many were left out."
    UNHIDE = 4, "Show them again."
    GIVE_ROLE = 5, "Make an account a helper, moderator or owner, or nobody of these."


class RuleList(Explained):
    """Which rules to list."""

    BANS = 1, "Bans that hold."
    HIDDEN = 2, "What is hidden from search."
    ROLES = 3, "Who has a role."
    LOG = 4, "What was ever done, newest first."


class Doubt(Explained):
    """Why a result stands lower than it would by its words and sources. Numbers to be added up."""

    NAMES_DIFFER = 1, "People show the same bytes under names that have nothing in common."
    NEW_ACCOUNTS = 2, "Only accounts hold it that are very new for the number of files they offer."
    ONE_PERSON = 4, "One person alone holds it and a large part of everything that was found."


class AddressField(Struct):
    """Where to connect."""

    host: Annotated[str, Size(1, limits.HOST_BYTES_MAX)] = spec(
        "An IPv4 or IPv6 address in text, or a DNS name."
    )
    port: Port = spec("The TCP port.")


Addresses = Annotated[tuple[AddressField, ...], Size(0, limits.ADDRESSES_MAX)]


class Tags(Struct):
    """What a file says of itself. Empty or 0 where it says nothing."""

    title: TagText = spec("Title of the piece.", default="")
    artist: TagText = spec("Who made it.", default="")
    album: TagText = spec("What it belongs to.", default="")
    track: Annotated[int, Range(0, 65_535)] = spec("Its number there.", default=0)
    year: Year = spec("When it was made.", default=0)
    length_s: Seconds = spec("How long it plays, in seconds.", default=0)
    bitrate_kbps: Kbps = spec("Mean bit rate, in kbit/s.", default=0)
    lossless: bool = spec("Whether the audio is stored without loss.", default=False)
    width: Annotated[int, Range(0, 2**20)] = spec("Picture width in pixels.", default=0)
    height: Annotated[int, Range(0, 2**20)] = spec("Picture height in pixels.", default=0)


NO_TAGS = Tags()


class Offer(Struct):
    """One file that a person shares."""

    offer: OfferId = spec("The owner's number for it, unique within the manifest.")
    path: Path = spec(
        "Folders and name as the owner shows them, separated by `/`; for display and search only."
    )
    size: FileSize = spec("Its size in bytes.")
    file: FileId | None = spec("Its file id; nil while it is not hashed yet.", default=None)
    changed: UnixTime = spec("When it was last modified, in Unix seconds.", default=0)
    tags: Tags = spec("What it says of itself.", default=NO_TAGS)
    partial: bool = spec(
        "The owner holds only a part: still downloading, or the disk lost the rest.", default=False
    )


class SpeedClass(Explained):
    """How fast somebody gave to others, as an index server worked out from receipts."""

    UNKNOWN = 0, "Not enough people signed for enough."
    MEDIUM = 1, "At least 1 MB/s."
    FAST = 2, "At least 10 MB/s."
    VERY_FAST = 3, "At least 100 MB/s."


class Source(Struct):
    """One person who holds a file."""

    node: NodeId = spec("Who.")
    nick: Nick = spec("Their nick on this server.")
    offer: OfferId = spec("Their number for the file.")
    partial: bool = spec("They hold only a part so far.", default=False)
    reachable: bool = spec("The server could connect to their port.", default=False)
    wait_s: Seconds | None = spec(
        "How many seconds a newcomer waits for a slot, as they say; 0: one is free; nil: they did not say.",
        default=None,
    )
    speed: SpeedClass = spec("How fast they have given to others.", default=SpeedClass.UNKNOWN)


class Holder(Struct):
    """One person who holds a file or fetches it, as another one tells it."""

    node: NodeId = spec("Who.")
    nick: Nick = spec("Their nick.")
    server: NodeId = spec("An index server that knows them: it is asked for a ticket to reach them.")


class Filters(Struct):
    """What narrows a search down, besides its query. Numbers that nobody told fit no limit but the widest."""

    kinds: Annotated[tuple[FileKind, ...], Size(0, 8)] = spec("Only these kinds; empty for all.", default=())
    extensions: Annotated[tuple[Extension, ...], Size(0, limits.EXTENSIONS_MAX)] = spec(
        "Only these extensions, without a dot; empty for all.", default=()
    )
    size_min: FileSize = spec("Only files of at least so many bytes.", default=0)
    size_max: FileSize = spec("Only files of at most so many bytes.", default=limits.FILE_BYTES_MAX)
    length_min_s: Seconds = spec("Only what plays at least so long, in seconds.", default=0)
    length_max_s: Seconds = spec("Only what plays at most so long, in seconds.", default=2**31 - 1)
    bitrate_min_kbps: Kbps = spec("Only what has at least this mean bit rate, in kbit/s.", default=0)
    bitrate_max_kbps: Kbps = spec("Only what has at most this mean bit rate, in kbit/s.", default=2**31 - 1)
    year_min: Year = spec("Only what was made in this year or later.", default=0)
    year_max: Year = spec("Only what was made in this year or before.", default=9_999)
    lossless: bool = spec("Only audio that is stored without loss.", default=False)
    free: bool = spec("Only what somebody holds who says that a slot is free.", default=False)
    sources_min: Count = spec("Only what at least so many people online hold.", default=0)


NO_FILTERS = Filters()


class SortBy(Explained):
    """In which order hits come."""

    RELEVANCE = 0, "Best first."
    SOURCES = 1, "Most sources first."
    SPEED = 2, "The fastest source first, then most sources."
    SIZE = 3, "Largest first."
    SMALLEST = 4, "Smallest first."
    DATE = 5, "Newest first."
    OLDEST = 6, "Oldest first; last what has no date."


class KindCount(Struct):
    """How many matches are of a kind."""

    kind: FileKind = spec("The kind.")
    files: Count = spec("How many.")


class ExtensionCount(Struct):
    """How many matches have an extension."""

    extension: Extension = spec("The extension.")
    files: Count = spec("How many.")


class SizeCount(Struct):
    """How many matches are of a size."""

    size_min: FileSize = spec("At least so many bytes.")
    size_max: FileSize = spec("At most so many bytes.")
    files: Count = spec("How many.")


class FacetCounts(Struct):
    """What the matches are like: counts to narrow a search down by. Counts of 0 are left out."""

    kinds: Annotated[tuple[KindCount, ...], Size(0, 16)] = spec("By kind, most first.", default=())
    extensions: Annotated[tuple[ExtensionCount, ...], Size(0, limits.FACET_EXTENSIONS_MAX)] = spec(
        "By extension, most first; those of section 3.8 only.", default=()
    )
    sizes: Annotated[tuple[SizeCount, ...], Size(0, 16)] = spec("By size, smallest first.", default=())


NO_FACET_COUNTS = FacetCounts()


class Hit(Struct):
    """One file that matches a search, whoever holds it."""

    file: FileId | None = spec("Its file id; nil if its one owner has not hashed it yet.")
    path: Path = spec("Folders and name, as the most sources show them.")
    size: FileSize = spec("Its size in bytes.")
    kind: FileKind = spec("What kind of file the extension says it is.")
    changed: UnixTime = spec("When the oldest copy was last modified, in Unix seconds.")
    tags: Tags = spec("What it says of itself.")
    sources: Count = spec("How many people online now hold it.")
    some: Annotated[tuple[Source, ...], Size(0, limits.HIT_SOURCES_MAX)] = spec(
        "Some of them; enough to start a download without another question."
    )
    names: Annotated[tuple[Path, ...], Size(0, limits.HIT_NAMES_MAX)] = spec(
        "Other names, without folders, that people online have for it, the most usual first.", default=()
    )
    free: Count = spec("How many of those who hold it say that they have a free slot.", default=0)
    contacts: Count = spec("How many of those who hold it are among the asker's `contacts`.", default=0)
    doubts: Annotated[int, Range(0, 255)] = spec(
        "Why it stands lower than its words and sources would have it: the `Doubt`s, added up.", default=0
    )


class Budget(Struct):
    """How often a client may send messages of one kind."""

    kind: Annotated[int, Range(0, 127)] = spec("The kind.")
    per_minute: Annotated[int, Range(1, 1_000_000)] = spec("How many a minute, and how many at once.")
    left: Annotated[int, Range(0, 1_000_000)] = spec("How many at this moment.")


class Rule(Struct):
    """One rule of an index server, or one line of its moderators' log."""

    number: Count = spec("Counts up in the log; 0 elsewhere.")
    action: RuleAction = spec("What was done.")
    subject: Subject = spec("What it is about.")
    target: Text = spec("Which one: in the form of its subject, an account always by key.")
    nick: Annotated[str, Size(0, limits.NICK_BYTES_MAX)] = spec("The nick, if it is an account known there.")
    by: Text = spec("Who did it: the text of a key, or `operator`.")
    by_nick: Annotated[str, Size(0, limits.NICK_BYTES_MAX)] = spec("Their nick, if they have one.")
    at: UnixTime = spec("When, in Unix seconds.")
    until: UnixTime = spec("Until when, in Unix seconds; 0: until it is taken back.", default=0)
    role: ServerRole = spec("The role given.", default=ServerRole.NOBODY)
    reason: RuleText = spec("Why.", default="")
    appeal: RuleText = spec("What the person concerned can do about it.", default="")


class Folder(Struct):
    """A folder within a listing."""

    name: Annotated[str, Size(1, limits.NAME_BYTES_MAX)] = spec("Its own name.")
    files: Count = spec("Files in it, at any depth.")
    bytes: Count = spec("Their sizes added up.")
