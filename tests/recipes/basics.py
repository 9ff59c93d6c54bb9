"""Vectors of everything below messages: hashes, tickets, manifest digests, texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from p2pshare import limits
from p2pshare.addresses import Address
from p2pshare.errors import CloseCode
from p2pshare.hashing import FileHasher, FileId, format_file_id, hash_piece, piece_size_for
from p2pshare.identity import Identity, format_node_id, short_id
from p2pshare.limits import KIB, MIB
from p2pshare.links import FileLink, Invite, format_link
from p2pshare.names import fold
from p2pshare.tickets import issue_ticket
from p2pshare.wire.fields import Offer, Tags
from p2pshare.wire.manifest import EMPTY_MANIFEST, change_digest, offer_hash
from p2pshare.wire.schema import dump, pack
from tests.vector_file import Vector, notation, vector

SIZES = (0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 200_000)
PIECE_SIZES = (0, 1, 128 * MIB, 128 * MIB + 1, 4 * limits.GIB, 32 * limits.GIB + 1, limits.FILE_BYTES_MAX)
SERVER, ASKER, TARGET, OTHER = (Identity.from_seed(bytes([n]) * 32) for n in range(1, 5))
NOW = 1_800_000_000
NONCE = bytes(range(16))
TEXTS = (
    "Wu-Tang Clan",
    "Beyoncé",
    "Sigur Rós - Hoppípolla.mp3",
    "ÆØÅ æøå ß",
    "don't stop",
    "snake_case_name",
    "ＦＵＬＬ　ｗｉｄｔｈ",
    "久石譲 Summer",
    "Чайковский",
    "Ελληνικά",
    "ﬁle №5",
)


def content(size: int) -> bytes:
    """Byte i is i mod 251, which no piece size is a multiple of."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def vectors() -> Iterator[Vector]:
    yield from hashes()
    yield from hash_failures()
    yield from tickets()
    yield manifest()
    yield texts()
    yield links()


