"""Messages between two clients."""

from __future__ import annotations

from typing import Annotated

from p2pshare import limits
from p2pshare.wire.fields import (
    Count,
    Cursor,
    FileId,
    FileSize,
    Folder,
    FolderPath,
    Holder,
    Offer,
    OfferId,
    PieceIndex,
    RequestId,
    Seconds,
)
from p2pshare.wire.schema import Message, Range, Size, spec

PieceSize = Annotated[int, Range(limits.PIECE_BYTES_MIN, limits.PIECE_BYTES_MAX)]
Bitmap = Annotated[bytes, Size(0, limits.PIECES_MAX // 8)]
QueuePosition = Annotated[int, Range(0, 2**31 - 1)]
QueueTicket = Annotated[bytes, Size(0, limits.QUEUE_TICKET_BYTES)]


class Knock(Message, kind=80, name="knock"):
    """The one who connected asks to come in."""

    request: RequestId = spec("Chosen by the asker.")
    ticket: Annotated[bytes, Size(0, limits.TICKET_BYTES)] = spec(
        "The server's ticket; empty on a local network, where the other may admit without one."
    )


class Admitted(Message, kind=82, name="admitted", answers=(Knock,)):
    """Come in: from here on, either side may ask."""

    request: RequestId = spec("The request it answers.")


class OpenFile(Message, kind=84, name="open_file"):
    """Ask for a file: what it is, which pieces are there, and a place in the queue for an upload slot."""

    request: RequestId = spec("Chosen by the asker.")
    file: FileId | None = spec("The file; nil if it was offered without a file id.", default=None)
    offer: OfferId = spec("The owner's number for it; used only when the file is nil.", default=0)
    queue_ticket: QueueTicket = spec(
        "The newest ticket that this uploader gave the asker for its queue; empty if there is none.",
        default=b"",
    )


class FileOpened(Message, kind=86, name="file_opened", frame_max=16 * limits.KIB, answers=(OpenFile,)):
    """The file, and the asker's place in the queue."""

    request: RequestId = spec("The request it answers.")
    file: FileId = spec("The file.")
    size: FileSize = spec("Its size in bytes.")
    piece_size: PieceSize = spec("Bytes of each piece but the last.")
    pieces: Bitmap | None = spec(
        "The pieces held, one bit each, first piece in the highest bit; nil for all."
    )
    position: QueuePosition = spec(
        "0: the asker holds an upload slot. Otherwise its position in the queue, from 1."
    )
    wait_s: Seconds = spec("Expected wait for a slot, in seconds, from measured turns.")
    queue_ticket: QueueTicket = spec(
        "The place in the queue, signed, to be shown after a restart of either side; empty if the asker"
        " holds a slot.",
        default=b"",
    )
    turns: bool = spec(
        "This file is given in turns, see `turn`; the position and the wait then mean nothing for it.",
        default=False,
    )
    whole: bool = spec(
        "The uploader holds all pieces, and shows for now only those that it would like to give.",
        default=False,
    )


class AskHashes(Message, kind=88, name="ask_hashes"):
    """Ask for piece hashes of an open file."""

    request: RequestId = spec("Chosen by the asker.")
    file: FileId = spec("The file.")
    first: PieceIndex = spec("The first piece.")
    count: Annotated[int, Range(1, limits.HASHES_PER_MESSAGE)] = spec("How many.")


class Hashes(Message, kind=90, name="hashes", frame_max=132 * limits.KIB, answers=(AskHashes,)):
    """Piece hashes, in order."""

    request: RequestId = spec("The request it answers.")
    hashes: Annotated[bytes, Size(limits.KEY_BYTES, limits.HASHES_PER_MESSAGE * limits.KEY_BYTES)] = spec(
        "32 bytes for each piece asked for."
    )


class Fetch(Message, kind=92, name="fetch"):
    """Ask for pieces of an open file. Needs an upload slot, unless it is a preview."""

    request: RequestId = spec("Chosen by the asker.")
    file: FileId = spec("The file.")
    first: PieceIndex = spec("The first piece.")
    count: Annotated[int, Range(1, limits.FETCH_PIECES_MAX)] = spec("How many, in order.", default=1)
    preview: bool = spec(
        "Without a slot, serve it in the small lane for previews. Means nothing to who holds a slot.",
        default=False,
    )


class Data(Message, kind=94, name="data", payload="size", answers=(Fetch,)):
    """A part of a piece. Its bytes follow the frame as a payload."""

    request: RequestId = spec("The request it answers.")
    piece: PieceIndex = spec("Which piece.")
    offset: Annotated[int, Range(0, limits.PIECE_BYTES_MAX - 1)] = spec("Where in the piece the part begins.")
    size: Annotated[int, Range(1, limits.DATA_BYTES_MAX)] = spec("How many bytes follow.")
    more: bool = spec("Whether more data answers the same request after this.")


class QueueMoved(Message, kind=96, name="queue_moved"):
    """The uploader tells a waiting or served person where it stands now."""

    position: QueuePosition = spec("0: you hold an upload slot now. Otherwise your position, from 1.")
    wait_s: Seconds = spec("Expected wait, in seconds.")
    queue_ticket: QueueTicket = spec(
        "A newer ticket for this place; empty if the one given before still says the same.", default=b""
    )


class DropFile(Message, kind=97, name="drop_file"):
    """The asker is done with a file. With the last one it leaves the queue or gives its slot back."""

    file: FileId = spec("The file.")


class Have(Message, kind=99, name="have", frame_max=4 * limits.KIB):
    """The sender, one of two who exchange a file, holds more pieces of it now, or shows more of them."""

    file: FileId = spec("The file.")
    pieces: Annotated[tuple[PieceIndex, ...], Size(1, limits.HAVES_PER_MESSAGE)] = spec("The new ones.")


class AskOthers(Message, kind=114, name="ask_others"):
    """Who else exchanges this file with you?"""

    request: RequestId = spec("Chosen by the asker.")
    file: FileId = spec("The file, which the asker has open.")


class Others(Message, kind=116, name="others", frame_max=8 * limits.KIB, answers=(AskOthers,)):
    """Some of the people with whom the sender is connected for this file at the moment."""

    request: RequestId = spec("The request it answers.")
    some: Annotated[tuple[Holder, ...], Size(0, limits.OTHERS_MAX)] = spec("Chosen at random.")


class Turn(Message, kind=117, name="turn"):
    """The hearer may fetch pieces of a file that is given in turns."""

    file: FileId = spec("The file.")
    pieces: Annotated[int, Range(0, limits.FETCH_PIECES_MAX)] = spec(
        "So many, besides those allowed before; 0 takes back what was not used."
    )


class Browse(Message, kind=100, name="browse", frame_max=2 * limits.KIB):
    """What do you share in this folder?"""

    request: RequestId = spec("Chosen by the asker.")
    folder: FolderPath = spec("The folder, as in the paths of offers; empty for the top.")
    cursor: Cursor = spec("From the page before; empty for the first.", default=b"")


class Listing(Message, kind=102, name="listing", frame_max=limits.FRAME_BYTES_MAX, answers=(Browse,)):
    """One page of a folder: its folders first, then its files, each by name."""

    request: RequestId = spec("The request it answers.")
    folders: Annotated[tuple[Folder, ...], Size(0, limits.LISTING_PAGE_MAX)] = spec("Folders in it.")
    offers: Annotated[tuple[Offer, ...], Size(0, limits.LISTING_PAGE_MAX)] = spec("Files in it.")
    files: Count = spec("Files in it at any depth.")
    bytes: Count = spec("Their sizes added up.")
    cursor: Cursor = spec("Ask with it for the next page; empty on the last.", default=b"")


class FetchFiles(Message, kind=104, name="fetch_files", frame_max=40 * limits.KIB):
    """Ask for many small files at once, each whole. Needs an upload slot, but none of them need be open."""

    request: RequestId = spec("Chosen by the asker.")
    files: Annotated[tuple[FileId, ...], Size(0, limits.FETCH_FILES_MAX)] = spec("By file id.")
    offers: Annotated[tuple[OfferId, ...], Size(0, limits.FETCH_FILES_MAX)] = spec(
        "Behind them, by the owner's numbers: files that were offered without a file id.", default=()
    )


class Files(Message, kind=106, name="files", frame_max=8 * limits.KIB, payload="size", answers=(FetchFiles,)):
    """Some of the files, in the order they were asked for. Their bytes follow the frame as a payload."""

    request: RequestId = spec("The request it answers.")
    first: Annotated[int, Range(0, limits.FETCH_FILES_MAX - 1)] = spec(
        "The place of the first of them in the request: how many were answered before."
    )
    outcomes: Annotated[
        tuple[Annotated[int, Range(-255, limits.SMALL_FILE_BYTES_MAX)], ...], Size(1, limits.FETCH_FILES_MAX)
    ] = spec("For each, how many bytes it has; or less than 0: the reason why it does not come, negated.")
    size: Annotated[int, Range(0, limits.DATA_BYTES_MAX)] = spec("How many bytes follow: all of them.")
    more: bool = spec("Whether more files answer the same request after these.")


class SignReceipt(Message, kind=110, name="sign_receipt"):
    """The taker asks the giver to sign, too, how much it has been given ever."""

    request: RequestId = spec("Chosen by the taker.")
    total: Annotated[int, Range(1, limits.RECEIPT_TOTAL_MAX)] = spec(
        "Bytes that this giver has given it, verified, since they first met."
    )
    signature: Annotated[bytes, Size(limits.SIGNATURE_BYTES, limits.SIGNATURE_BYTES)] = spec(
        "The taker's half of the receipt of this total."
    )
    known: Annotated[bytes, Size(0, limits.RECEIPT_BYTES)] = spec(
        "The newest receipt of this giver that the taker holds; empty if there is none.", default=b""
    )


class ReceiptSigned(Message, kind=112, name="receipt_signed", answers=(SignReceipt,)):
    """The newest receipt that both have signed: the one asked for, unless the giver knows better."""

    request: RequestId = spec("The request it answers.")
    receipt: Annotated[bytes, Size(0, limits.RECEIPT_BYTES)] = spec(
        "The receipt; empty if the two have none yet."
    )
    given: Count = spec("Bytes that the giver has counted.")
