"""What a file is: the hash of its size, its piece size and the hashes of its pieces.

    piece hash = BLAKE3 derive_key(PIECE_CONTEXT, piece)
    file id    = BLAKE3 derive_key(FILE_CONTEXT, u64be(size) || u32be(piece size) || piece hash || ...)

The two contexts keep a piece from passing as a list of hashes. The piece size follows from the size alone, so
one content has one id. Everything here is pure; BLAKE3 lets other threads run while it hashes large data, so
files are best hashed in a worker thread.

The text form of every 32-byte id (people and files alike) is here too: 52 characters of RFC 4648 base32 in
lower case, without padding.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from functools import cached_property
from typing import NewType

from blake3 import blake3

from p2pshare.errors import BadMessage, CloseCode, LocalTrouble, Misuse, PeerFault
from p2pshare.limits import FILE_BYTES_MAX, KEY_BYTES, PIECE_BYTES_MAX, PIECE_BYTES_MIN, PIECES_AIM

FileId = NewType("FileId", bytes)  # 32 bytes

HASH_BYTES = KEY_BYTES  # of one piece hash
PIECE_CONTEXT = "p2pshare 2026-11-22 piece hash v1"
FILE_CONTEXT = "p2pshare 2026-11-22 file id v1"

ID_CHARS = 52  # 32 bytes in base32
_ID_PADDING = "===="

_PIECE_HASHER = blake3(derive_key_context=PIECE_CONTEXT, max_threads=1)
_FILE_HASHER = blake3(derive_key_context=FILE_CONTEXT, max_threads=1)


def id_text(data: bytes) -> str:
    """The text form of a 32-byte id: 52 characters, lower case."""
    return base64.b32encode(data).decode().rstrip("=").lower()


def id_bytes_untrusted(text: str, what: str) -> bytes:
    """The 32 bytes behind a text form, in upper or lower case. `what` names the id in the error.

    Raises BadMessage and nothing else: also for a text whose last, unused bits are not zero, so that no two
    texts mean the same id.
    """
    if len(text) != ID_CHARS or not text.isascii():
        raise BadMessage(f"{what} has {ID_CHARS} letters and digits; this one has {len(text)} characters.")
    try:
        data = base64.b32decode(text.upper() + _ID_PADDING)
    except binascii.Error:
        raise BadMessage(f"{what} is made of the letters a-z and the digits 2-7 only.") from None
    if id_text(data) != text.lower():
        raise BadMessage(f"{what} is not in its canonical form; its last character is wrong.")
    return data


def format_file_id(file: FileId) -> str:
    return id_text(file)


def parse_file_id_untrusted(text: str) -> FileId:
    return FileId(id_bytes_untrusted(text, "A file id"))


def piece_size_for(size: int) -> int:
    """The one piece size (bytes) that a file of `size` bytes has: the smallest power of two, between the
    limits, that keeps it at or below PIECES_AIM pieces."""
    if not 0 <= size <= FILE_BYTES_MAX:
        raise Misuse(f"no file has {size} bytes")
    piece_size = PIECE_BYTES_MIN
    while piece_size < PIECE_BYTES_MAX and piece_size * PIECES_AIM < size:
        piece_size *= 2
    return piece_size


def piece_count(size: int, piece_size: int) -> int:
    """How many pieces a file has; an empty one has none."""
    return -(-size // piece_size)


def piece_span(index: int, size: int, piece_size: int) -> tuple[int, int]:
    """Offset and length (bytes) of a piece; only the last one may be shorter than the piece size."""
    offset = index * piece_size
    if not 0 <= offset < size:
        raise Misuse(f"a file of {size} bytes has no piece {index}")
    return offset, min(piece_size, size - offset)


def hash_piece(*parts: bytes | bytearray | memoryview) -> bytes:
    """The hash of a piece that is given whole, or in parts, one after the other."""
    hasher = new_piece_hasher()
    for part in parts:
        hasher.update(part)
    return hasher.digest()


def new_piece_hasher() -> blake3:
    """For a piece whose parts come one after the other: `update` with each, and its hash is the `digest`."""
    return _PIECE_HASHER.copy()  # a copy saves deriving the key again


def file_id(size: int, piece_size: int, hashes: bytes) -> FileId:
    """The id of a file; `hashes` are the piece hashes one after the other."""
    hasher = _FILE_HASHER.copy()
    hasher.update(size.to_bytes(8, "big") + piece_size.to_bytes(4, "big") + hashes)
    return FileId(hasher.digest())


@dataclass(frozen=True)
class PieceHashes:
    """Everything that makes a file's id."""

    size: int  # bytes
    piece_size: int  # bytes
    hashes: bytes  # 32 bytes for each piece, in order

    @cached_property
    def file_id(self) -> FileId:
        return file_id(self.size, self.piece_size, self.hashes)

    def of(self, piece: int) -> bytes:
        """The hash of one piece."""
        return self.hashes[piece * KEY_BYTES : (piece + 1) * KEY_BYTES]

    def fits(self, piece: int, data: bytes | bytearray | memoryview) -> bool:
        """Whether this is that piece."""
        return hash_piece(data) == self.of(piece)


