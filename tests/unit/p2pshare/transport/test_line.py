"""Bytes over real connections on this machine. Under a mock clock no time passes, so every line is fast."""

from __future__ import annotations

import os
import random
import socket

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from p2pshare.errors import Disconnected
from p2pshare.limits import KIB, MIB
from p2pshare.transport import line as line_module
from p2pshare.transport.line import (
    CAN_WAKE_LATE,
    READ_BYTES,
    STRIDE_BYTES_MAX,
    STRIDE_BYTES_MIN,
    UNSENT_BYTES_MIN,
    WAKE_BYTES_MAX,
    Line,
)
from tests.loopback import loopback, reset

only_where_it_wakes_late = pytest.mark.skipif(not CAN_WAKE_LATE, reason="this system cannot")
BIG = random.Random(1).randbytes(24 * MIB)  # more than a system takes off a writer's hands


async def read_all(line: Line, size: int, expected: int = 0) -> bytes:
    got = bytearray()
    while len(got) < size:
        data = await line.read(min(expected, size - len(got)))
        assert 0 < len(data) <= READ_BYTES
        got += data
    return bytes(got)


async def hurry(near: trio.SocketStream, line: Line) -> None:
    """Bring `line` so much of a long payload in no time that it is to be woken late."""
    for expected in (0, MIB):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(near.send_all, bytes(WAKE_BYTES_MAX))
            await read_all(line, WAKE_BYTES_MAX, expected)


def wakes_at(stream: trio.SocketStream) -> int:
    return stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)


# --- there and back --------------------------------------------------------------------------------------


async def test_what_one_writes_the_other_reads() -> None:
    async with loopback() as (near, far), trio.open_nursery() as nursery:
        nursery.start_soon(Line(near).write, memoryview(BIG))
        assert await read_all(Line(far), len(BIG)) == BIG


async def test_both_directions_are_used_at_once() -> None:
    async with loopback() as ends, trio.open_nursery() as nursery:
        got: list[bytes] = []

        async def hear(line: Line) -> None:
            got.append(await read_all(line, len(BIG)))

        for line in map(Line, ends):
            nursery.start_soon(line.write, memoryview(BIG))
            nursery.start_soon(hear, line)
    assert got == [BIG, BIG]


async def test_a_writer_waits_for_a_reader_who_takes_little() -> None:
    async with loopback() as (near, far), trio.open_nursery() as nursery:
        nursery.start_soon(Line(near).write, memoryview(BIG))
        await wait_all_tasks_blocked()
        assert nursery.child_tasks
        got = bytearray()
        while len(got) < len(BIG):
            got += await far.receive_some(random.Random(len(got)).randrange(1, 200_000))
        assert got == BIG


