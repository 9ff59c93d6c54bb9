"""What fuzzing begins with: sound inputs for every target, most of them from the vectors."""

from __future__ import annotations

from collections.abc import Iterable

from client.engine.shares.listing import START
from index_server.config import default_text
from p2pshare.identity import Identity, export_identity, format_node_id
from p2pshare.wire.peer import FileOpened, Others
from p2pshare.wire.schema import REGISTRY, encode
from tests.recipes.connections import framed
from tests.session_pair import ALICE, static_of
from tests.vector_file import Vector, load_vectors
from tests.wire_values import example

PLAIN = bytes([0x00, 0, 0])  # how `fuzz_frames` reads on: not admitted, one record
ADMITTED = bytes([0x80, 0, 0])
SETTINGS = b'nick = "anna"\nservers = []\nupload_slots = 4\nexclude = ["*.part"]\nlan = true\n'
CALLS = (
    b'{"secret": "x", "method": "search", "arguments": {"query": "blue", "kinds": ["audio"], "limit": 5}}\n',
    b'{"secret": "x", "method": "pause", "arguments": {"download": 1}}\n',
    b'{"secret": "x", "method": "status", "arguments": {}}\n',
)
QUERIES = ('blue monday -live "new order" -"a b" wu-tang.mp3', "Beyoncé", "-only", '"', "久石譲")
NAMES = (
    "Music/Beyoncé/Halo.flac",
    "../../etc/passwd",
    "CON.txt",
    "a\u202egnp.exe",
    "x" * 300 + ".tar.gz",
    "\\\\server\\x",
)


def corpus(target: str) -> list[bytes]:
    """Inputs to begin with."""
    vectors = load_vectors()
    return list(dict.fromkeys(_inputs(target, vectors)))


def _inputs(target: str, vectors: list[Vector]) -> Iterable[bytes]:
    def of(*whats: str) -> list[bytes]:
        return [each.data for each in vectors if each["what"] in whats]

    examples = [encode(example(message)) for message in REGISTRY.values()]
    links = next(each for each in vectors if each.name == "links")
    node = format_node_id(ALICE.node_id).encode()
    match target:
        case "stream" | "handshake" | "introduction":
            return [*of("handshake", "records", "conversation"), static_of(ALICE).node_id]
        case "frames":
            return [
                start + text
                for start in (PLAIN, ADMITTED)
                for text in [*of("plaintext"), *(framed(body) for body in examples)]
            ]
        case "decode":
            return of("message")
        case "offer":
            return [bytes.fromhex(offer) for each in vectors for offer in each.all("offer")]
        case "query":
            return [query.encode() for query in QUERIES]
        case "listing_cursor":
            return [b"", START.cursor()]
        case "bitmap":
            return [b"\0\0", b"\0\x08\xff", b"\0\x09\x80\x80", b"\x08\0" + b"\x55" * 256]
        case "piece_hashes":
            return [
                (200_000).to_bytes(6, "big") + (65_536).to_bytes(3, "big") + data
                for data in of("piece hashes")
            ]
        case "ticket":
            return of("ticket")
        case "queue_ticket":
            return of("queue ticket")
        case "receipt":
            return of("receipt")
        case "arriving":
            whole = [(piece, 0, 65_536) for piece in (0, 1)]
            halves = [(piece, at, 32_768) for piece in (0, 1) for at in (0, 32_768)]
            return [
                b"".join(
                    bytes([2 * piece]) + at.to_bytes(3, "big") + size.to_bytes(3, "big")
                    for piece, at, size in [*parts, (2, 0, 100)]
                )
                for parts in (whole, halves)
            ]
        case "opened":
            return [encode(example(FileOpened))]
        case "recommended":
            return [encode(example(Others))]
        case "link":
            return [links["file link"].encode(), links["invite"].encode()]
        case "address":
            return [
                b"example.org:4747",
                b"[2001:db8::1]:4747",
                b"127.0.0.1:1",
                b"::ffff:1.2.3.4",
                b"0x7f.1:80",
            ]
        case "rule_target":
            return [
                b"203.0.113.7/24",
                b"2001:db8::1",
                b"::ffff:1.2.3.4/120",
                "\u00c4rger".encode(),
                b"a" * 52,
            ]
        case "ids":
            return [links["node text"].encode(), node]
        case "identity":
            return [export_identity(Identity.from_seed(bytes(32)), None).encode()]
        case "names" | "nick":
            return [name.encode() for name in NAMES]
        case "settings":
            return [SETTINGS]
        case "server_config":
            return [default_text().encode()[:2_000], b'[server]\nname = "x"\nstop_within = "3 s"\n']
        case "control":
            return CALLS
        case "announcement":
            return [b"10.0.0.1,fd00::1\nkey=" + node + b"\nversions=1\nname=anna"]
        case "player":
            head = b"GET /token/Blue%20Train.mp3 HTTP/1.1\r\nHost: 127.0.0.1:4000\r\n"
            ranges = (b"bytes=0-", b"bytes=-1", b"bytes=5-9,100-200", b"bytes=1000-", b"bytes=9-5")
            return [
                head + b"\r\n",
                head.replace(b"GET", b"HEAD") + b"If-Range: x\r\n\r\n",
                *(head + b"Range: " + text + b"\r\n\r\n" for text in ranges),
            ]
    raise AssertionError(f"no corpus for {target}")
