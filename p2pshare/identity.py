"""Who somebody is: an Ed25519 key. The public half is the node id, the 32-byte seed is the secret.

The text of an identity, for its file and for a backup on paper alike, is one line:

    p2pshare-identity:1:plain:<base32 of  seed(32) || check(4)>
    p2pshare-identity:1:locked:<base32 of  salt(16) || nonce(12) || sealed seed(32 + 16) || check(4)>

Base32 is that of RFC 4648 in lower case without padding; upper case, spaces and line breaks do no harm when
it is typed in again. The check is the start of the BLAKE3 hash of all bytes before it: it finds typing
errors. A locked seed is sealed by AES-256-GCM with the text up to and with the last colon as associated data;
the key is scrypt(passphrase in NFC, salt, n=2^17, r=8, p=1). The identity file holds that line below lines
that start with "#", which nobody reads but people.

Randomness is an argument: `random_bytes(n)` returns n bytes.
"""

from __future__ import annotations

import base64
import binascii
import os
import shlex
import stat
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import NewType

from blake3 import blake3
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from p2pshare.errors import BadMessage, LocalTrouble, Misuse
from p2pshare.hashing import id_bytes_untrusted, id_text
from p2pshare.limits import KEY_BYTES, KIB

NodeId = NewType("NodeId", bytes)  # a 32-byte Ed25519 public key

# What a signature is for; it never holds for anything else.
CONTEXT_NOISE = (
    b"p2pshare 2026-11-22 noise static key v1"  # data: the X25519 static key of the Noise handshake
)
CONTEXT_TICKET = b"p2pshare 2026-11-22 ticket v1"  # data: the ticket up to its signature
CONTEXT_RECEIPT = b"p2pshare 2026-11-22 receipt v1"  # data: the receipt up to its signatures
CONTEXT_QUEUE_TICKET = b"p2pshare 2026-11-22 queue ticket v1"  # data: the ticket up to its signature

SHORT_ID_CHARS = 12  # 60 bits: enough for people to tell each other apart, too few to prove anything

_PREFIX = "p2pshare-identity:1:"
_PLAIN = _PREFIX + "plain:"
_LOCKED = _PREFIX + "locked:"
_SALT_BYTES = 16
_NONCE_BYTES = 12
_TAG_BYTES = 16
_CHECK_BYTES = 4  # one typing error in 4 thousand million goes unseen
_LOCKED_BYTES = _SALT_BYTES + _NONCE_BYTES + KEY_BYTES + _TAG_BYTES
_SCRYPT_N = 1 << 17  # with r=8 128 MiB and some 0.3 s a guess: what OWASP asks for
_FILE_BYTES_MAX = 4 * KIB  # the line and its comments need 400

RandomBytes = Callable[[int], bytes]
SYSTEM_RANDOM: RandomBytes = os.urandom  # noqa: TID251 - a default only; tests and simulations give their own


