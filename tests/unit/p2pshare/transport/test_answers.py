from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from p2pshare.errors import CloseCode, Disconnected, PeerFault, Reason, Refused
from p2pshare.hashing import FileId
from p2pshare.limits import MIB
from p2pshare.transport.answers import UNREAD_ANSWER_BYTES_MAX, Answers, Incoming
from p2pshare.wire.peer import Admitted, Data, Fetch, Knock
from p2pshare.wire.session import Refused as RefusedMessage

ASKED = Fetch(request=1, file=FileId(bytes(32)), first=0, count=9)
NO = Incoming(RefusedMessage(request=1, reason=Reason.FILE_CHANGED, text="It changed."))


def part(number: int, *, more: bool = True, size: int = 1) -> Incoming:
    data = Data(request=1, piece=number, offset=0, size=size, more=more)
    return Incoming(data, memoryview(bytes([number]) * size))


async def iterated(answers: Answers) -> list[int]:
    """The numbers of the parts that the iteration gives."""
    return [answer.message.piece async for answer in answers]  # type: ignore[attr-defined]


class Taker:
    """Takes answers while it is `willing`."""

    def __init__(self, *, willing: bool = True) -> None:
        self.willing = willing
        self.seen: list[int] = []

    def __call__(self, answer: Incoming) -> bool:
        assert isinstance(answer.message, Data), "a refusal is nothing to deal with"
        self.seen.append(answer.message.piece)
        return self.willing


# --- without anybody who takes them ----------------------------------------------------------------------


async def test_answers_come_in_order_and_end_after_the_last() -> None:
    answers = Answers(ASKED)
    for number in range(3):
        assert not answers.complete
        answers.deliver(part(number, more=number < 2))
    assert answers.complete
    answers.end(Disconnected("Later."))
    assert await iterated(answers) == [0, 1, 2]


async def test_an_answer_that_can_have_no_other_behind_it_is_the_last() -> None:
    answers = Answers(Knock(request=1, ticket=b""))
    answers.deliver(Incoming(Admitted(request=1)))
    assert answers.complete


async def test_what_came_before_the_end_of_the_connection_is_not_lost() -> None:
    answers = Answers(ASKED)
    answers.deliver(part(0))
    answers.end(Disconnected("Gone."))
    assert (await anext(answers)).payload == b"\0"
    with pytest.raises(Disconnected, match="Gone"):
        await anext(answers)


async def test_whoever_does_not_look_is_not_sent_endless_data() -> None:
    answers = Answers(ASKED)
    for number in range(UNREAD_ANSWER_BYTES_MAX // MIB):
        answers.deliver(part(number, size=MIB))
    with pytest.raises(PeerFault) as caught:
        answers.deliver(part(0))
    assert caught.value.code is CloseCode.TOO_FAST


async def test_what_was_looked_at_makes_room() -> None:
    answers = Answers(ASKED)
    for number in range(2 * UNREAD_ANSWER_BYTES_MAX // MIB):
        answers.deliver(part(number, size=MIB))
        await anext(answers)


# --- with somebody ---------------------------------------------------------------------------------------


async def test_what_is_taken_is_not_iterated_over_and_the_last_one_completes_the_request() -> None:
    taker = Taker()
    answers = Answers(ASKED, taker)
    for number in range(3):
        answers.deliver(part(number, more=number < 2))
    assert answers.complete
    assert taker.seen == [0, 1, 2]
    assert await iterated(answers) == []


async def test_the_last_one_taken_wakes_whoever_waits_for_more() -> None:
    answers = Answers(ASKED, Taker())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(iterated, answers)
        await wait_all_tasks_blocked()
        answers.deliver(part(0, more=False))


async def test_data_that_is_taken_is_not_unread() -> None:
    answers = Answers(ASKED, Taker())
    for number in range(2 * UNREAD_ANSWER_BYTES_MAX // MIB):
        answers.deliver(part(number, size=MIB))


async def test_what_is_declined_is_iterated_over() -> None:
    answers = Answers(ASKED, Taker(willing=False))
    for number in range(3):
        answers.deliver(part(number, more=number < 2))
    assert await iterated(answers) == [0, 1, 2]


async def test_none_overtakes_another_that_is_still_being_dealt_with() -> None:
    taker = Taker(willing=False)
    answers = Answers(ASKED, taker)
    answers.deliver(part(0))
    taker.willing = True
    answers.deliver(part(1))  # behind one that was not looked at
    assert (await anext(answers)).payload == b"\0"
    answers.deliver(part(2))  # while the first is in hand, and the second waits
    assert (await anext(answers)).payload == b"\1"
    assert (await anext(answers)).payload == b"\2"
    answers.deliver(part(3))  # while the last one is in hand
    assert (await anext(answers)).payload == b"\3"
    assert taker.seen == [0]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(iterated, answers)  # asks for more, so everything is dealt with
        await wait_all_tasks_blocked()
        answers.deliver(part(4))
        answers.deliver(part(5, more=False))
    assert taker.seen == [0, 4, 5]


async def test_a_refusal_is_raised_where_the_answers_are_iterated_over() -> None:
    taker = Taker()
    answers = Answers(ASKED, taker)
    answers.deliver(part(0))
    answers.deliver(NO)
    assert answers.complete
    with pytest.raises(Refused, match="It changed") as caught:
        await anext(answers)
    assert caught.value.reason is Reason.FILE_CHANGED
    assert taker.seen == [0]


async def test_a_refusal_waits_behind_what_was_declined() -> None:
    answers = Answers(ASKED, Taker(willing=False))
    answers.deliver(part(0))
    answers.deliver(NO)
    assert (await anext(answers)).payload == b"\0"
    with pytest.raises(Refused):
        await anext(answers)


async def test_what_is_wrong_with_an_answer_is_told_to_the_reader() -> None:
    def judge(answer: Incoming) -> bool:
        raise PeerFault(CloseCode.BAD_DATA, "That is not it.")

    with pytest.raises(PeerFault, match="not it"):
        Answers(ASKED, judge).deliver(part(0))