def whole_file_hashes(data: bytes | bytearray | memoryview) -> PieceHashes:
    """Everything that makes the id of a file, from all of its content."""
    size = len(data)
    piece_size = piece_size_for(size)
    if size <= piece_size:
        return PieceHashes(size, piece_size, hash_piece(data) if size else b"")
    with memoryview(data) as view:
        pieces = [hash_piece(view[at : at + piece_size]) for at in range(0, size, piece_size)]
    return PieceHashes(size, piece_size, b"".join(pieces))


class FileHasher:
    """Hashes a file of known size from chunks of any size, without keeping them."""

    def __init__(self, size: int) -> None:
        """Raises LocalTrouble for a file larger than the network carries."""
        if size > FILE_BYTES_MAX:
            raise LocalTrouble(
                f"The file has {size} bytes; files above {FILE_BYTES_MAX} bytes cannot be shared. Split it."
            )
        self.size = size
        self.piece_size = piece_size_for(size)
        self._seen = 0
        self._hasher = _PIECE_HASHER.copy()
        self._hashes = bytearray()

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Takes the next bytes of the file. Raises LocalTrouble when there are more than its size."""
        with memoryview(data) as view:
            if self._seen + len(view) > self.size:
                raise LocalTrouble(
                    "The file grew while it was being read. It will be read again once it rests."
                )
            taken = 0
            while taken < len(view):
                room = self.piece_size - self._seen % self.piece_size
                chunk = view[taken : taken + room]
                self._hasher.update(chunk)
                taken += len(chunk)
                self._seen += len(chunk)
                if len(chunk) == room:
                    self._end_piece()

    def finish(self) -> PieceHashes:
        """Raises LocalTrouble when fewer bytes came than the size said."""
        if self._seen < self.size:
            raise LocalTrouble(
                "The file shrank while it was being read. It will be read again once it rests."
            )
        if self._seen % self.piece_size:
            self._end_piece()
        return PieceHashes(self.size, self.piece_size, bytes(self._hashes))

    def _end_piece(self) -> None:
        self._hashes += self._hasher.digest()
        self._hasher = _PIECE_HASHER.copy()


def check_hashes_untrusted(expected: FileId, size: int, piece_size: int, hashes: bytes) -> None:
    """Are these the piece hashes of that file? Raises PeerFault when not; after it they can be trusted.

    The cheap checks come first, so that a liar cannot make us hash for nothing.
    """
    if not 0 <= size <= FILE_BYTES_MAX:
        raise BadMessage(f"A file cannot have {size} bytes.")
    if piece_size != piece_size_for(size):
        raise BadMessage(
            f"A file of {size} bytes has pieces of {piece_size_for(size)} bytes, not {piece_size}."
        )
    count = piece_count(size, piece_size)
    if len(hashes) != count * HASH_BYTES:
        raise BadMessage(f"A file of {size} bytes has {count} piece hashes, not {len(hashes)} bytes of them.")
    if not hmac.compare_digest(file_id(size, piece_size, hashes), expected):
        raise PeerFault(CloseCode.BAD_DATA, "The piece hashes do not lead to the id of the file.")