def hashes() -> Iterator[Vector]:
    for size in SIZES:
        hasher = FileHasher(size)
        hasher.update(content(size))
        whole = hasher.finish()
        head: list[tuple[str, object]] = [
            ("what", "file"),
            ("content", "byte i is i mod 251"),
            ("size", size),
            ("piece size", whole.piece_size),
        ]
        head += [
            (f"piece hash {n}", whole.hashes[32 * n : 32 * n + 32]) for n in range(len(whole.hashes) // 32)
        ]
        head += [("file id", format_file_id(whole.file_id))]
        yield vector(
            f"file_{size}", "success", "A file, its piece hashes and its id in hex.", head, whole.file_id
        )
    head = [("what", "piece sizes"), *((f"size {size}", piece_size_for(size)) for size in PIECE_SIZES)]
    comment = "The piece size follows from the size. Nothing follows the empty line."
    yield vector("piece_sizes", "success", comment, head)


def hash_failures() -> Iterator[Vector]:
    size = 200_000
    hasher = FileHasher(size)
    hasher.update(content(size))
    whole = hasher.finish()
    of_file = [("what", "piece hashes"), ("file", whole.file_id), ("size", size)]
    swapped = whole.hashes[32:64] + whole.hashes[:32] + whole.hashes[64:]
    for name, comment, piece_size, data, code in (
        ("swapped", "Two piece hashes changed places.", whole.piece_size, swapped, CloseCode.BAD_DATA),
        ("short", "A piece hash is missing.", whole.piece_size, whole.hashes[:-32], CloseCode.BAD_MESSAGE),
        (
            "piece_size",
            "Not the piece size of that size.",
            2 * whole.piece_size,
            whole.hashes,
            CloseCode.BAD_MESSAGE,
        ),
    ):
        head = [*of_file, ("piece size", piece_size), ("code", code)]
        yield vector(f"hash_failure_{name}", "hash failure", comment, head, data)
    piece = bytearray(content(100))
    head = [("what", "piece"), ("piece hash", hash_piece(piece)), ("code", CloseCode.BAD_DATA)]
    piece[50] ^= 1
    yield vector("hash_failure_piece", "hash failure", "One bit of a piece is wrong.", head, bytes(piece))


def tickets() -> Iterator[Vector]:
    good = issue_ticket(SERVER, asker=ASKER.node_id, target=TARGET.node_id, nonce=NONCE, unix_now=NOW)
    seeds = [("server seed", SERVER.seed()), ("nonce", NONCE)]

    def head(
        asker: Identity = ASKER, target: Identity = TARGET, server: Identity = SERVER, now: int = NOW
    ) -> list[tuple[str, object]]:
        return [
            ("what", "ticket"),
            *seeds,
            ("server", server.node_id),
            ("asker", asker.node_id),
            ("target", target.node_id),
            ("issued", NOW),
            ("now", now),
        ]

    comment = "A ticket, checked by its target when the asker knocks."
    yield vector("ticket", "success", comment, head(), good)
    late = NOW + limits.TICKET_LIFETIME_S + limits.CLOCK_SKEW_S
    yield vector(
        "ticket_latest",
        "success",
        "The last second, with the clocks as wrong as they may be.",
        head(now=late),
        good,
    )
    damaged = good[:-1] + bytes([good[-1] ^ 1])
    for name, comment, lines, data in (
        ("expired", "One second later.", head(now=late + 1), good),
        (
            "from_the_future",
            "Issued later than clocks may differ.",
            head(now=NOW - limits.CLOCK_SKEW_S - 1),
            good,
        ),
        ("other_asker", "Somebody else shows it.", head(asker=OTHER), good),
        ("other_target", "It is shown to somebody else.", head(target=OTHER), good),
        ("other_server", "The target uses another index server.", head(server=OTHER), good),
        ("damaged", "The signature is wrong.", head(), damaged),
        ("short", "A byte is missing.", head(), good[:-1]),
        ("empty", "No ticket at all, and not on the local network.", head(), b""),
    ):
        lines = [*lines, ("code", CloseCode.NOT_ADMITTED)]
        yield vector(f"ticket_failure_{name}", "ticket failure", comment, lines, data)


def manifest() -> Vector:
    song = Offer(
        offer=1,
        path="Music/Beyoncé/Halo.flac",
        size=31_337,
        file=FileId(bytes(range(32))),
        changed=NOW,
        tags=Tags(title="Halo", artist="Beyoncé", length_s=261, lossless=True),
    )
    plain = Offer(offer=2, path="notes.txt", size=0)
    changed = replace(plain, size=12, file=FileId(bytes(32)))
    hashes = [offer_hash(each) for each in (song, plain, changed)]
    first = change_digest(EMPTY_MANIFEST, added=[hashes[0]])
    second = change_digest(first, added=[hashes[1]])
    third = change_digest(second, removed=[hashes[1]], added=[hashes[2]])
    return vector(
        "manifest",
        "success",
        "Offers as MessagePack, their hashes, and the digest after each change; the last one in hex.",
        [
            ("what", "manifest"),
            ("digest of none", EMPTY_MANIFEST),
            *(
                line
                for offer, hash_, digest, word in (
                    (song, hashes[0], first, "added"),
                    (plain, hashes[1], second, "added"),
                    (changed, hashes[2], third, "in place of offer 2"),
                )
                for line in (
                    (word, notation(dump(offer))),
                    ("offer", pack(dump(offer))),
                    ("offer hash", hash_),
                    ("digest", digest),
                )
            ),
        ],
        third,
    )


def texts() -> Vector:
    comment = (
        "How text is folded into words to search, joined by single spaces. Nothing follows the empty line."
    )
    return vector(
        "words", "success", comment, [("what", "words"), *((f"fold {text}", fold(text)) for text in TEXTS)]
    )


def links() -> Vector:
    file = FileLink(FileId(bytes(range(32))), "Blue Monday & more.flac", 31_337)
    invite = Invite(
        SERVER.node_id,
        (Address("example.org", 4747), Address("2001:db8::1", 4747)),
        "A server, and more",
        "t5d5bjz6yysxqpjs",
    )
    return vector(
        "links",
        "success",
        "Links as people pass them on, and the text forms of ids. Nothing follows the empty line.",
        [
            ("what", "links"),
            ("node", SERVER.node_id),
            ("node text", format_node_id(SERVER.node_id)),
            ("node short", short_id(SERVER.node_id)),
            ("file link", format_link(file)),
            ("file id", file.file_id),
            ("file name", file.name),
            ("file size", file.size),
            ("invite", format_link(invite)),
            *(("invite address", str(address)) for address in invite.addresses),
            ("invite name", invite.name),
            ("invite code", invite.code),
        ],
    )
