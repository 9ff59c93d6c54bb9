"""Field types and structs that several messages share."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from p2pshare import limits
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
Cursor = Annotated[bytes, Size(0, 64)]
Port = Annotated[int, Range(1, 65_535)]
ReceiptBytes = Annotated[bytes, Size(limits.RECEIPT_BYTES, limits.RECEIPT_BYTES)]


class Role(IntEnum):
    """What a program is on the network; told in its hello."""

    CLIENT = 1
    INDEX = 2


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
    year: Annotated[int, Range(0, 9_999)] = spec("When it was made.", default=0)
    length_s: Seconds = spec("How long it plays, in seconds.", default=0)
    bitrate_kbps: Annotated[int, Range(0, 2**31 - 1)] = spec("Mean bit rate, in kbit/s.", default=0)
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


class Source(Struct):
    """One person who holds a file."""

    node: NodeId = spec("Who.")
    nick: Nick = spec("Their nick on this server.")
    offer: OfferId = spec("Their number for the file.")
    partial: bool = spec("They hold only a part so far.", default=False)
    reachable: bool = spec("The server could connect to their port.", default=False)


class Holder(Struct):
    """One person who holds a file or fetches it, as another one tells it."""

    node: NodeId = spec("Who.")
    nick: Nick = spec("Their nick.")
    server: NodeId = spec("An index server that knows them: it is asked for a ticket to reach them.")


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


class Folder(Struct):
    """A folder within a listing."""

    name: Annotated[str, Size(1, limits.NAME_BYTES_MAX)] = spec("Its own name.")
    files: Count = spec("Files in it, at any depth.")
    bytes: Count = spec("Their sizes added up.")