class Identity:
    """A key pair that can sign. Its secret shows in no repr."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.node_id = NodeId(key.public_key().public_bytes_raw())

    @classmethod
    def from_seed(cls, seed: bytes) -> Identity:
        if len(seed) != KEY_BYTES:
            raise Misuse(f"a seed has {KEY_BYTES} bytes, not {len(seed)}")
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    def seed(self) -> bytes:
        return self._key.private_bytes_raw()

    def sign(self, context: bytes, data: bytes) -> bytes:
        """64 bytes over `context || 0 || data`. Contexts are constants without a zero byte."""
        return self._key.sign(context + b"\0" + data)

    def __repr__(self) -> str:
        return f"<Identity {short_id(self.node_id)}>"


def verify(node: NodeId, context: bytes, data: bytes, signature: bytes) -> bool:
    """Did `node` sign this, in this context? False for keys and signatures of any shape that do not fit."""
    try:
        Ed25519PublicKey.from_public_bytes(node).verify(signature, context + b"\0" + data)
    except (InvalidSignature, ValueError):
        return False
    return True


def format_node_id(node: NodeId) -> str:
    return id_text(node)


def parse_node_id_untrusted(text: str) -> NodeId:
    """From 52 base32 characters of either case. Raises BadMessage and nothing else."""
    return NodeId(id_bytes_untrusted(text, "A key"))


def short_id(node: NodeId) -> str:
    """A form like "k7qf-3mz2-ab4d" for people. Two keys may share one: never compare these in code."""
    text = id_text(blake3(node).digest())[:SHORT_ID_CHARS]
    return "-".join(text[start : start + 4] for start in range(0, SHORT_ID_CHARS, 4))


def export_identity(
    identity: Identity, passphrase: str | None, random_bytes: RandomBytes = SYSTEM_RANDOM
) -> str:
    """One line for a backup, locked if there is a passphrase. Raises LocalTrouble for an empty passphrase."""
    if passphrase is None:
        return _PLAIN + _checked_text(identity.seed())
    if not passphrase:
        raise LocalTrouble("The passphrase is empty. Choose one, or go without.")
    salt, nonce = random_bytes(_SALT_BYTES), random_bytes(_NONCE_BYTES)
    sealed = AESGCM(_key_from(passphrase, salt)).encrypt(nonce, identity.seed(), _LOCKED.encode())
    return _LOCKED + _checked_text(salt + nonce + sealed)


def import_identity_untrusted(text: str, passphrase: str | None) -> Identity:
    """From the line of `export_identity`, however it was wrapped or capitalised. Raises BadMessage only."""
    line = "".join(text.split()).lower()
    if line.startswith(_PLAIN):
        return Identity.from_seed(_checked_bytes_untrusted(line.removeprefix(_PLAIN), KEY_BYTES))
    if not line.startswith(_LOCKED):
        raise BadMessage(f"This is not an identity: one starts with {_PREFIX!r}.")
    data = _checked_bytes_untrusted(line.removeprefix(_LOCKED), _LOCKED_BYTES)
    if not passphrase:
        raise BadMessage("This identity is locked. Give its passphrase.")
    salt, nonce = data[:_SALT_BYTES], data[_SALT_BYTES : _SALT_BYTES + _NONCE_BYTES]
    sealed = data[_SALT_BYTES + _NONCE_BYTES :]
    try:
        seed = AESGCM(_key_from(passphrase, salt)).decrypt(nonce, sealed, _LOCKED.encode())
    except InvalidTag:
        raise BadMessage("The passphrase does not fit this identity. Try it again.") from None
    return Identity.from_seed(seed)


def create_identity(
    path: Path, passphrase: str | None, seed: bytes, random_bytes: RandomBytes = SYSTEM_RANDOM
) -> Identity:
    """A new identity from 32 random bytes, saved. Raises LocalTrouble, and never overwrites a file."""
    identity = Identity.from_seed(seed)
    save_identity(path, identity, passphrase, random_bytes)
    return identity


def load_identity(path: Path, passphrase: str | None) -> Identity:
    """Raises LocalTrouble: file missing, readable by others, damaged, or the passphrase missing or wrong."""
    try:
        return import_identity_untrusted(_identity_line(path), passphrase)
    except BadMessage as error:
        raise LocalTrouble(f"The identity in {path} cannot be used. {error.text}") from None


def is_locked(path: Path) -> bool:
    """Does this identity file need a passphrase? Raises LocalTrouble if it cannot be read."""
    return _identity_line(path).startswith(_LOCKED)


def save_identity(
    path: Path, identity: Identity, passphrase: str | None, random_bytes: RandomBytes = SYSTEM_RANDOM
) -> None:
    """Writes the file whole or not at all, for its owner only from the first byte on.

    Raises LocalTrouble; also when there already is a file, which is never overwritten.
    """
    text = (
        "# The secret key of a p2pshare identity. Whoever can read this file can be you:\n"
        "# show it to nobody, and keep a copy in a safe place.\n"
        f"# Public key: {format_node_id(identity.node_id)}\n"
        f"{export_identity(identity, passphrase, random_bytes)}\n"
    )
    draft = path.with_name(f".{path.name}.{random_bytes(8).hex()}.new")
    try:
        _write_private(draft, text.encode())
        try:
            os.link(draft, path)  # unlike a rename it fails when the name is taken
        finally:
            draft.unlink()
        _sync_folder(path.parent)
    except FileExistsError:
        raise LocalTrouble(
            f"There already is a file {path}. It may be an identity, so it was left alone."
        ) from None
    except OSError as error:
        raise LocalTrouble(f"The identity could not be saved in {path}: {error.strerror}.") from None


def _key_from(passphrase: str, salt: bytes) -> bytes:
    secret = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogatepass")
    return Scrypt(salt=salt, length=32, n=_SCRYPT_N, r=8, p=1).derive(secret)


def _checked_text(data: bytes) -> str:
    return id_text(data + blake3(data).digest()[:_CHECK_BYTES])


def _checked_bytes_untrusted(text: str, length: int) -> bytes:
    try:
        data = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        raise BadMessage("The identity has characters that do not belong there.") from None
    data, check = data[:-_CHECK_BYTES], data[-_CHECK_BYTES:]
    if len(data) != length or blake3(data).digest()[:_CHECK_BYTES] != check:
        raise BadMessage("The identity was damaged or mistyped: its check does not fit. Compare it again.")
    return data


def _write_private(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows cannot open a folder, and writes the entry through by itself
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _identity_line(path: Path) -> str:
    """The line that is no comment, after the checks on the file itself."""
    try:
        # Without O_NONBLOCK a named pipe in the place of the file would hang us.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise LocalTrouble(f"There is no identity in {path}. Create one, or restore your backup.") from None
    except OSError as error:
        raise LocalTrouble(f"The identity in {path} cannot be read: {error.strerror}.") from None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise LocalTrouble(f"{path} is not a file, so it holds no identity.")
        if os.name != "nt" and status.st_mode & 0o077:
            raise LocalTrouble(
                f"Others may read or change the identity in {path}. Run: chmod 600 {shlex.quote(str(path))}"
            )
        data = os.read(handle, _FILE_BYTES_MAX)
    finally:
        os.close(handle)
    lines = data.decode("ascii", "replace").splitlines()
    return "".join(line.strip() for line in lines if not line.startswith("#")).lower()
