"""What one connection asks for as many small files at once, answered in the order it was asked.

The files of a request are looked up together and read some at a time: the next ones are read while some are
on their way. Beside it, `sending.py` answers requests for pieces; the two take turns, a message each, because
both wait for the same room in the connection and for the same limits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import trio

from client.engine.small_files import SmallFile
from client.engine.valve import Valve
from p2pshare.errors import CloseCode, LocalTrouble, PeerFault, Reason, Refused
from p2pshare.hashing import FileId
from p2pshare.limits import DATA_BYTES_MAX, FETCH_FILES_MAX, FETCHES_OPEN_MAX
from p2pshare.transport.background import background
from p2pshare.transport.channel import Channel
from p2pshare.wire.peer import FetchFiles, Files
from p2pshare.wire.session import Refused as RefusedMessage

FILES_AT_ONCE = 512  # read in one go: empty ones fill no message


class Customer(Protocol):
    """The person at the other end."""

    def holds_slot(self) -> bool: ...

    def was_sent_small(self, size: int) -> None: ...

    def rests(self) -> None:
        """Nothing that they asked for is open any more."""


class Shelf(Protocol):
    """Where the files come from."""

    async def find_small(self, files: Sequence[FileId], offers: Sequence[int]) -> list[SmallFile | Reason]:
        """Where each of the files lies, then each of the offers, or why there is none to be had."""

    async def read_small(self, files: Sequence[SmallFile]) -> list[bytes | Reason]:
        """The content of each, or why it is not to be had."""


@dataclass(eq=False, slots=True)
class _Request:
    """One that is not answered yet, or not to its end."""

    message: FetchFiles
    ended: bool = False
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class _Portion:
    """Some files of a request, read; or why there are none."""

    request: _Request
    first: int
    contents: Sequence[bytes | Reason]
    refusal: Refused | None = None


class Bundles:
    """The requests for small files of one connection. `run` answers them."""

    def __init__(
        self, channel: Channel, customer: Customer, shelf: Callable[[], Shelf], valve: Valve
    ) -> None:
        """`shelf` says where their files come from at the moment."""
        self._channel = channel
        self._customer = customer
        self._shelf = shelf
        self._valve = valve
        self._open: dict[int, _Request] = {}
        self._waiting: deque[_Request] = deque()
        self._work = trio.Event()

    @property
    def open(self) -> int:
        """Requests without their last answer."""
        return len(self._open)

    def add(self, message: FetchFiles) -> None:
        """Raises `PeerFault` for a request that makes no sense, `Refused` for one that is too many."""
        if not 1 <= len(message.files) + len(message.offers) <= FETCH_FILES_MAX:
            raise PeerFault(CloseCode.BAD_MESSAGE, f"A request is for 1 to {FETCH_FILES_MAX} files.")
        if message.request in self._open:
            raise PeerFault(CloseCode.WRONG_ORDER, "Two requests have the same number.")
        if not self._customer.holds_slot():
            raise Refused(Reason.NO_SLOT)
        if len(self._open) >= FETCHES_OPEN_MAX:
            raise Refused(Reason.TOO_MUCH, "Too many requests for data at the same time.", 5)
        request = self._open[message.request] = _Request(message)
        self._waiting.append(request)
        self._work.set()

    def cancel(self, number: int) -> None:
        """Stop a request; one that was answered already is no matter."""
        if (request := self._open.get(number)) is None:
            return
        request.cancelled = True
        if request in self._waiting:
            self._waiting.remove(request)
            self._refuse(request, Refused(Reason.CANCELLED))
        # Otherwise some of it is just being read or sent, and finds the mark.

    async def run(self) -> None:
        """Answer, for ever. Raises `Disconnected`."""
        to_send, portions = trio.open_memory_channel[_Portion](0)
        async with background() as nursery:
            nursery.start_soon(self._read_ahead, to_send)
            async for portion in portions:
                await self._send(portion)

    # --- reading

    async def _read_ahead(self, to_send: trio.MemorySendChannel[_Portion]) -> None:
        while True:
            while not self._waiting:
                self._work = trio.Event()
                await self._work.wait()
            request = self._waiting.popleft()
            try:
                message = request.message
                found = await self._shelf().find_small(message.files, message.offers)
                for first, end in portions_of(found, self._step_bytes):
                    if request.ended:
                        break
                    await to_send.send(_Portion(request, first, await self._read(found[first:end])))
            except LocalTrouble as trouble:
                await to_send.send(_Portion(request, 0, (), Refused(Reason.FAILED, str(trouble))))

    @property
    def _step_bytes(self) -> int:
        return min(self._valve.step_bytes, self._channel.stride)

    async def _read(self, found: Sequence[SmallFile | Reason]) -> list[bytes | Reason]:
        there = [file for file in found if isinstance(file, SmallFile)]
        contents = iter(await self._shelf().read_small(there) if there else ())
        return [next(contents) if isinstance(file, SmallFile) else file for file in found]

    # --- sending

    async def _send(self, portion: _Portion) -> None:
        request = portion.request
        data = b"".join([each for each in portion.contents if isinstance(each, bytes)])
        if not request.ended and not request.cancelled:
            await self._valve.passes(len(data))
        if request.ended:
            return
        if (refusal := portion.refusal or self._why_stop(request)) is not None:
            self._refuse(request, refusal)
            return
        asked = len(request.message.files) + len(request.message.offers)
        more = portion.first + len(portion.contents) < asked
        if not more:
            self._end(request)
        outcomes = tuple([len(each) if isinstance(each, bytes) else -each for each in portion.contents])
        number = request.message.request
        answer = Files(request=number, first=portion.first, outcomes=outcomes, size=len(data), more=more)
        await self._channel.send(answer, data)
        if data:
            self._customer.was_sent_small(len(data))

    def _why_stop(self, request: _Request) -> Refused | None:
        if request.cancelled:
            return Refused(Reason.CANCELLED)
        return None if self._customer.holds_slot() else Refused(Reason.NO_SLOT)

    def _refuse(self, request: _Request, refusal: Refused) -> None:
        self._end(request)
        self._channel.post(
            RefusedMessage(
                request=request.message.request,
                reason=refusal.reason,
                text=refusal.text,
                retry_after_s=refusal.retry_after_s,
            )
        )

    def _end(self, request: _Request) -> None:
        request.ended = True
        del self._open[request.message.request]
        if not self._open:
            self._customer.rests()


def portions_of(found: Sequence[SmallFile | Reason], step_bytes: int) -> Iterator[tuple[int, int]]:
    """How to cut files into messages: (first, end) of each, within the step, but one file at least."""
    first = size = 0
    room = min(step_bytes, DATA_BYTES_MAX)
    for place, file in enumerate(found):
        more = file.size if isinstance(file, SmallFile) else 0
        if place > first and (size + more > room or place - first == FILES_AT_ONCE):
            yield first, place
            first, size = place, 0
        size += more
    yield first, len(found)