@pytest.mark.parametrize("over", ["memory", "tcp"])
async def test_streams_that_are_no_sockets_are_used_by_their_own_calls(
    over: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows has no `readv`, and its sockets are no descriptors."""
    monkeypatch.delattr(os, "readv", raising=False)
    async with loopback() as tcp, trio.open_nursery() as nursery:
        near, far = map(Line, tcp if over == "tcp" else memory_stream_pair())
        assert far.look() is None
        nursery.start_soon(near.write, memoryview(BIG))
        assert await read_all(far, len(BIG), expected=MIB) == BIG
        assert far.look() is None


async def test_a_look_waits_for_nothing() -> None:
    async with loopback() as (near, far):
        line = Line(far)
        assert line.look() is None
        await near.send_all(b"here")
        await trio.lowlevel.wait_readable(far.socket)
        assert line.look() == b"here"
        assert line.look() is None
        await near.aclose()
        await trio.lowlevel.wait_readable(far.socket)
        assert line.look() == b""


# --- the end ---------------------------------------------------------------------------------------------


async def test_at_the_end_there_is_nothing_and_what_was_sent_before_is_there() -> None:
    async with loopback() as (near, far):
        await near.send_all(b"bye")
        await near.aclose()
        line = Line(far)
        assert await line.read(0) == b"bye"
        assert await line.read(0) == b""
        assert await line.read(0) == b""
        assert line.look() == b""


async def test_a_reset_is_a_lost_connection_for_reader_and_writer() -> None:
    async with loopback() as (near, far):
        line = Line(far)
        await reset(near)
        for use in (line.read(0), line.write(memoryview(b"hello?"))):
            with pytest.raises(Disconnected, match="lost"):
                await use
        assert await line.read(0) == b"", "the system tells of a reset once"
    async with loopback() as (near, far):
        await reset(near)
        await trio.lowlevel.wait_readable(far.socket)
        with pytest.raises(Disconnected, match="lost"):
            Line(far).look()


async def test_a_reset_wakes_a_waiting_reader_and_a_waiting_writer() -> None:
    async with loopback() as (near, far), trio.open_nursery() as nursery:
        lost: list[str] = []
        begin_both(Line(near), nursery, lost)
        await wait_all_tasks_blocked()
        await reset(far)
    assert sorted(lost) == ["reader", "writer"]


async def test_closing_our_own_end_wakes_reader_and_writer_and_nothing_works_afterwards() -> None:
    async with loopback() as (near, _), trio.open_nursery() as nursery:
        lost: list[str] = []
        line = Line(near)
        begin_both(line, nursery, lost)
        await wait_all_tasks_blocked()
        await trio.aclose_forcefully(near)
        await wait_all_tasks_blocked()
        assert sorted(lost) == ["reader", "writer"]
        again = Line(near)  # which knows nothing of that
        for use in (
            line.read(0),
            line.write(memoryview(b"x")),
            again.read(MIB),
            again.write(memoryview(b"x")),
        ):
            with pytest.raises(Disconnected, match="lost"):
                await use
        with pytest.raises(Disconnected, match="lost"):
            again.look()


def begin_both(line: Line, nursery: trio.Nursery, lost: list[str]) -> None:
    """A task that reads what never comes, and one that writes more than anybody takes."""

    async def read() -> None:
        try:
            assert await line.read(0) == b"", "what the writer was told is not told again"
        except Disconnected:
            pass
        lost.append("reader")

    async def write() -> None:
        with pytest.raises(Disconnected, match="lost"):
            await line.write(memoryview(BIG))
        lost.append("writer")

    nursery.start_soon(read)
    nursery.start_soon(write)


async def test_a_stream_in_memory_that_is_closed_is_a_lost_connection_too() -> None:
    near, far = memory_stream_pair()
    line = Line(near)
    await far.aclose()
    assert await line.read(0) == b""
    with pytest.raises(Disconnected, match="lost"):
        await line.write(memoryview(b"x"))
    await near.aclose()
    with pytest.raises(Disconnected, match="lost"):
        await line.read(0)


# --- cancelled -------------------------------------------------------------------------------------------


async def test_behind_a_write_that_was_given_up_in_the_middle_nothing_is_written() -> None:
    """It would be taken for the rest of the record that was cut."""
    async with loopback() as (near, far):
        line = Line(near)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(line.write, memoryview(BIG))
                await wait_all_tasks_blocked()
                scope.cancel()
        reader = Line(far)
        while reader.look():
            pass
        with pytest.raises(Disconnected):
            await line.write(memoryview(b"farewell"))
        await near.aclose()
        rest = b""
        while data := await reader.read(0):
            rest += data
        assert b"farewell" not in rest


async def test_last_words_get_out_although_whoever_says_them_is_cancelled() -> None:
    async with loopback() as (near, far):
        line = Line(near)
        with trio.CancelScope() as scope:
            scope.cancel()
            await line.write(memoryview(b"good "))
        assert scope.cancelled_caught
        await line.write(memoryview(b"night"))
        assert await read_all(Line(far), 10) == b"good night"


async def test_a_cancelled_reader_has_taken_nothing() -> None:
    async with loopback() as (near, far):
        line = Line(far)
        await near.send_all(b"all")
        await trio.lowlevel.wait_readable(far.socket)
        with trio.CancelScope() as scope:
            scope.cancel()
            await line.read(0)
        assert await line.read(0) == b"all"


# --- waking late -----------------------------------------------------------------------------------------


@only_where_it_wakes_late
async def test_in_a_fast_payload_the_reader_sleeps_until_much_is_there(mock_clock: MockClock) -> None:
    async with loopback() as (near, far), trio.open_nursery() as nursery:
        line, woken_with = Line(far), []

        async def read() -> None:
            woken_with.append(len(await line.read(MIB)))

        await hurry(near, line)
        nursery.start_soon(read)
        await near.send_all(bytes(10_000))
        await wait_all_tasks_blocked()
        assert woken_with == []
        assert wakes_at(far) == WAKE_BYTES_MAX
        await near.send_all(bytes(WAKE_BYTES_MAX - 10_000))
    assert woken_with[0] > 10_000


@only_where_it_wakes_late
@pytest.mark.parametrize("left", [0, 1, 100, UNSENT_BYTES_MIN - 1, UNSENT_BYTES_MIN, 3 * UNSENT_BYTES_MIN])
async def test_what_comes_behind_a_payload_is_not_delayed(mock_clock: MockClock, left: int) -> None:
    """With `left` bytes of it to come, the reader is woken by no more than those; then a record follows."""
    async with loopback() as (near, far):
        line = Line(far)
        await hurry(near, line)
        assert wakes_at(far) == WAKE_BYTES_MAX
        await near.send_all(bytes(left))
        while left > 0:
            left -= len(await line.read(left))
        await near.send_all(b"ping")
        assert await line.read(0) == b"ping"
        assert wakes_at(far) == 1


@only_where_it_wakes_late
async def test_the_end_in_the_middle_of_a_payload_wakes_the_reader(mock_clock: MockClock) -> None:
    async with loopback() as (near, far):
        line = Line(far)
        await hurry(near, line)
        await near.send_all(b"torn")
        await near.aclose()
        assert await line.read(MIB) == b"torn"
        assert await line.read(MIB) == b""


@only_where_it_wakes_late
async def test_what_trickles_in_wakes_nobody_and_is_found_by_a_look(mock_clock: MockClock) -> None:
    async with loopback() as (near, far):
        line = Line(far)
        await hurry(near, line)
        await near.send_all(b"drop")
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(line.read, MIB)
                await wait_all_tasks_blocked()
                scope.cancel()
        assert scope.cancelled_caught
        assert line.look() == b"drop"


@only_where_it_wakes_late
async def test_of_a_slow_payload_every_byte_wakes_the_reader(mock_clock: MockClock) -> None:
    async with loopback() as (near, far):
        line = Line(far)
        for _ in range(3):
            mock_clock.jump(1.0)
            await near.send_all(bytes(10_000))
            assert await read_all(line, 10_000, MIB)
        mock_clock.jump(1.0)
        await near.send_all(b"x")
        assert await line.read(MIB) == b"x"
        assert wakes_at(far) == 1


async def test_where_a_mark_may_be_too_high_for_the_buffer_none_is_set(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS."""
    monkeypatch.setattr(line_module, "CAN_WAKE_LATE", False)
    async with loopback() as (near, far):
        line = Line(far)
        await hurry(near, line)
        await near.send_all(b"x")
        assert await line.read(MIB) == b"x"
        assert wakes_at(far) == 1


# --- the rate --------------------------------------------------------------------------------------------


async def stride_after(mock_clock: MockClock, size: int, seconds: float) -> tuple[int, int]:
    """(the stride, what may lie unsent in the system) after a write that took so long."""
    async with loopback() as (near, far), trio.open_nursery() as nursery:
        line = Line(near)
        assert STRIDE_BYTES_MIN < line.stride < STRIDE_BYTES_MAX  # nothing is known
        with trio.CancelScope() as full:  # of the system's own buffers
            async with trio.open_nursery() as filling:
                filling.start_soon(near.send_all, BIG)
                await wait_all_tasks_blocked()
                full.cancel()
        nursery.start_soon(line.write, memoryview(bytes(size)))
        await wait_all_tasks_blocked()
        mock_clock.jump(seconds)
        while nursery.child_tasks:
            await far.receive_some(MIB)
            await trio.lowlevel.checkpoint()
        unsent = near.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
        return line.stride, unsent


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="this system cannot")
async def test_the_stride_is_what_the_line_takes_in_a_moment(mock_clock: MockClock) -> None:
    assert await stride_after(mock_clock, MIB, 0.0) == (STRIDE_BYTES_MAX, STRIDE_BYTES_MAX // 4)
    assert await stride_after(mock_clock, MIB, 100.0) == (STRIDE_BYTES_MIN, UNSENT_BYTES_MIN)
    stride, unsent = await stride_after(mock_clock, 800 * KIB, 0.1)  # 8,000 KiB a second
    assert abs(stride - 400 * KIB) <= 1
    assert unsent == 64 * KIB  # the power of two below a quarter of it


async def test_what_is_written_at_once_says_nothing_of_the_rate() -> None:
    async with loopback() as (near, _):
        line = Line(near)
        before = line.stride
        for _ in range(5):
            await line.write(memoryview(b"a word"))
        assert line.stride == before


# --- many at once ----------------------------------------------------------------------------------------


async def test_connections_that_read_at_once_never_see_what_came_for_others() -> None:
    contents = [random.Random(number).randbytes(6 * MIB) for number in range(4)]
    got: dict[int, bytes] = {}
    async with (
        loopback() as one,
        loopback() as two,
        loopback() as three,
        loopback() as four,
        trio.open_nursery() as nursery,
    ):

        async def hear(number: int, stream: trio.SocketStream) -> None:
            got[number] = await read_all(Line(stream), len(contents[number]), expected=MIB)

        for number, (near, far) in enumerate((one, two, three, four)):
            nursery.start_soon(Line(near).write, memoryview(contents[number]))
            nursery.start_soon(hear, number, far)
    assert [got[number] for number in range(4)] == contents


async def test_a_word_does_not_wait_behind_the_floods_of_others() -> None:
    async with loopback() as flood, loopback() as quiet, trio.open_nursery() as nursery:
        reads, flowing = 0, trio.Event()
        read_meanwhile: list[int] = []

        async def pour() -> None:
            line = Line(flood[0])
            while True:
                await line.write(memoryview(BIG))

        async def drink() -> None:
            nonlocal reads
            line = Line(flood[1])
            while True:
                await line.read(MIB)
                reads += 1
                if reads == 20:
                    flowing.set()

        async def listen() -> None:
            line = Line(quiet[1])
            assert await line.read(0) == b"psst"
            read_meanwhile.append(reads)
            nursery.cancel_scope.cancel()

        for each in (pour, drink, listen):
            nursery.start_soon(each)
        await flowing.wait()
        before = reads
        await Line(quiet[0]).write(memoryview(b"psst"))
    assert read_meanwhile[0] - before <= 3
