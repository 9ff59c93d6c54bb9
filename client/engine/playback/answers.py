"""What a request over HTTP is answered with, decided before a byte is sent. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

import h11

from client.engine.playback.byte_ranges import Span, parse_range_untrusted
from client.engine.playback.media import disposition, media_type
from p2pshare.hashing import FileId, format_file_id

METHODS = (b"GET", b"HEAD")

# For every answer. The address is a secret, so no page may learn it and nothing keeps what was played.
_ALWAYS = (
    ("Cache-Control", "private, no-store"),
    ("Content-Security-Policy", "default-src 'none'; media-src 'self'; img-src 'self'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)


@dataclass(frozen=True)
class Answer:
    """A whole answer; of the body, bytes are sent as they are and spans are read from the file."""

    status: HTTPStatus
    headers: tuple[tuple[str, str], ...]
    body: tuple[bytes | Span, ...] = ()

    @property
    def size(self) -> int:
        """Of the body."""
        return sum(part.size if isinstance(part, Span) else len(part) for part in self.body)


@dataclass(frozen=True)
class Shown:
    """A file that can be played."""

    name: str
    size: int
    file: FileId

    @property
    def tag(self) -> str:
        """The id of a file is the hash of its content: no tag could be stronger."""
        return f'"{format_file_id(self.file)}"'


def refusal(status: HTTPStatus, sentence: str, *headers: tuple[str, str]) -> Answer:
    body = f"{sentence}\n".encode()
    return Answer(status, (*_ALWAYS, ("Content-Type", "text/plain; charset=utf-8"), *headers), (body,))


def find_token_untrusted(request: h11.Request, hosts: frozenset[str]) -> str | Answer:
    """The secret part of the address that is asked for, or why nothing will be shown."""
    if request.method not in METHODS:
        allow = ("Allow", ", ".join(method.decode() for method in METHODS))
        return refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Files can only be read here.", allow)
    if header_untrusted(request, b"host") not in hosts:
        # A page whose name was made to point at this machine is told nothing.
        return refusal(HTTPStatus.MISDIRECTED_REQUEST, "This is not the address of a p2pshare.")
    before, slash, path = request.target.decode("latin-1").partition("/")
    if before or not slash:
        return refusal(HTTPStatus.BAD_REQUEST, "The address must begin with a slash.")
    return path.partition("?")[0].partition("/")[0]


def answer_untrusted(request: h11.Request, shown: Shown) -> Answer:
    """To a request whose token is right."""
    headers = (
        *_ALWAYS,
        ("Accept-Ranges", "bytes"),
        ("Content-Disposition", disposition(shown.name)),
        ("ETag", shown.tag),
    )
    kind = media_type(shown.name)
    whole = Answer(HTTPStatus.OK, (*headers, ("Content-Type", kind)), (Span(0, shown.size),))
    text, wanted_tag = header_untrusted(request, b"range"), header_untrusted(request, b"if-range")
    if text is None or request.method != b"GET" or wanted_tag not in (None, shown.tag):
        return whole
    spans = parse_range_untrusted(text, shown.size)
    if spans is None:
        return whole
    if not spans:
        sentence = f"The file has {shown.size} bytes; none of those asked for is among them."
        return refusal(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, sentence, ("Content-Range", f"bytes */{shown.size}")
        )
    if len(spans) == 1:
        about = (("Content-Type", kind), ("Content-Range", _content_range(spans[0], shown.size)))
        return Answer(HTTPStatus.PARTIAL_CONTENT, (*headers, *about), spans)
    return _several(headers, kind, spans, shown)


def _several(
    headers: tuple[tuple[str, str], ...], kind: str, spans: tuple[Span, ...], shown: Shown
) -> Answer:
    boundary = format_file_id(shown.file)  # no file can hold its own hash
    body: list[bytes | Span] = []
    for span in spans:
        head = f"Content-Type: {kind}\r\nContent-Range: {_content_range(span, shown.size)}"
        body += [f"\r\n--{boundary}\r\n{head}\r\n\r\n".encode(), span]
    body.append(f"\r\n--{boundary}--\r\n".encode())
    about = ("Content-Type", f"multipart/byteranges; boundary={boundary}")
    return Answer(HTTPStatus.PARTIAL_CONTENT, (*headers, about), tuple(body))


def _content_range(span: Span, size: int) -> str:
    return f"bytes {span.first}-{span.end - 1}/{size}"


def header_untrusted(request: h11.Request, name: bytes) -> str | None:
    """The value of a header; of one that is there twice, nothing that means anything."""
    values = [value for key, value in request.headers if key == name]
    if not values:
        return None
    return values[0].decode("latin-1") if len(values) == 1 else ""
