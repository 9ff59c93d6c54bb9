"""The pieces of one request, put together and hashed while they arrive. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from client.engine.downloads.source import Ask
from p2pshare.errors import CloseCode, PeerFault
from p2pshare.hashing import PieceHashes, new_piece_hasher, piece_span
from p2pshare.limits import KIB
from p2pshare.wire.peer import Data

CRUMB_BYTES = 4 * KIB  # smaller parts are copied into one: held singly, each costs many times its size


@dataclass(frozen=True, slots=True)
class Piece:
    """A whole piece as it came."""

    index: int
    offset: int  # in the file
    size: int
    parts: Sequence[memoryview | bytearray]  # its bytes, in order
    good: bool  # whether it is what its hash says


class Arriving:
    """One request; its parts come in the order they were asked for."""

    def __init__(self, ask: Ask, hashes: PieceHashes) -> None:
        self.piece = ask.first
        """The next to be whole; behind the last one once all are here."""
        self.piece_size = hashes.piece_size
        self._end = ask.end
        self._hashes = hashes
        self._begin()

    def add_untrusted(self, data: Data, payload: memoryview) -> Piece | None:
        """The piece that is whole with this part. Raises `PeerFault` if this is not the next part."""
        offset, length = (
            piece_span(self.piece, self._hashes.size, self.piece_size) if self.piece < self._end else (0, 0)
        )
        if (data.piece, data.offset) != (self.piece, self._filled) or self._filled + data.size > length:
            raise PeerFault(CloseCode.WRONG_ORDER, "Data arrived that was not asked for, or not in order.")
        # Hashed at once, while the processor still has it at hand.
        self._hasher.update(payload)
        self._keep(payload)
        self._filled += data.size
        if self._filled < length:
            return None
        good = self._hasher.digest() == self._hashes.of(self.piece)
        whole = Piece(self.piece, offset, length, self._parts, good)
        self.piece += 1
        self._begin()
        return whole

    def _keep(self, payload: memoryview) -> None:
        if len(payload) >= CRUMB_BYTES:
            self._parts.append(payload)
            return
        last = self._parts[-1] if self._parts else None
        if isinstance(last, bytearray):
            last += payload
        else:
            self._parts.append(bytearray(payload))

    def _begin(self) -> None:
        self._parts: list[memoryview | bytearray] = []
        self._filled = 0
        self._hasher = new_piece_hasher()
