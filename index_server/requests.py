"""Runs the requests of one connection: several at once, each within its limits, each answered exactly once.

Rule 1: whatever happens inside a handler becomes an answer. A request never touches the connections of
others, and a mistake of our own costs its asker one answer.
Rule 2: what goes beyond a limit costs no task. It is refused on the spot, and whoever asks on without reading
the refusals fills the outbox and is disconnected.
"""

from __future__ import annotations

from collections import Counter

import structlog
import trio

from index_server.commands import COMMANDS, Command, Desk
from index_server.online import Visitor
from index_server.rules.spending import spend_on_request, what_of
from index_server.searching import hear_slots
from p2pshare import limits
from p2pshare.errors import CloseCode, Disconnected, PeerFault, Reason, Refused
from p2pshare.transport.quiet import QuietChannel
from p2pshare.wire.index import Slots
from p2pshare.wire.schema import Message
from p2pshare.wire.session import Cancel
from p2pshare.wire.session import Refused as RefusedMessage

OUR_MISTAKE = "The server made a mistake of its own, and has noted it. Try again later."

log = structlog.stdlib.get_logger("index_server.requests")


class Requests:
    """What one visitor has asked and was not answered yet."""

    __slots__ = ("_channel", "_desk", "_done", "_kinds", "_nursery", "_open", "_visitor")

    def __init__(self, desk: Desk, visitor: Visitor, channel: QuietChannel, nursery: trio.Nursery) -> None:
        """`nursery` is where they run; it outlives the connection."""
        self._desk = desk
        self._visitor = visitor
        self._channel = channel
        self._nursery = nursery
        self._open: dict[int, trio.CancelScope] = {}
        self._kinds: Counter[type[Message]] | None = None
        self._done: trio.Event | None = None

    def hear(self, message: Message) -> None:
        """The next thing that they say. Raises `PeerFault` if they break the protocol."""
        if isinstance(message, Cancel):
            if message.request in self._open:  # otherwise the answer is on its way already
                self._open[message.request].cancel()
            return
        if isinstance(message, Slots):
            hear_slots(self._desk, self._visitor, message)
            return
        request: int = message.request  # type: ignore[attr-defined]
        if request in self._open:
            raise PeerFault(CloseCode.WRONG_ORDER, f"Request {request} is still open.")
        command = COMMANDS[type(message)]
        try:
            self._check(command, message)
        except Refused as refused:
            answer = refusal(request, refused)
            now = trio.current_time()
            self._desk.measures.note(message, answer, started_at=now, now=now)
            self._channel.post(answer)
            return
        self._open[request] = trio.CancelScope()
        self._kinds = self._kinds or Counter()
        self._kinds[type(message)] += 1
        self._nursery.start_soon(self._run, command, message, request)

    async def end(self) -> None:
        """The connection is over: cancel what is under way, and wait for its end."""
        for scope in self._open.values():
            scope.cancel()
        if self._open:
            self._done = trio.Event()
            with trio.CancelScope(shield=True):
                await self._done.wait()

    async def _run(self, command: Command, message: Message, request: int) -> None:
        started_at, answer = trio.current_time(), refusal(request, Refused(Reason.CANCELLED))
        try:
            with self._open[request]:
                answer = await self._answer(command, message, request)
            self._desk.measures.note(message, answer, started_at=started_at, now=trio.current_time())
            await self._channel.send(answer)
        except Disconnected:
            pass  # whoever reads notices, too
        except PeerFault as fault:
            self._channel.close_soon(fault.code, fault.text)
        finally:
            self._forget(message, request)

    def _forget(self, message: Message, request: int) -> None:
        assert self._kinds is not None
        self._kinds[type(message)] -= 1
        del self._open[request]
        if not self._open:
            self._kinds = None
            if self._done is not None:
                self._done.set()

    async def _answer(self, command: Command, message: Message, request: int) -> Message:
        try:
            return await command.handler(self._desk, self._visitor, message)
        except Refused as refused:
            return refusal(request, refused)
        except (Disconnected, PeerFault):
            raise
        except Exception:
            log.exception("a request failed", kind=message.NAME, account=self._visitor.account)
            return refusal(request, Refused(Reason.FAILED, OUR_MISTAKE))

    def _check(self, command: Command, message: Message) -> None:
        """The columns of the table. Raises `Refused`."""
        of_kind = self._kinds[type(message)] if self._kinds is not None else 0
        if len(self._open) >= limits.REQUESTS_OPEN_MAX or of_kind >= command.open_max:
            raise Refused(
                Reason.TOO_MUCH, f"Too many {what_of(command)} at the same time. Wait for an answer first.", 1
            )
        spend_on_request(self._desk, self._visitor, command, message)


def refusal(request: int, refused: Refused) -> Message:
    return RefusedMessage(
        request=request, reason=refused.reason, text=refused.text, retry_after_s=refused.retry_after_s
    )
