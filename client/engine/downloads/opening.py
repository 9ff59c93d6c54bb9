"""What a source says of a file when it opens it: held against what we know, and its piece hashes."""

from __future__ import annotations

from client.engine.network.asking import ask_in_time
from p2pshare.errors import CloseCode, PeerFault, Reason, Refused
from p2pshare.hashing import FileId, check_hashes_untrusted, piece_count, piece_size_for
from p2pshare.limits import HASHES_PER_MESSAGE, KEY_BYTES
from p2pshare.transport.channel import Channel
from p2pshare.wire.peer import AskHashes, FileOpened


def check_opened_untrusted(opened: FileOpened, file: FileId | None, size: int) -> None:
    """`file` None: known only by its number at them.

    Raises `PeerFault` if they lie, `Refused` if they have another file than was searched for.
    """
    if file is not None and opened.file != file:
        raise PeerFault(CloseCode.BAD_DATA, "They opened another file than was asked for.")
    if opened.size != size:
        raise Refused(Reason.FILE_CHANGED)
    if opened.piece_size != piece_size_for(size):
        raise PeerFault(CloseCode.BAD_DATA, "The piece size does not follow from the size of the file.")


async def ask_hashes(channel: Channel, opened: FileOpened) -> bytes:
    """All piece hashes of an open file, proven by its id. Raises `PeerFault`, `Refused` or `Disconnected`."""
    total = piece_count(opened.size, opened.piece_size)
    hashes = b""
    while (first := len(hashes) // KEY_BYTES) < total:
        count = min(HASHES_PER_MESSAGE, total - first)
        question = AskHashes(request=channel.next_request(), file=opened.file, first=first, count=count)
        answer = await ask_in_time(channel, question)
        if len(answer.hashes) != count * KEY_BYTES:
            raise PeerFault(
                CloseCode.BAD_DATA, "The list of piece hashes has another length than was asked for."
            )
        hashes += answer.hashes
    check_hashes_untrusted(opened.file, opened.size, opened.piece_size, hashes)
    return hashes
