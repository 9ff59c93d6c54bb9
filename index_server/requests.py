"""Runs the requests of one connection: several at once, each within its limits, each answered exactly once.

Rule: whatever happens inside a handler becomes an answer. A request never touches the connections of others,
and a mistake of our own costs its asker one answer.
"""

from __future__ import annotations

from collections import Counter

import structlog
import trio

from index_server.commands import COMMANDS, Command, Desk
from index_server.online import Visitor
from p2pshare import limits
from p2pshare.errors import CloseCode, Disconnected, PeerFault, Reason, Refused
from p2pshare.wire.schema import Message
from p2pshare.wire.session import Cancel
from p2pshare.wire.session import Refused as RefusedMessage

PERIOD_S = 60.0
OUR_MISTAKE = "The server made a mistake of its own, and has noted it. Try again later."

log = structlog.stdlib.get_logger("index_server.requests")


class Requests:
    """What one visitor has asked and was not answered yet."""

    def __init__(self, desk: Desk, visitor: Visitor) -> None:
        self._desk = desk
        self._visitor = visitor
        self._open: dict[int, trio.CancelScope] = {}
        self._kinds: Counter[type[Message]] = Counter()
        self._fault: PeerFault | None = None

    async def serve(self) -> None:
        """Until the connection is over. Raises `PeerFault` if they break the protocol."""
        async with trio.open_nursery() as nursery:
            async for incoming in self._visitor.channel.incoming():
                message = incoming.message
                if isinstance(message, Cancel):
                    if message.request in self._open:  # otherwise the answer is on its way already
                        self._open[message.request].cancel()
                    continue
                request: int = message.request  # type: ignore[attr-defined]
                if request in self._open:
                    self._fault = PeerFault(CloseCode.WRONG_ORDER, f"Request {request} is still open.")
                    break
                self._open[request] = trio.CancelScope()
                self._kinds[type(message)] += 1
                nursery.start_soon(self._run, nursery, message, request)
            nursery.cancel_scope.cancel()
        if self._fault is not None:
            raise self._fault

    async def _run(self, nursery: trio.Nursery, message: Message, request: int) -> None:
        answer = _refusal(request, Refused(Reason.CANCELLED))
        try:
            with self._open[request]:
                answer = await self._answer(message, request)
            await self._visitor.channel.send(answer)
        except Disconnected:
            pass  # `serve` notices, too
        except PeerFault as fault:
            self._fault = fault  # raised by `serve`: out of a nursery it would come in a group
            nursery.cancel_scope.cancel()
        del self._open[request]
        self._kinds[type(message)] -= 1

    async def _answer(self, message: Message, request: int) -> Message:
        command = COMMANDS[type(message)]
        try:
            self._check(command, message)
            return await command.handler(self._desk, self._visitor, message)
        except Refused as refused:
            return _refusal(request, refused)
        except (Disconnected, PeerFault):
            raise
        except Exception:
            log.exception("a request failed", kind=message.NAME, account=self._visitor.account)
            return _refusal(request, Refused(Reason.FAILED, OUR_MISTAKE))

    def _check(self, command: Command, message: Message) -> None:
        """The columns of the table. Raises `Refused`."""
        what = command.budget.removesuffix("_per_minute").replace("_", " ")
        if len(self._open) > limits.REQUESTS_OPEN_MAX or self._kinds[type(message)] > command.open_max:
            raise Refused(Reason.TOO_MUCH, f"Too many {what} at the same time. Wait for an answer first.", 1)
        self._desk.budgets.take(
            self._visitor.account,
            what,
            most=getattr(self._desk.config.limits, command.budget),
            period_s=PERIOD_S,
            now=trio.current_time(),
        )


def _refusal(request: int, refused: Refused) -> Message:
    return RefusedMessage(
        request=request, reason=refused.reason, text=refused.text, retry_after_s=refused.retry_after_s
    )
