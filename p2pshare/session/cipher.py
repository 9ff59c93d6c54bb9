"""Records: what the wire carries once the handshake is done. `u16be length || AES-GCM(plaintext) || tag`.

Both classes work on runs of records, straight from the caller's memory into the caller's memory. They keep
only the key between two runs: an AESGCM object costs 2.5 KiB and is made in a microsecond.
"""

from __future__ import annotations

from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from p2pshare import limits
from p2pshare.errors import CloseCode, PeerFault
from p2pshare.session.records import LENGTH_BYTES

OVERHEAD_BYTES = LENGTH_BYTES + limits.RECORD_TAG_BYTES
TAG_BYTES = limits.RECORD_TAG_BYTES
PLAINTEXT_MAX = limits.RECORD_PLAINTEXT_MAX


class _Direction:
    """Key and record counter of one direction."""

    __slots__ = ("_key", "_rekey_after", "counter")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.counter = 0
        self._rekey_after = limits.REKEY_AFTER_RECORDS

    def _rekeyed(self) -> AESGCM:
        """Noise REKEY: the key becomes ENCRYPT(k, 2^64-1, "", 32 zero bytes) without its tag."""
        last_nonce = ((1 << 64) - 1).to_bytes(12, "big")
        self._key = AESGCM(self._key).encrypt(last_nonce, bytes(limits.KEY_BYTES), None)[: limits.KEY_BYTES]
        return AESGCM(self._key)


class Sealer(_Direction):
    """Seals the records that we send."""

    __slots__ = ()

    def seal(self, texts: Iterable[memoryview], out: memoryview) -> None:
        """One record for each text (at most PLAINTEXT_MAX bytes), one behind the other.

        `out` has room for all texts and OVERHEAD_BYTES for each.
        """
        aead, counter, at = AESGCM(self._key), self.counter, 0
        for text in texts:
            if counter and counter % self._rekey_after == 0:
                aead = self._rekeyed()
            start = at + LENGTH_BYTES
            end = start + len(text) + TAG_BYTES
            out[at:start] = (end - start).to_bytes(LENGTH_BYTES, "big")
            # protocol.md: "The nonce is 32 zero bits, then the number of the record as u64be."
            aead.encrypt_into(counter.to_bytes(12, "big"), text, None, out[start:end])
            counter += 1
            at = end
        self.counter = counter


class Opener(_Direction):
    """Opens the records that we receive."""

    __slots__ = ()

    def open_untrusted(self, sealed: memoryview) -> bytes:
        """The plaintext of one record, given without its length. Raises `PeerFault`."""
        if self.counter and self.counter % self._rekey_after == 0:
            self._rekeyed()
        try:
            text = AESGCM(self._key).decrypt(self.counter.to_bytes(12, "big"), sealed, None)
        except InvalidTag as error:
            raise _damaged() from error
        self.counter += 1
        return text

    def open_run_untrusted(self, data: memoryview, into: memoryview) -> tuple[int, int]:
        """Fill `into` from the records at the start of `data`: full ones, then one with the rest.

        Stops before a record that is not all there. Returns (bytes of `data` used, bytes of `into` filled).
        Raises `PeerFault` if a record has another length than a payload of this size asks for.
        """
        aead, counter, at, filled = AESGCM(self._key), self.counter, 0, 0
        available, wanted = len(data), len(into)
        while filled < wanted:
            then = min(filled + PLAINTEXT_MAX, wanted)
            start = at + LENGTH_BYTES
            end = start + then - filled + TAG_BYTES
            if end > available:
                break
            if data[at] << 8 | data[at + 1] != end - start:
                raise _wrong_length()
            if counter % self._rekey_after == 0 and counter:
                aead = self._rekeyed()
            try:
                aead.decrypt_into(counter.to_bytes(12, "big"), data[start:end], None, into[filled:then])
            except InvalidTag as error:
                raise _damaged() from error
            counter += 1
            filled = then
            at = end
        self.counter = counter
        return at, filled


def check_payload_record_untrusted(length: int, payload_left: int) -> None:
    """A payload has full records and then one with the rest. Raises `PeerFault`."""
    if length != min(PLAINTEXT_MAX, payload_left) + TAG_BYTES:
        raise _wrong_length()


def _wrong_length() -> PeerFault:
    return PeerFault(CloseCode.BAD_FRAME, "A payload record has another length than the payload asks for.")


def _damaged() -> PeerFault:
    return PeerFault(CloseCode.BAD_FRAME, "A record is damaged, repeated or out of order.")
