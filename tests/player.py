"""A player: fetches a file over HTTP and plays it at its rate, as mpv or a browser would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11
import trio

BUFFER_BYTES = 128 * 1024  # read ahead of what is heard


@dataclass
class Heard:
    """How playing went; times in seconds."""

    data: bytes = b""
    began_after_s: float = 0.0
    stalled_s: float = 0.0
    """Silence after the beginning."""


class Player:
    """One connection to the address of a file."""

    def __init__(self, stream: trio.abc.Stream, url: str) -> None:
        self.stream = stream
        self.parts = urlsplit(url)
        self.http = h11.Connection(h11.CLIENT)

    async def ask(self, method: str = "GET", **headers: str) -> h11.Response:
        """The head of the answer."""
        if self.http.our_state is h11.DONE:
            self.http.start_next_cycle()
        lines = [
            ("Host", self.parts.netloc),
            *((name.replace("_", "-"), text) for name, text in headers.items()),
        ]
        request = h11.Request(method=method, target=self.parts.path, headers=lines)
        await self._send(request)
        await self._send(h11.EndOfMessage())
        event = await self.event()
        assert isinstance(event, h11.Response)
        return event

    async def event(self) -> object:
        while (event := self.http.next_event()) is h11.NEED_DATA:
            self.http.receive_data(bytes(await self.stream.receive_some(16 * 1024)))
        return event

    async def body(self) -> bytes:
        """Raises `h11.RemoteProtocolError` if it ends early."""
        data = b""
        while isinstance(event := await self.event(), h11.Data):
            data += event.data
        return data

    async def get(self, first: int | None = None, end: int | None = None) -> bytes:
        """These bytes of the file, or all."""
        if first is None:
            await self.ask()
        else:
            answer = await self.ask(Range=f"bytes={first}-{'' if end is None else end - 1}")
            assert answer.status_code == 206
        return await self.body()

    async def play(self, bytes_per_s: float, first: int = 0, start_s: float = 2.0) -> Heard:
        """From `first` to the end, beginning once `start_s` of it are here."""
        heard = Heard()
        asked_at = trio.current_time()
        await self.ask(Range=f"bytes={first}-")
        position = 0
        due: float | None = None
        while isinstance(event := await self.event(), h11.Data):
            heard.data += event.data
            now = trio.current_time()
            if due is None and len(heard.data) >= bytes_per_s * start_s:
                heard.began_after_s, due = now - asked_at, now
            if due is None:
                continue
            if now > due:
                heard.stalled_s += now - due
                due = now
            due += (len(heard.data) - position) / bytes_per_s
            position = len(heard.data)
            await trio.sleep(max(0.0, due - now - BUFFER_BYTES / bytes_per_s))
        return heard

    async def _send(self, event: h11.Event) -> None:
        if data := self.http.send(event):
            await self.stream.send_all(data)


@asynccontextmanager
async def player(stream: trio.abc.Stream, url: str) -> AsyncIterator[Player]:
    async with stream:
        yield Player(stream, url)
