"""The door for players, over real sockets, and strangers at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio

from client.engine.playback import door, talk
from client.engine.playback.door import TALKS_MAX, Door
from client.engine.playback.showing import Showing, Stores
from p2pshare.errors import LocalTrouble
from p2pshare.hashing import FileId
from p2pshare.transport.background import background
from p2pshare.transport.network import TCP
from tests.player import Player
from tests.world import content

SONG = content("blue train", 300_000)
TOKEN = "d00r"


class HeldSong:
    """A shared file of which `here` bytes can be read."""

    piece_size = 65_536

    def __init__(self, theatre: Played) -> None:
        self._theatre = theatre

    def has(self, piece: int) -> bool:
        return piece < self._theatre.pieces

    async def read_into(self, offset: int, into: memoryview) -> None:
        await trio.lowlevel.checkpoint()
        self._theatre.read_bytes += len(into)
        into[:] = SONG[offset : offset + len(into)]

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


@dataclass
class News:
    news: trio.lowlevel.ParkingLot = field(default_factory=trio.lowlevel.ParkingLot)


@dataclass
class Shelf:
    theatre: Played

    async def hold(self, file: FileId) -> HeldSong:
        await trio.lowlevel.checkpoint()
        return HeldSong(self.theatre)


class Played:
    """One song behind a door; `pieces` of it have arrived."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.pieces = 5
        self.read_bytes = 0
        self.news = News()
        stores = Stores(Shelf(self), self.news, None)  # type: ignore[arg-type]
        self.showing = Showing(stores, TOKEN, "Blue Train.mp3", len(SONG), FileId(b"\x07" * 32), None)
        self.door = Door(TCP, nursery, {TOKEN: self.showing}.get)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.door.port}/{TOKEN}/Blue%20Train.mp3"

    def arrive(self) -> None:
        self.pieces += 1
        self.news.news.unpark_all()

    async def stream(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.door.port)

    @asynccontextmanager
    async def player(self) -> AsyncIterator[Player]:
        async with await self.stream() as stream:
            yield Player(stream, self.url)


@asynccontextmanager
async def played() -> AsyncIterator[Played]:
    async with background() as nursery:
        theatre = Played(nursery)
        await theatre.door.open()
        with trio.fail_after(20):
            yield theatre


async def said(theatre: Played, words: bytes) -> bytes:
    """All that is answered until the connection closes."""
    async with await theatre.stream() as stream:
        answer = b""
        try:
            await stream.send_all(words)
            async for data in stream:
                answer += data
        except trio.BrokenResourceError:
            pass  # closed while there was something unread
        return answer


async def test_one_connection_answers_one_request_after_the_other() -> None:
    async with played() as theatre, theatre.player() as player:
        assert await player.get() == SONG
        assert await player.get(100, 200) == SONG[100:200]
        answer = await player.ask("HEAD")
        assert dict(answer.headers)[b"content-length"] == str(len(SONG)).encode()
        assert await player.body() == b""
        assert await player.get(len(SONG) - 1) == SONG[-1:]


async def test_requests_sent_ahead_are_answered_in_order() -> None:
    head = f"GET /{TOKEN} HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nRange: bytes=%d-%d\r\n%s\r\n"
    async with played() as theatre:
        port = theatre.door.port
        words = (
            head % (port, 0, 9, "")
            + head % (port, 10, 19, "")
            + head % (port, 20, 29, "Connection: close\r\n")
        )
        answer = await said(theatre, words.encode())
    bodies = [
        part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 206 Partial Content\r\n")[1:]
    ]
    assert bodies == [SONG[:10], SONG[10:20], SONG[20:30]]


async def test_a_missing_piece_is_waited_for_and_nothing_behind_it_is_sent() -> None:
    async with played() as theatre, theatre.player() as player:
        theatre.pieces = 2
        await player.ask()
        seen = b""
        while len(seen) < 2 * HeldSong.piece_size:
            event = await player.event()
            seen += event.data  # type: ignore[attr-defined]
        assert seen == SONG[: 2 * HeldSong.piece_size]
        with trio.move_on_after(0.1) as waiting:
            await player.event()
        assert waiting.cancelled_caught
        for _ in range(3):
            theatre.arrive()
        assert seen + await player.body() == SONG


async def test_a_player_that_hangs_up_while_it_waits_is_served_no_longer() -> None:
    async with played() as theatre:
        theatre.pieces = 0
        async with theatre.player() as player:
            await player.ask()
            while not theatre.showing.is_read:
                await trio.lowlevel.checkpoint()
        while theatre.showing.is_read:
            await trio.lowlevel.checkpoint()


async def test_many_read_at_once() -> None:
    async with played() as theatre, trio.open_nursery() as nursery:

        async def read(first: int) -> None:
            async with theatre.player() as player:
                assert await player.get(first) == SONG[first:]

        for first in range(0, 200_000, 10_000):
            nursery.start_soon(read, first)


