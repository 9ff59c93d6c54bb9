"""What one connection fetches from us, sent in order: the next part is read while others are on their way.

Files take turns, a part each, so that a small file need not wait behind a large one; within a file, requests
are answered in the order they came. Every request gets exactly one last answer.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import trio

from client.engine.held import Held
from client.engine.valve import Valve
from p2pshare.errors import CloseCode, LocalTrouble, PeerFault, Reason, Refused
from p2pshare.hashing import FileId, piece_span
from p2pshare.session.buffers import SpareBuffers
from p2pshare.transport.channel import Channel
from p2pshare.wire.peer import Data, Fetch
from p2pshare.wire.session import Refused as RefusedMessage


class Customer(Protocol):
    """The person at the other end, as the sender sees them."""

    def file(self, file: FileId) -> Held | None:
        """The file as they have it open."""

    def holds_slot(self) -> bool: ...

    def was_sent(self, file: FileId, size: int) -> None: ...

    def was_sent_piece(self, file: FileId, piece: int) -> None:
        """The last of a piece is on its way."""

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
    preview: bool = False  # needs no slot
    turn: bool = False  # nor does this: what may be asked for was told before
    ended: bool = False  # its last answer is given


class Sending:
    """The requests for data of one connection. `run` answers them."""

    def __init__(self, channel: Channel, customer: Customer, valve: Valve, preview_valve: Valve) -> None:
        self._channel = channel
        self._customer = customer
        self._valve = valve
        self._preview_valve = preview_valve
        self._waiting: dict[FileId, deque[Run]] = {}  # the file whose turn it is comes first
        self._open: dict[int, Run] = {}  # by request: waiting or just being answered
        self._work = trio.Event()
        self._buffers = SpareBuffers()

    @property
    def open(self) -> int:
        """Requests without their last answer."""
        return len(self._open)

    @property
    def previews(self) -> int:
        """Those of them that need no slot."""
        return sum(run.preview for run in self._open.values())

    def add(self, fetch: Fetch, held: Held, *, preview: bool = False, turn: bool = False) -> None:
        """`held` has all the pieces that are asked for. Raises `PeerFault`."""
        if fetch.request in self._open:
            raise PeerFault(CloseCode.WRONG_ORDER, "Two requests have the same number.")
        first, _ = piece_span(fetch.first, held.size, held.piece_size)
        last, length = piece_span(fetch.first + fetch.count - 1, held.size, held.piece_size)
        run = Run(fetch.request, fetch.file, held.size, held.piece_size, first, last + length, preview, turn)
        self._waiting.setdefault(fetch.file, deque()).append(run)
        self._open[fetch.request] = run
        self._work.set()

    def cancel(self, request: int) -> None:
        """Stop a request; one that was answered already is no matter."""
        run = self._open.get(request)
        if run is not None:
            self._refuse(run, Refused(Reason.CANCELLED))

    async def run(self) -> None:
        """Answer, for ever. Raises `Disconnected`."""
        while True:
            while not self._waiting:
                self._work = trio.Event()
                await self._work.wait()
            file = next(iter(self._waiting))
            await self._serve(self._waiting[file][0])
            if (line := self._waiting.pop(file, None)) is not None:
                self._waiting[file] = line  # behind the others

    async def _serve(self, run: Run) -> None:
        """Send the next part, or say why not."""
        looks = run.preview and not self._customer.holds_slot()
        valve = self._preview_valve if looks else self._valve
        try:
            self._check(run)
            held = self._customer.file(run.file)
            if held is None:
                raise Refused(Reason.CANCELLED, "The file was dropped.")
            part = self._buffers.take(self._step(run, valve))
            await held.read_into(run.offset, part)
            await valve.passes(len(part))
            self._check(run)
        except Refused as refusal:
            self._refuse(run, refusal)
        except LocalTrouble as trouble:
            self._refuse(run, Refused(Reason.FAILED, str(trouble)))
        else:
            await self._send(run, part)

    def _check(self, run: Run) -> None:
        """Raises `Refused` if there is to be no more of it."""
        if run.ended:
            raise Refused(Reason.CANCELLED)
        # A piece that was begun is finished, so that nothing is sent in vain.
        begins = run.offset % run.piece_size == 0
        if begins and not run.preview and not run.turn and not self._customer.holds_slot():
            raise Refused(Reason.NO_SLOT)

    def _step(self, run: Run, valve: Valve) -> int:
        """The size of the next part: within the piece, the limits, and what the line takes in a moment."""
        left_of_piece = run.piece_size - run.offset % run.piece_size
        return min(run.end - run.offset, left_of_piece, valve.step_bytes, self._channel.stride)

    async def _send(self, run: Run, part: memoryview) -> None:
        piece, offset = divmod(run.offset, run.piece_size)
        run.offset += len(part)
        more = run.offset < run.end
        if not more:
            self._end(run)
        data = Data(request=run.request, piece=piece, offset=offset, size=len(part), more=more)
        await self._channel.send(data, part)
        self._customer.was_sent(run.file, len(part))
        if not run.offset % run.piece_size or run.offset == run.size:
            self._customer.was_sent_piece(run.file, piece)

    # --- bookkeeping

    def _refuse(self, run: Run, refusal: Refused) -> None:
        if run.ended:
            return
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
        line = self._waiting[run.file]
        line.remove(run)
        if not line:
            del self._waiting[run.file]
        del self._open[run.request]
        if not self._open:
            self._customer.rests()
