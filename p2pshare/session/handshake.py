"""Noise_XX_25519_AESGCM_SHA256 (Noise Protocol Framework, revision 34), and who is who inside it.

    1  dialer -> acceptor   e                  (no payload)
    2  dialer <- acceptor   e, ee, s, es       introduction of the acceptor
    3  dialer -> acceptor   s, se              introduction of the dialer

`NoiseXX` is the pattern alone, names as in the Noise document: `e` and `s` are key pairs, `re` and `rs` the
public keys of the other side, `h` the running hash, `ck` the chaining key, `k` and `n` key and nonce. An
introduction is what goes into the payload: identity key, its signature over the Noise static key, a hello.

Rule: whatever a stranger sends, only `PeerFault` comes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from p2pshare import limits
from p2pshare.errors import BadMessage, CloseCode, Misuse, PeerFault
from p2pshare.identity import CONTEXT_NOISE, Identity, NodeId, verify
from p2pshare.wire.schema import decode_untrusted, encode
from p2pshare.wire.session import Hello

PATTERN_NAME = b"Noise_XX_25519_AESGCM_SHA256"
MESSAGES = (("e",), ("e", "ee", "s", "es"), ("s", "se"))
KEY_BYTES = limits.KEY_BYTES
TAG_BYTES = limits.RECORD_TAG_BYTES
SIGNATURES_KEPT = 16_384  # some 8 MB, once so many programs have come


@dataclass(frozen=True, slots=True)
class NoiseStatic:
    """The Noise static key of this process, vouched for by its identity. Made once, for all connections."""

    key: X25519PrivateKey
    node_id: NodeId
    signature: bytes

    @classmethod
    def create(cls, identity: Identity, private_bytes: bytes) -> NoiseStatic:
        """`private_bytes`: 32 random bytes, fresh for each process."""
        key = X25519PrivateKey.from_private_bytes(private_bytes)
        return cls(key, identity.node_id, identity.sign(CONTEXT_NOISE, key.public_key().public_bytes_raw()))


def write_introduction(static: NoiseStatic, hello: Hello) -> bytes:
    """The payload of handshake messages 2 and 3."""
    return static.node_id + static.signature + encode(hello)


def read_introduction_untrusted(payload: bytes, rs: bytes, expected: NodeId | None) -> tuple[NodeId, Hello]:
    """Who the other side is and its hello; `rs` is its Noise static key. Raises `PeerFault`."""
    key, signature = payload[:KEY_BYTES], payload[KEY_BYTES : KEY_BYTES + limits.SIGNATURE_BYTES]
    node = NodeId(key)
    if not _has_signed(node, rs, signature):
        raise _fault("The identity key did not sign the key of this connection.")
    if expected is not None and node != expected:
        raise _fault("Somebody else answered: the identity key is not the expected one.")
    try:
        hello = decode_untrusted(payload[KEY_BYTES + limits.SIGNATURE_BYTES :])
    except BadMessage as error:
        raise _fault(f"The introduction holds no hello. {error.text}") from error
    if not isinstance(hello, Hello):
        raise _fault("The introduction holds no hello.")
    return node, hello


@lru_cache(maxsize=SIGNATURES_KEPT)
def _has_signed(node: NodeId, rs: bytes, signature: bytes) -> bool:
    """A program that comes back brings the signature that it brought before, and says nothing new by it: that
    it holds the key of `rs` now, the handshake proves each time. Verifying costs as much as all the rest.
    """
    return verify(node, CONTEXT_NOISE, rs, signature)


class NoiseXX:
    """One handshake, from either end: `write` and `read_untrusted` in turn, then `split`."""

    __slots__ = ("_ck", "_dialing", "_h", "_k", "_keys", "_n", "_theirs", "passed")

    def __init__(self, *, dialing: bool, static: X25519PrivateKey, ephemeral: bytes, prologue: bytes) -> None:
        """`ephemeral`: 32 random bytes, never used before."""
        self._dialing = dialing
        self._keys = {"s": static, "e": X25519PrivateKey.from_private_bytes(ephemeral)}
        self._theirs: dict[str, bytes] = {}
        self._h = self._ck = PATTERN_NAME.ljust(KEY_BYTES, b"\0")
        self._k: bytes | None = None
        self._n = 0
        self.passed = 0  # handshake messages, in both directions
        self._mix_hash(prologue)

    @property
    def complete(self) -> bool:
        """Whether all three messages have passed."""
        return self.passed == len(MESSAGES)

    @property
    def rs(self) -> bytes:
        """The other side's Noise static key; known once its introduction could be read."""
        return self._theirs["s"]

    @property
    def handshake_hash(self) -> bytes:
        """Names this very connection, the same at both ends."""
        return self._h

    def write(self, payload: bytes) -> bytes:
        """Our next handshake message."""
        message = b""
        for token in self._next_tokens(writing=True):
            if token == "e":
                public = self._keys["e"].public_key().public_bytes_raw()
                self._mix_hash(public)
                message += public
            elif token == "s":
                message += self._encrypt_and_hash(self._keys["s"].public_key().public_bytes_raw())
            else:
                self._mix_shared_untrusted(token)
        return message + self._encrypt_and_hash(payload)

    def read_untrusted(self, message: bytes) -> bytes:
        """The payload of their next handshake message. Raises `PeerFault`."""
        for token in self._next_tokens(writing=False):
            if token == "e":
                self._theirs["e"], message = _cut(message, KEY_BYTES)
                self._mix_hash(self._theirs["e"])
            elif token == "s":
                sealed, message = _cut(message, KEY_BYTES + TAG_BYTES)
                self._theirs["s"] = self._decrypt_and_hash_untrusted(sealed)
            else:
                self._mix_shared_untrusted(token)
        return self._decrypt_and_hash_untrusted(message)

    def split(self) -> tuple[bytes, bytes]:
        """(key to send with, key to receive with)."""
        if not self.complete:
            raise Misuse("The handshake is not complete.")
        from_dialer, from_acceptor = _hkdf(self._ck, b"")
        return (from_dialer, from_acceptor) if self._dialing else (from_acceptor, from_dialer)

    def _next_tokens(self, *, writing: bool) -> tuple[str, ...]:
        if self.complete or writing != (self._dialing == (self.passed % 2 == 0)):
            raise Misuse("It is not this side's turn in the handshake.")
        self.passed += 1
        return MESSAGES[self.passed - 1]

    def _mix_shared_untrusted(self, token: str) -> None:
        """Mix in a Diffie-Hellman result. In `es`, the dialer's key comes first, the acceptor's second."""
        mine, theirs = (token[0], token[1]) if self._dialing else (token[1], token[0])
        try:
            shared = self._keys[mine].exchange(X25519PublicKey.from_public_bytes(self._theirs[theirs]))
        except ValueError as error:  # the result is zero: a key that forces the secret
            raise _fault("A key of the other side is not a usable X25519 key.") from error
        self._ck, self._k = _hkdf(self._ck, shared)
        self._n = 0

    def _mix_hash(self, data: bytes) -> None:
        self._h = sha256(self._h + data).digest()

    def _encrypt_and_hash(self, text: bytes) -> bytes:
        sealed = text if self._k is None else AESGCM(self._k).encrypt(self._next_nonce(), text, self._h)
        self._mix_hash(sealed)
        return sealed

    def _decrypt_and_hash_untrusted(self, sealed: bytes) -> bytes:
        try:
            text = sealed if self._k is None else AESGCM(self._k).decrypt(self._next_nonce(), sealed, self._h)
        except InvalidTag as error:
            raise _fault("A handshake message is damaged, or not meant for this connection.") from error
        self._mix_hash(sealed)
        return text

    def _next_nonce(self) -> bytes:
        self._n += 1
        return nonce(self._n - 1)


def nonce(n: int) -> bytes:
    """The 12-byte nonce of AESGCM in Noise: 32 zero bits and the big-endian 64-bit counter."""
    return n.to_bytes(12, "big")


def _hkdf(ck: bytes, material: bytes) -> tuple[bytes, bytes]:
    """HKDF of the Noise document with two outputs; it is RFC 5869 with `ck` as salt and an empty info."""
    both = HKDF(algorithm=SHA256(), length=2 * KEY_BYTES, salt=ck, info=b"").derive(material)
    return both[:KEY_BYTES], both[KEY_BYTES:]


def _cut(message: bytes, size: int) -> tuple[bytes, bytes]:
    if len(message) < size:
        raise _fault("A handshake message is too short.")
    return message[:size], message[size:]


def _fault(text: str) -> PeerFault:
    return PeerFault(CloseCode.BAD_HANDSHAKE, text)
