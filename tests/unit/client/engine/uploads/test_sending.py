"""What is fetched from us, seen from the inside: every await can be held up, and what is said is recorded."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from client.engine.rate import RateLimit
from client.engine.uploads.sending import Sending
from client.engine.valve import LimitsChanged, Valve
from p2pshare.errors import CloseCode, Disconnected, LocalTrouble, PeerFault, Reason, Refused
from p2pshare.hashing import FileId, piece_count, whole_file_hashes
from p2pshare.limits import KIB, MIB
from p2pshare.limits import PIECE_BYTES_MIN as PIECE
from p2pshare.wire.peer import Data, Fetch
from p2pshare.wire.schema import Message
from p2pshare.wire.session import Refused as RefusedMessage

FREE = Valve(lambda: (), LimitsChanged())


class Gate:
    """Lets everybody pass until it is shut."""

    def __init__(self) -> None:
        self._open = trio.Event()
        self._open.set()

    def shut(self) -> None:
        if self._open.is_set():
            self._open = trio.Event()

    def open(self) -> None:
        self._open.set()

    async def passes(self) -> None:
        await trio.lowlevel.checkpoint()
        await self._open.wait()


class FileInMemory:
    def __init__(self, name: str, size: int) -> None:
        self.data = random.Random(name).randbytes(size)
        hashes = whole_file_hashes(self.data)
        self.name, self.size, self.pieces = name, size, None
        self.file, self.piece_size, self.hashes = hashes.file_id, hashes.piece_size, hashes.hashes
        self.gate = Gate()
        self.reads: list[int] = []  # offsets
        self.broken: Exception | None = None

    def has(self, piece: int) -> bool:
        return 0 <= piece < piece_count(self.size, self.piece_size)

    async def read_into(self, offset: int, into: memoryview) -> None:
        self.reads.append(offset)
        await self.gate.passes()
        if self.broken is not None:
            raise self.broken
        into[:] = self.data[offset : offset + len(into)]

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


class Hearer:
    """The channel to somebody, and what came out at its other end.

    The gate is shut while the line is full. A payload is looked at when it leaves, not when it is handed in.
    """

    def __init__(self, stride: int = 40_000) -> None:
        self.stride = stride
        self.gate = Gate()
        self.gone = False
        self.said: list[tuple[Message, bytes]] = []

    async def send(self, message: Message, payload: memoryview) -> None:
        if self.gone:
            raise Disconnected("They went.")
        at = len(self.said)
        self.said.append((message, b""))
        await self.gate.passes()
        self.said[at] = (message, bytes(payload))

    def post(self, message: Message) -> None:
        self.said.append((message, b""))

    def last_answers(self) -> Counter[int]:
        """How many of them each request got."""
        return Counter(
            message.request  # type: ignore[attr-defined]
            for message, _ in self.said
            if isinstance(message, RefusedMessage) or (isinstance(message, Data) and not message.more)
        )

    def refusals(self, request: int) -> list[Reason]:
        return [
            message.reason
            for message, _ in self.said
            if isinstance(message, RefusedMessage) and message.request == request
        ]

    def data(self, request: int, file: FileInMemory, first: int) -> bytes:
        """What came for a request; each part follows the one before it and stays within its piece."""
        got = b""
        for message, payload in self.said:
            if isinstance(message, Data) and message.request == request:
                assert message.piece * file.piece_size + message.offset == first * file.piece_size + len(got)
                assert 0 < message.size == len(payload)
                assert message.offset + message.size <= file.piece_size
                got += payload
        return got


class Customer:
    def __init__(self) -> None:
        self.files: dict[FileId, FileInMemory] = {}
        self.slot = True
        self.sent: Counter[FileId] = Counter()
        self.pieces_sent: list[int] = []
        self.rested = 0

    def put(self, name: str, size: int) -> FileInMemory:
        file = FileInMemory(name, size)
        self.files[file.file] = file
        return file

    def file(self, file: FileId) -> FileInMemory | None:
        return self.files.get(file)

    def holds_slot(self) -> bool:
        return self.slot

    def was_sent(self, file: FileId, size: int) -> None:
        self.sent[file] += size

    def was_sent_piece(self, file: FileId, piece: int) -> None:
        self.pieces_sent.append(piece)

    def rests(self) -> None:
        self.rested += 1


class Scene:
    def __init__(self, valve: Valve = FREE, preview_valve: Valve = FREE) -> None:
        self.hearer, self.customer = Hearer(), Customer()
        self.sending = Sending(self.hearer, self.customer, valve, preview_valve)  # type: ignore[arg-type]
        self.requests = 0

    def fetch(self, file: FileInMemory, first: int, count: int = 1, *, preview: bool = False) -> int:
        """Returns the number of the request."""
        self.requests += 1
        self.sending.add(
            Fetch(request=self.requests, file=file.file, first=first, count=count), file, preview=preview
        )
        return self.requests


@asynccontextmanager
async def scene(valve: Valve = FREE, preview_valve: Valve = FREE) -> AsyncIterator[Scene]:
    """At the end every request must have got one last answer."""
    made = Scene(valve, preview_valve)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.sending.run)
        yield made
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert made.hearer.last_answers() == Counter(range(1, made.requests + 1))
    assert made.sending.open == 0


# --- what is sent ----------------------------------------------------------------------------------------


async def test_a_request_is_answered_in_parts_of_at_most_a_stride_within_its_pieces() -> None:
    async with scene() as here:
        song = here.customer.put("song", 3 * PIECE + 100)
        request = here.fetch(song, 1, 3)
        await wait_all_tasks_blocked()
        assert here.hearer.data(request, song, 1) == song.data[PIECE:]
        sizes = [message.size for message, _ in here.hearer.said if isinstance(message, Data)]
        assert sizes == [40_000, PIECE - 40_000, 40_000, PIECE - 40_000, 100]
        assert here.customer.sent[song.file] == 2 * PIECE + 100
        assert here.customer.pieces_sent == [1, 2, 3]
        assert here.customer.rested == 1


async def test_a_line_that_becomes_faster_or_slower_is_given_other_parts() -> None:
    async with scene() as here:
        song = here.customer.put("song", 2 * PIECE)
        here.hearer.stride = 100
        here.hearer.gate.shut()
        request = here.fetch(song, 0, 2)
        await wait_all_tasks_blocked()
        here.hearer.stride = MIB
        here.hearer.gate.open()
        await wait_all_tasks_blocked()
        sizes = [message.size for message, _ in here.hearer.said if isinstance(message, Data)]
        assert sizes == [100, PIECE - 100, PIECE]
        assert here.hearer.data(request, song, 0) == song.data


async def test_a_payload_stays_as_it_is_until_it_was_sent() -> None:
    """The memory is used again, but not while somebody looks at it."""
    async with scene() as here:
        song = here.customer.put("song", 20 * PIECE)
        here.hearer.stride = PIECE
        kept: list[memoryview] = []
        send = here.hearer.send

        async def send_later(message: Message, payload: memoryview) -> None:
            kept.append(payload)
            await send(message, payload)

        here.hearer.send = send_later  # type: ignore[method-assign]
        here.fetch(song, 0, 20)
        await wait_all_tasks_blocked()
        assert b"".join(kept) == song.data


async def test_requests_for_one_file_are_answered_in_order_and_files_take_turns() -> None:
    async with scene() as here:
        film, song = here.customer.put("film", 8 * PIECE), here.customer.put("song", PIECE)
        here.hearer.stride = PIECE
        for number in range(4):
            here.fetch(film, 2 * number, 2)
        here.fetch(song, 0)
        await wait_all_tasks_blocked()
        order = [message.request for message, _ in here.hearer.said if isinstance(message, Data)]
        assert order == [1, 5, 1, 2, 2, 3, 3, 4, 4]


async def test_a_request_that_comes_while_another_is_answered_is_answered_too() -> None:
    async with scene() as here:
        song = here.customer.put("song", 4 * PIECE)
        song.gate.shut()
        one = here.fetch(song, 0)
        await wait_all_tasks_blocked()
        other = here.fetch(song, 3)
        song.gate.open()
        await wait_all_tasks_blocked()
        assert here.hearer.data(one, song, 0) == song.data[:PIECE]
        assert here.hearer.data(other, song, 3) == song.data[3 * PIECE :]
        assert here.customer.rested == 1


# --- cancelled -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_a_request_cancelled_while_it_is_read_is_refused_once_and_sent_no_more(number: int) -> None:
    """Before its first part, between two, and before the last."""
    async with scene() as here:
        song = here.customer.put("song", PIECE)
        here.hearer.stride = PIECE // 3 + 1
        request = here.fetch(song, 0)
        while len(song.reads) <= number:
            await trio.lowlevel.checkpoint()
        song.gate.shut()
        assert song.reads == [part * here.hearer.stride for part in range(number + 1)]
        here.sending.cancel(request)
        here.sending.cancel(request)
        song.gate.open()
        await wait_all_tasks_blocked()
        assert here.hearer.refusals(request) == [Reason.CANCELLED]
        assert here.hearer.data(request, song, 0) == song.data[: number * here.hearer.stride]
        assert isinstance(here.hearer.said[-1][0], RefusedMessage)


async def test_a_request_cancelled_while_a_part_is_being_sent_is_refused_behind_that_part() -> None:
    async with scene() as here:
        song = here.customer.put("song", PIECE)
        here.hearer.gate.shut()
        request = here.fetch(song, 0)
        await wait_all_tasks_blocked()
        here.sending.cancel(request)
        here.hearer.gate.open()
        await wait_all_tasks_blocked()
        first, last = (message for message, _ in here.hearer.said)
        assert isinstance(first, Data) and first.more
        assert isinstance(last, RefusedMessage) and last.reason is Reason.CANCELLED
        assert here.hearer.data(request, song, 0) == song.data[:40_000]


async def test_a_request_cancelled_while_its_last_part_is_being_sent_was_answered() -> None:
    async with scene() as here:
        song = here.customer.put("song", 10_000)
        here.hearer.gate.shut()
        request = here.fetch(song, 0)
        await wait_all_tasks_blocked()
        here.sending.cancel(request)
        assert here.sending.open == 0
        here.hearer.gate.open()
        await wait_all_tasks_blocked()
        assert here.hearer.data(request, song, 0) == song.data
        assert here.hearer.refusals(request) == []


async def test_a_request_cancelled_while_a_limit_holds_it_up_is_refused() -> None:
    limit = RateLimit(1 * KIB)
    async with scene(Valve(lambda: (limit,), LimitsChanged())) as here:
        limit.take(1_000 * KIB, trio.current_time())
        song = here.customer.put("song", PIECE)
        request = here.fetch(song, 0)
        await wait_all_tasks_blocked()
        assert song.reads == [0] and here.hearer.said == []
        here.sending.cancel(request)
        assert here.hearer.refusals(request) == [Reason.CANCELLED]


async def test_the_number_of_a_cancelled_request_is_free_while_it_is_still_being_read() -> None:
    async with scene() as here:
        song = here.customer.put("song", 2 * PIECE)
        song.gate.shut()
        request = here.fetch(song, 0)
        await wait_all_tasks_blocked()
        here.sending.cancel(request)
        again = Fetch(request=request, file=song.file, first=1, count=1)
        here.sending.add(again, song)
        song.gate.open()
        await wait_all_tasks_blocked()
        assert here.hearer.refusals(request) == [Reason.CANCELLED]
        assert here.hearer.data(request, song, 1) == song.data[PIECE:]
        assert here.hearer.last_answers() == {request: 2}
        here.hearer.said.pop(0)  # the one for the first of the two


async def test_two_open_requests_of_one_number_are_a_fault() -> None:
    async with scene() as here:
        song = here.customer.put("song", 2 * PIECE)
        song.gate.shut()
        request = here.fetch(song, 0)
        with pytest.raises(PeerFault) as caught:
            here.sending.add(Fetch(request=request, file=song.file, first=1, count=1), song)
        assert caught.value.code is CloseCode.WRONG_ORDER
        song.gate.open()


# --- refused ---------------------------------------------------------------------------------------------


async def test_a_piece_that_was_begun_is_finished_although_the_slot_is_gone() -> None:
    async with scene() as here:
        song = here.customer.put("song", 2 * PIECE)
        here.hearer.gate.shut()
        request = here.fetch(song, 0, 2)
        await wait_all_tasks_blocked()
        here.customer.slot = False
        here.hearer.gate.open()
        await wait_all_tasks_blocked()
        assert here.hearer.data(request, song, 0) == song.data[:PIECE]
        assert here.hearer.refusals(request) == [Reason.NO_SLOT]


async def test_a_slot_that_goes_while_the_first_part_is_read_is_gone() -> None:
    async with scene() as here:
        song = here.customer.put("song", PIECE)
        song.gate.shut()
        request = here.fetch(song, 0)
        await wait_all_tasks_blocked()
        here.customer.slot = False
        song.gate.open()
        await wait_all_tasks_blocked()
        assert here.hearer.refusals(request) == [Reason.NO_SLOT]
        assert here.hearer.data(request, song, 0) == b""


async def test_a_preview_needs_no_slot_and_has_a_limit_of_its_own() -> None:
    narrow = RateLimit(16 * KIB)
    async with scene(preview_valve=Valve(lambda: (narrow,), LimitsChanged())) as here:
        here.customer.slot = False
        song = here.customer.put("song", PIECE)
        here.hearer.gate.shut()
        request = here.fetch(song, 0, preview=True)
        await wait_all_tasks_blocked()
        assert here.sending.previews == 1
        (first, _) = here.hearer.said[0]
        assert isinstance(first, Data) and first.size == narrow.step_bytes
        here.customer.slot = True  # the rest goes as everything else does
        here.hearer.gate.open()
        await wait_all_tasks_blocked()
        assert here.hearer.data(request, song, 0) == song.data
        assert here.sending.previews == 0


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (Refused(Reason.FILE_CHANGED, "It changed."), Reason.FILE_CHANGED),
        (LocalTrouble("The drive reports an error."), Reason.FAILED),
    ],
)
async def test_what_cannot_be_read_is_refused_and_others_are_served_on(
    broken: Exception, reason: Reason
) -> None:
    async with scene() as here:
        song, film = here.customer.put("song", PIECE), here.customer.put("film", PIECE)
        song.broken = broken
        one, other = here.fetch(song, 0), here.fetch(film, 0)
        await wait_all_tasks_blocked()
        assert here.hearer.refusals(one) == [reason]
        assert here.hearer.data(other, film, 0) == film.data


async def test_a_file_that_was_dropped_is_given_no_more() -> None:
    async with scene() as here:
        song = here.customer.put("song", 2 * PIECE)
        here.hearer.gate.shut()
        one, other = here.fetch(song, 0), here.fetch(song, 1)
        await wait_all_tasks_blocked()
        del here.customer.files[song.file]
        here.hearer.gate.open()
        await wait_all_tasks_blocked()
        assert here.hearer.refusals(one) == here.hearer.refusals(other) == [Reason.CANCELLED]


async def test_somebody_who_went_ends_it() -> None:
    here = Scene()
    song = here.customer.put("song", PIECE)
    here.hearer.gone = True
    here.fetch(song, 0)
    with pytest.raises(Disconnected, match="They went"):
        await here.sending.run()


# --- whatever happens ------------------------------------------------------------------------------------

STEPS = st.one_of(
    st.tuples(st.just("fetch"), st.integers(0, 2), st.integers(0, 4)),
    st.tuples(st.just("cancel"), st.integers(1, 12), st.just(0)),
    st.tuples(st.sampled_from(["slot", "drop", "open", "stride"]), st.integers(0, 2), st.just(0)),
    st.tuples(st.sampled_from(["shut disk", "open disk", "shut line", "open line"]), st.just(0), st.just(0)),
    st.tuples(st.just("pass"), st.integers(1, 6), st.just(0)),
)


@given(st.lists(STEPS, max_size=40))
def test_whatever_happens_every_request_gets_its_data_in_order_and_one_last_answer(
    steps: list[tuple[str, int, int]],
) -> None:
    async def run() -> None:
        async with scene() as here:
            files = [here.customer.put(name, 3 * PIECE + 100) for name in ("song", "film", "book")]
            here.hearer.stride = 30_000
            asked: dict[int, tuple[FileInMemory, int]] = {}
            for what, number, more in steps:
                file = files[number % 3]
                if what == "fetch":
                    first = more % 4
                    asked[here.fetch(file, first, 1 + (more + number) % (4 - first))] = file, first
                elif what == "cancel":
                    here.sending.cancel(number)
                elif what == "slot":
                    here.customer.slot = not here.customer.slot
                elif what == "drop":
                    here.customer.files.pop(file.file, None)
                elif what == "open":
                    here.customer.files[file.file] = file
                elif what == "stride":
                    here.hearer.stride = (1_000, 30_000, MIB)[number]
                elif what == "pass":
                    for _ in range(number):
                        await trio.lowlevel.checkpoint()
                else:
                    gates = [each.gate for each in files] if "disk" in what else [here.hearer.gate]
                    for gate in gates:
                        getattr(gate, what.split()[0])()
            for gate in (here.hearer.gate, *(each.gate for each in files)):
                gate.open()
            await wait_all_tasks_blocked()
            for request, (file, first) in asked.items():
                got = here.hearer.data(request, file, first)
                start = first * PIECE
                assert got == file.data[start : start + len(got)]

    trio.run(run)