async def test_a_player_that_does_not_read_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    size = 200_000_000
    monkeypatch.setattr(HeldSong, "has", lambda self, piece: True)

    async def zeros(self: HeldSong, offset: int, into: memoryview) -> None:
        await trio.lowlevel.checkpoint()
        self._theatre.read_bytes += len(into)

    monkeypatch.setattr(HeldSong, "read_into", zeros)
    async with played() as theatre:
        theatre.showing.size = size
        async with theatre.player() as player:
            await player.ask()
            before = -1
            while before != theatre.read_bytes:  # until nothing more goes into the socket
                before = theatre.read_bytes
                await trio.sleep(0.05)
            assert theatre.read_bytes < 16_000_000


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("GET /{token} HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        ("GET /{token} HTTP/1.1\r\n\r\n", 400),
        ("GET /{token} HTTP/1.0\r\n\r\n", 421),
        ("GET /{token} HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n", 404),
        ("GET /wrong/Blue%20Train.mp3 HTTP/1.1\r\nHost: {host}\r\n\r\n", 404),
        ("GET /../{token} HTTP/1.1\r\nHost: {host}\r\n\r\n", 404),
        ("GET /%64%30%30%72 HTTP/1.1\r\nHost: {host}\r\n\r\n", 404),
        ("GET //{token} HTTP/1.1\r\nHost: {host}\r\n\r\n", 404),
        ("GET /etc/passwd HTTP/1.1\r\nHost: {host}\r\n\r\n", 404),
        ("GET {token} HTTP/1.1\r\nHost: {host}\r\n\r\n", 400),
        ("GET http://{host}/{token} HTTP/1.1\r\nHost: {host}\r\n\r\n", 400),
        ("PUT /{token} HTTP/1.1\r\nHost: {host}\r\n\r\n", 405),
        ("OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n", 405),
        ("GET /{token} HTTP/1.1\r\nHost: {host}\r\nX: {long}\r\n\r\n", 431),
        ("GET /{long} HTTP/1.1\r\nHost: {host}\r\n\r\n", 431),
        ("GET /{token} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        ("\x16\x03\x01\x02\x00\x01\x00 this is TLS\r\n\r\n", 400),
        ("hello\r\n\r\n", 400),
    ],
)
async def test_strangers_get_a_short_answer_and_are_gone(words: str, status: int) -> None:
    async with played() as theatre:
        host = f"127.0.0.1:{theatre.door.port}"
        words = words.format(token=TOKEN, host=host, long="x" * 40_000)
        answer = await said(theatre, words.encode("latin-1"))
        assert answer.split(b" ")[1] == str(status).encode(), answer[:80]
        assert b"connection: close" in answer.lower()
        assert theatre.read_bytes == 0
        async with theatre.player() as player:  # and nobody else was disturbed
            assert await player.get() == SONG


@pytest.mark.parametrize(
    "words",
    [
        "GET /{token} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\n\r\nhello",
        "GET /{token} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n",
        "",
    ],
)
async def test_whoever_sends_what_no_player_sends_is_left(
    words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talk, "FIRST_REQUEST_S", 0.05)
    async with played() as theatre:
        words = words.format(token=TOKEN, host=f"127.0.0.1:{theatre.door.port}")
        assert SONG[:1_000] not in await said(theatre, words.encode())


async def test_one_letter_a_minute_does_not_keep_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talk, "FIRST_REQUEST_S", 0.1)
    async with played() as theatre, await theatre.stream() as stream:
        await stream.send_all(b"GET /")
        assert await stream.receive_some() == b""


async def test_strangers_cannot_keep_players_out() -> None:
    async with played() as theatre:
        streams = [await theatre.stream() for _ in range(TALKS_MAX + 5)]
        async with theatre.player() as player:
            assert await player.get() == SONG
            for stream in streams:
                await stream.aclose()


async def test_players_are_not_driven_out_by_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "TALKS_MAX", 2)
    async with played() as theatre, theatre.player() as one, theatre.player() as two:
        await one.get(0, 1)
        await two.get(0, 1)
        async with await theatre.stream() as stranger:
            assert await stranger.receive_some() == b""
        assert await one.get() == await two.get() == SONG


async def test_a_file_that_ends_in_the_middle_closes_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: HeldSong, offset: int, into: memoryview) -> None:
        await trio.lowlevel.checkpoint()
        raise LocalTrouble("The disk is gone.")

    monkeypatch.setattr(HeldSong, "read_into", broken)
    async with played() as theatre:
        host = f"127.0.0.1:{theatre.door.port}"
        answer = await said(theatre, f"GET /{TOKEN} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert answer.partition(b"\r\n\r\n")[2] == b""
