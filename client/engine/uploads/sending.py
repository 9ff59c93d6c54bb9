"""What one connection fetches from us, sent in order: the next slice is read while one is on its way.

Files take turns, a slice each, so that a small file need not wait behind a large one; within a file, requests
are answered in the order they came. Every request gets exactly one last answer.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import trio

from client.engine.held import Held
from client.engine.rate import RateLimit
from p2pshare.errors import CloseCode, LocalTrouble, PeerFault, Reason, Refused
from p2pshare.hashing import FileId, piece_span
from p2pshare.limits import MIB
from p2pshare.transport.background import background
from p2pshare.transport.channel import Channel
from p2pshare.wire.peer import Data, Fetch
from p2pshare.wire.session import Refused as RefusedMessage

SLICE_BYTES = 4 * MIB  # read at a time; one is read while one is sent, so a connection holds two in memory


class Customer(Protocol):
    """The person at the other end, as the sender sees them."""

    def file(self, file: FileId) -> Held | None:
        """The file as they have it open."""

    def holds_slot(self) -> bool: ...

    def was_sent(self, file: FileId, size: int) -> None: ...

    def rests(self) -> None:
        """Nothing that they asked for is open any more."""


@dataclass(eq=False, slots=True)
class Run:
    """A request for data under way."""

    request: int
    file: FileId
    size: int  # of the file
    piece_size: int
    offset: int  # read up to here
    end: int
    ended: bool = False  # its last answer is given
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Slice:
    """Bytes of a run, or why there are none."""

    run: Run
    offset: int
    data: bytes
    refusal: Refused | None = None


class Sending:
    """The requests for data of one connection. `run` answers them."""

    def __init__(self, channel: Channel, customer: Customer, limit: RateLimit) -> None:
        self._channel = channel
        self._customer = customer
        self._limit = limit
        self._waiting: dict[FileId, deque[Run]] = {}  # the file whose turn it is comes first
        self._open: dict[int, Run] = {}  # by request: waiting or just being answered
        self._work = trio.Event()

    @property
    def open(self) -> int:
        """Requests without their last answer."""
        return len(self._open)

    def add(self, fetch: Fetch, held: Held) -> None:
        """`held` has all the pieces that are asked for. Raises `PeerFault`."""
        if fetch.request in self._open:
            raise PeerFault(CloseCode.WRONG_ORDER, "Two requests have the same number.")
        first, _ = piece_span(fetch.first, held.size, held.piece_size)
        last, length = piece_span(fetch.first + fetch.count - 1, held.size, held.piece_size)
        run = Run(fetch.request, fetch.file, held.size, held.piece_size, first, last + length)
        self._waiting.setdefault(fetch.file, deque()).append(run)
        self._open[fetch.request] = run
        self._work.set()

    def cancel(self, request: int) -> None:
        """Stop a request; one that was answered already is no matter."""
        run = self._open.get(request)
        if run is None:
            return
        run.cancelled = True
        if run in self._waiting.get(run.file, ()):
            self._drop(run)
            self._refuse(run, Refused(Reason.CANCELLED))
        # Otherwise the last of it is just being sent, and finds the mark.

    async def run(self) -> None:
        """Answer, for ever. Raises `Disconnected`."""
        to_send, slices = trio.open_memory_channel[Slice](0)
        async with background() as nursery:
            nursery.start_soon(self._read_ahead, to_send)
            async for each in slices:
                await self._send(each)

    # --- reading

    async def _read_ahead(self, to_send: trio.MemorySendChannel[Slice]) -> None:
        while True:
            while not self._waiting:
                self._work = trio.Event()
                await self._work.wait()
            file = next(iter(self._waiting))
            run = self._waiting[file][0]
            each = await self._read(run)
            if run.offset >= run.end or each.refusal is not None:
                self._drop(run)
            if (line := self._waiting.pop(file, None)) is not None:
                self._waiting[file] = line  # behind the others
            await to_send.send(each)

    async def _read(self, run: Run) -> Slice:
        offset, length = run.offset, min(SLICE_BYTES, run.end - run.offset)
        if (refusal := self._why_stop(run, offset)) is not None:
            return Slice(run, offset, b"", refusal)
        run.offset += length
        held = self._customer.file(run.file)
        try:
            if held is None:
                raise Refused(Reason.CANCELLED, "The file was dropped.")
            return Slice(run, offset, await held.read(offset, length))
        except Refused as refusal:
            return Slice(run, offset, b"", refusal)
        except LocalTrouble as trouble:
            return Slice(run, offset, b"", Refused(Reason.FAILED, str(trouble)))

    # --- sending

    async def _send(self, each: Slice) -> None:
        run = each.run
        sent = 0
        while not run.ended:
            if (refusal := each.refusal or self._why_stop(run, each.offset + sent)) is not None:
                self._drop(run)
                self._refuse(run, refusal)
                return
            if sent == len(each.data):
                return
            size = self._step(each, sent)
            await trio.sleep(self._limit.take(size, trio.current_time()))
            if run.cancelled:
                continue
            await self._send_part(each, sent, size)
            sent += size

    def _why_stop(self, run: Run, offset: int) -> Refused | None:
        if run.cancelled:
            return Refused(Reason.CANCELLED)
        # A piece that was begun is finished, so that nothing is sent in vain.
        if offset % run.piece_size == 0 and offset < run.end and not self._customer.holds_slot():
            return Refused(Reason.NO_SLOT)
        return None

    def _step(self, each: Slice, sent: int) -> int:
        """The size of the next part: within the slice, the piece and the limits."""
        left_of_piece = each.run.piece_size - (each.offset + sent) % each.run.piece_size
        return min(len(each.data) - sent, left_of_piece, self._limit.step_bytes)

    async def _send_part(self, each: Slice, sent: int, size: int) -> None:
        run = each.run
        piece, offset = divmod(each.offset + sent, run.piece_size)
        more = each.offset + sent + size < run.end
        if not more:
            self._end(run)
        data = Data(request=run.request, piece=piece, offset=offset, size=size, more=more)
        await self._channel.send(data, memoryview(each.data)[sent : sent + size])
        self._customer.was_sent(run.file, size)

    # --- bookkeeping

    def _refuse(self, run: Run, refusal: Refused) -> None:
        self._end(run)
        self._channel.post(
            RefusedMessage(
                request=run.request,
                reason=refusal.reason,
                text=refusal.text,
                retry_after_s=refusal.retry_after_s,
            )
        )

    def _end(self, run: Run) -> None:
        run.ended = True
        del self._open[run.request]
        if not self._open:
            self._customer.rests()

    def _drop(self, run: Run) -> None:
        """Read no more of it."""
        line = self._waiting.get(run.file)
        if line is not None and run in line:
            line.remove(run)
            if not line:
                del self._waiting[run.file]
