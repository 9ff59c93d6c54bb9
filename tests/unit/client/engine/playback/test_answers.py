"""What requests are answered with."""

from __future__ import annotations

from http import HTTPStatus

import h11
import pytest

from client.engine.playback.answers import Answer, Shown, answer_untrusted, find_token_untrusted
from client.engine.playback.byte_ranges import Span
from p2pshare.hashing import FileId

HOST = "127.0.0.1:4000"
HOSTS = frozenset({HOST})
FILM = Shown("Nosferatu.mp4", 1_000, FileId(b"\x01" * 32))


def request(target: str = "/token/name", method: str = "GET", **headers: str) -> h11.Request:
    lines = {"Host": HOST} | {name.replace("_", "-"): value for name, value in headers.items()}
    return h11.Request(method=method, target=target, headers=list(lines.items()))


def answer(**headers: str) -> tuple[Answer, dict[str, str]]:
    chosen = answer_untrusted(request(**headers), FILM)
    return chosen, dict(chosen.headers)


@pytest.mark.parametrize("target", ["/token/name.mp4", "/token", "/token/", "/token?x=1", "/token/a/b"])
def test_the_token_is_the_first_part_of_the_path(target: str) -> None:
    assert find_token_untrusted(request(target), HOSTS) == "token"


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (request(Host="evil.example"), 421),
        (request(Host="127.0.0.1"), 421),
        (request(Host="127.0.0.1:4001"), 421),
        (request(method="POST"), 405),
        (request(method="OPTIONS", target="*"), 405),
        (request("http://127.0.0.1:4000/token"), 400),
    ],
)
def test_strangers_are_told_nothing(asked: h11.Request, status: int) -> None:
    refused = find_token_untrusted(asked, HOSTS)
    assert isinstance(refused, Answer)
    assert refused.status == status


def test_a_request_without_a_host_is_not_for_us() -> None:
    old = h11.Request(method="GET", target="/token", headers=[], http_version="1.0")
    refused = find_token_untrusted(old, HOSTS)
    assert isinstance(refused, Answer) and refused.status == 421


def test_without_a_range_the_whole_file_comes() -> None:
    whole, headers = answer()
    assert whole.status is HTTPStatus.OK
    assert whole.body == (Span(0, 1_000),)
    assert whole.size == 1_000
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Type"] == "video/mp4"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_range_is_answered_with_just_that() -> None:
    part, headers = answer(Range="bytes=100-199")
    assert part.status is HTTPStatus.PARTIAL_CONTENT
    assert part.body == (Span(100, 200),)
    assert headers["Content-Range"] == "bytes 100-199/1000"
    assert headers["ETag"] == FILM.tag


def test_several_ranges_come_in_parts() -> None:
    parts, headers = answer(Range="bytes=0-9,500-509")
    assert parts.status is HTTPStatus.PARTIAL_CONTENT
    boundary = headers["Content-Type"].removeprefix("multipart/byteranges; boundary=")
    assert [part for part in parts.body if isinstance(part, Span)] == [Span(0, 10), Span(500, 510)]
    text = b"".join(part if isinstance(part, bytes) else b"?" * part.size for part in parts.body)
    assert len(text) == parts.size
    assert text.count(f"--{boundary}\r\n".encode()) == 2
    assert text.endswith(f"\r\n--{boundary}--\r\n".encode())
    assert b"Content-Range: bytes 500-509/1000" in text


def test_behind_the_end_is_not_satisfiable() -> None:
    refused, headers = answer(Range="bytes=1000-")
    assert refused.status is HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    assert headers["Content-Range"] == "bytes */1000"


@pytest.mark.parametrize(
    ("if_range", "status"),
    [(FILM.tag, 206), ('"other"', 200), (f"W/{FILM.tag}", 200), ("Sun, 22 Nov 2026 15:00:00 GMT", 200)],
)
def test_part_of_another_file_is_never_given(if_range: str, status: int) -> None:
    assert answer(Range="bytes=0-1", If_Range=if_range)[0].status == status


def test_head_asks_for_no_range() -> None:
    asked = request(method="HEAD", Range="bytes=0-1")
    assert answer_untrusted(asked, FILM).status is HTTPStatus.OK


def test_two_range_headers_mean_nothing() -> None:
    headers = [("Host", HOST), ("Range", "bytes=0-1"), ("Range", "bytes=5-6")]
    asked = h11.Request(method="GET", target="/token", headers=headers)
    assert answer_untrusted(asked, FILM).status is HTTPStatus.OK
