"""The form of a test vector: `key: value` lines, an empty line, bytes in hex (as the age vectors have it).

The first line is `expect: success` or `expect: <class> failure`, the second a comment. Keys may repeat. In a
conversation every line of hex begins with `>` (dialer to acceptor) or `<`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "vectors"
HEX_CHARS = 64  # on a line


@dataclass(frozen=True)
class Vector:
    """One file. It tests one thing."""

    name: str
    head: tuple[tuple[str, str], ...]
    body: tuple[tuple[str, bytes], ...]
    """(">", "<" or "", bytes)"""

    def __getitem__(self, key: str) -> str:
        """The value of the one line with this key."""
        (value,) = self.all(key)
        return value

    def get(self, key: str, default: str = "") -> str:
        values = self.all(key)
        return values[0] if values else default

    def all(self, key: str) -> list[str]:
        return [value for each, value in self.head if each == key]

    def starting(self, start: str) -> list[tuple[str, str]]:
        """(rest of the key, value) of every line whose key begins so."""
        return [(key.removeprefix(start), value) for key, value in self.head if key.startswith(start)]

    def hex(self, key: str) -> bytes:
        return bytes.fromhex(self[key])

    @property
    def data(self) -> bytes:
        return b"".join(data for _, data in self.body)


def vector(
    name: str,
    expect: str,
    comment: str,
    head: Iterable[tuple[str, object]] = (),
    body: bytes | Sequence[tuple[str, bytes]] = b"",
) -> Vector:
    """`head` values are texts, bytes (shown in hex) or members of an enum."""
    lines = [("expect", expect), ("comment", " ".join(comment.split()))]
    lines += [(key, _text(value)) for key, value in head]
    whole = (("", body),) if isinstance(body, bytes) else tuple(body)
    return Vector(name, tuple(lines), whole)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    return value.name if isinstance(value, IntEnum) else str(value)


def format_vector(each: Vector) -> str:
    lines = [f"{key}: {value}".rstrip() for key, value in each.head]
    lines.append("")
    for direction, data in each.body:
        text = data.hex()
        for at in range(0, len(text), HEX_CHARS):
            lines.append(f"{direction} {text[at : at + HEX_CHARS]}".strip())
    return "\n".join(lines) + "\n"


def parse_vector(name: str, text: str) -> Vector:
    head_text, _, body_text = text.partition("\n\n")
    head = []
    for line in head_text.splitlines():
        key, _, value = line.partition(":")
        head.append((key, value.strip()))
    body: list[tuple[str, bytes]] = []
    for line in body_text.splitlines():
        direction = line[0] if line[0] in "<>" else ""
        data = bytes.fromhex(line.lstrip("<> "))
        if body and body[-1][0] == direction:
            body[-1] = (direction, body[-1][1] + data)
        else:
            body.append((direction, data))
    return Vector(name, tuple(head), tuple(body))


def load_vectors() -> list[Vector]:
    return [
        parse_vector(path.stem, path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.txt"))
    ]


def notation(plain: Any) -> str:
    """Plain MessagePack values as people read them: 1, "text", h'00ff', [..], true, nil."""
    if plain is None:
        return "nil"
    if isinstance(plain, bool):
        return str(plain).lower()
    if isinstance(plain, bytes):
        return f"h'{plain.hex()}'"
    if isinstance(plain, str):
        return f'"{plain}"'
    if isinstance(plain, list | tuple):
        return f"[{', '.join(map(notation, plain))}]"
    return str(int(plain))
