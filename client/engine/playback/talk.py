"""HTTP with one player: requests in, answers out, over one connection.

While an answer is on its way somebody listens for the other end: a player that seeks hangs up, and what it no
longer wants must not be fetched first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus

import h11
import trio

from client.engine.playback.answers import Answer, answer_untrusted, find_token_untrusted, refusal
from client.engine.playback.byte_ranges import Span
from client.engine.playback.showing import Showing
from p2pshare.errors import LocalTrouble
from p2pshare.limits import KIB
from p2pshare.transport.background import background

HEAD_BYTES_MAX = 16 * KIB  # a request of a browser needs one
RECEIVE_BYTES = 16 * KIB
UNREAD_BYTES_MAX = 64 * KIB  # requests sent ahead; then the rest waits in the socket
FIRST_REQUEST_S = 10.0  # a player on the same machine speaks at once
NEXT_REQUEST_S = 120.0  # a browser keeps connections for later
SLICE_BYTES = 256 * KIB  # read at a time; all that a slow player costs

log = logging.getLogger(__name__)

Find = Callable[[str], Showing | None]


class Talk:
    """One connection, from its first byte to its last."""

    def __init__(self, stream: trio.abc.Stream, hosts: frozenset[str], find: Find) -> None:
        """`hosts` are the names under which players may call us; `find` knows what tokens stand for."""
        self.welcome = False
        """Whether the other end has shown a token."""
        self._stream = stream
        self._hosts = hosts
        self._find = find
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)

    async def run(self) -> None:
        """Until either end hangs up. Raises nothing."""
        try:
            while (request := await self._next_request()) is not None:
                await self._answer(request)
                if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                    return
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            await self._complain(error)
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
            pass
        except LocalTrouble as trouble:
            log.info("an answer to a player ends early: %s", trouble)

    # --- requests -----------------------------------------------------------------------------------

    async def _next_request(self) -> h11.Request | None:
        """None if none comes. Raises `h11.RemoteProtocolError`."""
        request: h11.Request | None = None
        with trio.move_on_after(NEXT_REQUEST_S if self.welcome else FIRST_REQUEST_S):
            while True:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    self._http.receive_data(bytes(await self._stream.receive_some(RECEIVE_BYTES)))
                elif isinstance(event, h11.Request):
                    request = event
                elif isinstance(event, h11.EndOfMessage):
                    return request
                else:  # the end, or a body: nobody who plays a file sends one
                    return None
        return None

    async def _complain(self, error: h11.RemoteProtocolError) -> None:
        """The last word to somebody who does not speak HTTP."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            status = HTTPStatus(error.error_status_hint)
            try:
                await self._send(refusal(status, "This request is not understood."), None, with_body=True)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass

    # --- answers ------------------------------------------------------------------------------------

    async def _answer(self, request: h11.Request) -> None:
        """Raises `LocalTrouble` if the file ends in the middle of an answer."""
        with trio.CancelScope() as answering:
            async with background() as nursery:
                nursery.start_soon(self._listen_for_the_end, answering)
                answer, showing = await self._choose(request)
                await self._send(answer, showing, with_body=request.method != b"HEAD")

    async def _choose(self, request: h11.Request) -> tuple[Answer, Showing | None]:
        token = find_token_untrusted(request, self._hosts)
        if isinstance(token, Answer):
            return token, None
        showing = self._find(token)
        if showing is None:
            return refusal(HTTPStatus.NOT_FOUND, "Nothing is played at this address any more."), None
        self.welcome = True
        try:
            shown = await showing.shown()
        except LocalTrouble as trouble:
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(trouble)), None
        return answer_untrusted(request, shown), showing

    async def _send(self, answer: Answer, showing: Showing | None, *, with_body: bool) -> None:
        headers = [*answer.headers, ("Content-Length", str(answer.size)), ("Date", formatdate(usegmt=True))]
        if not self.welcome:
            headers.append(("Connection", "close"))
        await self._put(h11.Response(status_code=answer.status, headers=headers, reason=answer.status.phrase))
        if with_body:
            for part in answer.body:
                if isinstance(part, bytes):
                    await self._put(h11.Data(data=part))
                elif showing is not None:
                    await self._send_span(part, showing)
        await self._put(h11.EndOfMessage())

    async def _send_span(self, span: Span, showing: Showing) -> None:
        async with showing.reader(span) as reader:
            while data := await reader.read(SLICE_BYTES):
                await self._put(h11.Data(data=data))

    async def _put(self, event: h11.Event) -> None:
        for part in self._http.send_with_data_passthrough(event) or ():
            await self._stream.send_all(part)

    async def _listen_for_the_end(self, answering: trio.CancelScope) -> None:
        unread = 0
        while unread < UNREAD_BYTES_MAX:
            try:
                data = await self._stream.receive_some(RECEIVE_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                data = b""
            if not data:
                answering.cancel()
                return
            self._http.receive_data(bytes(data))
            unread += len(data)
