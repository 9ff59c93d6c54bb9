"""Turns in a swarm, told as what people live through."""

from __future__ import annotations

import math

import pytest

from client.engine.uploads.exchange import FREE_TURN, IDLE_S, SLOW_S, TURN_PIECES, TURNS, Exchange
from p2pshare.hashing import FileId
from p2pshare.identity import NodeId
from p2pshare.limits import FETCH_PIECES_MAX, KIB

PIECE = 64 * KIB
PIECES = 64
FILM, SONG = FileId(bytes([1]) * 32), FileId(bytes([2]) * 32)
ALL = bytes([255] * (PIECES // 8))
PEOPLE = [NodeId(bytes([n]) * 32) for n in range(20)]
ALICE, BOB, CAROL, DAVE, EVE, FRANK = PEOPLE[:6]


def exchange_of(*people: NodeId, mine: bytes = ALL) -> Exchange:
    """All of them join at the same time, in this order."""
    made = Exchange()
    for person in people:
        made.join((person, FILM), PIECES, PIECE, mine, 0.0)
    return made


def with_turns(made: Exchange) -> list[NodeId]:
    return [person for person in PEOPLE if made.has_turn((person, FILM))]


def takes_turn(made: Exchange, person: NodeId, now: float, first: int = 0) -> None:
    """Asks for everything a turn allows, and gets it."""
    assert made.asks((person, FILM), first, TURN_PIECES, now)
    made.sent((person, FILM), TURN_PIECES * PIECE, now)


def test_who_is_alone_may_ask_for_as_much_as_one_request_holds() -> None:
    made = exchange_of(ALICE)
    assert made.take_news() == {(ALICE, FILM): [FETCH_PIECES_MAX]}
    assert made.asks((ALICE, FILM), 0, PIECES, 0.0)
    assert made.next_timer() == math.inf


def test_nobody_may_ask_without_a_turn_or_for_more_than_it_allows() -> None:
    made = exchange_of(*PEOPLE[: TURNS + 1])
    last = PEOPLE[TURNS]
    assert not made.asks((last, FILM), 0, 1, 0.0)
    assert not made.asks((ALICE, FILM), 0, TURN_PIECES + 1, 0.0)
    assert made.asks((ALICE, FILM), 0, TURN_PIECES, 0.0)
    assert not made.asks((ALICE, FILM), 9, 1, 0.0)
    assert not made.asks((EVE, SONG), 0, 1, 0.0), "she has no such file open"


def test_when_somebody_comes_the_long_turns_end() -> None:
    made = exchange_of(*PEOPLE[:TURNS])
    assert all(news == [FETCH_PIECES_MAX] for news in made.take_news().values())
    made.join((EVE, FILM), PIECES, PIECE, ALL, 0.2)
    assert made.take_news() == {(person, FILM): [0, TURN_PIECES] for person in PEOPLE[:TURNS]}
    assert with_turns(made) == PEOPLE[:TURNS], "she waits until one of them had what a turn allows"
    takes_turn(made, PEOPLE[1], 0.3)
    assert made.take_news() == {(EVE, FILM): [TURN_PIECES]}
    assert not made.has_turn((PEOPLE[1], FILM))


def test_a_turn_is_a_few_pieces_and_then_it_is_the_turn_of_who_waited_longest() -> None:
    made = exchange_of(*PEOPLE[:6])
    for _ in range(2):
        made.take_news()
    order = []
    now = 0.0
    for round_ in range(12):
        now += 0.1
        holder = next(iter(made._turns))[0]
        order.append(holder)
        takes_turn(made, holder, now, first=2 * round_)
    assert set(order) == set(PEOPLE[:6]), "everybody had turns"


def test_who_lacks_nothing_that_is_here_gets_no_turn() -> None:
    made = exchange_of(ALICE, BOB, mine=bytes([0b11000000] + [0] * 7))
    made.has((ALICE, FILM), range(2))
    made.has((BOB, FILM), [0, 65_535])
    made.take_news()
    assert made.asks((BOB, FILM), 1, 1, 0.0)
    made.sent((BOB, FILM), PIECE, 0.0)
    made.gained(FILM, [7], 0.1)
    assert {ALICE, BOB} == set(with_turns(made))


def test_news_of_a_piece_makes_a_turn_for_who_waits_for_it() -> None:
    made = exchange_of(ALICE, mine=bytes(8))
    assert made.take_news() == {} and with_turns(made) == []
    made.gained(FILM, [3], 1.0)
    assert made.take_news() == {(ALICE, FILM): [FETCH_PIECES_MAX]}


def crowd() -> Exchange:
    """More people than turns; all turns are taken and nothing is asked for."""
    made = exchange_of(*PEOPLE[:12])
    made.take_news()
    return made


def test_who_asks_for_nothing_makes_room_after_a_moment() -> None:
    made = crowd()
    before = with_turns(made)
    assert 0 < made.next_timer() <= IDLE_S
    made.pass_time(IDLE_S)
    assert not set(before) & set(with_turns(made))
    news = made.take_news()
    assert all(news[person, FILM] == [0] for person in before)
    assert not made.asks((before[0], FILM), 0, 1, IDLE_S)


def test_who_is_slow_keeps_nobody_waiting_and_still_gets_what_was_asked_for() -> None:
    made = crowd()
    slow = with_turns(made)[0]
    assert made.asks((slow, FILM), 0, TURN_PIECES, 0.0)
    made.pass_time(SLOW_S - 1)
    assert made.has_turn((slow, FILM))
    made.pass_time(SLOW_S)
    assert not made.has_turn((slow, FILM))
    made.sent((slow, FILM), PIECE, SLOW_S + 1)


def test_who_gives_is_served_first_and_who_does_not_gets_one_turn_in_five() -> None:
    made = crowd()
    givers = set(PEOPLE[:6])
    counts = dict.fromkeys(PEOPLE[:12], 0)
    for number in range(400):
        person = next(iter(made._turns))[0]
        counts[person] += 1
        for giver in givers:
            made.gave(giver, 2 * PIECE)
        for state in made._members.values():
            state.theirs = 0  # they never have enough
        takes_turn(made, person, number / 10, first=(2 * number) % PIECES)
    others = sum(count for person, count in counts.items() if person not in givers)
    assert 0 < others <= 400 / FREE_TURN + 12
    assert min(counts.values()) > 0, "everybody gets something in the end"


def test_who_gave_once_and_takes_ever_since_is_served_when_nobody_else_wants_anything() -> None:
    made = exchange_of(ALICE, BOB)
    made.gave(ALICE, PIECE)
    made.gave(BOB, 100 * PIECE)
    made.sent((ALICE, FILM), 10 * PIECE, 0.0)
    for number, person in enumerate(PEOPLE[2 : 2 + TURNS]):
        made.gave(person, PIECE)
        made.join((person, FILM), PIECES, PIECE, ALL, 0.1 * number)
    order = []
    for _ in range(12):
        made.gave(BOB, 2 * PIECE)
        for person in PEOPLE[2 : 2 + TURNS]:
            made.gave(person, 2 * PIECE)
        for state in made._members.values():
            state.theirs = 0  # they never have enough
        order.append(next(iter(made._turns))[0])
        takes_turn(made, order[-1], 1.0)
    assert ALICE not in order[TURNS:], "what she had when she was alone she may finish"
    for person in PEOPLE[1 : 2 + TURNS]:
        made.leave((person, FILM), 2.0)
    assert with_turns(made) == [ALICE]


def test_of_those_who_only_take_one_is_served_at_a_time() -> None:
    made = Exchange()
    for person in PEOPLE[:6]:
        made.join((person, FILM), PIECES, PIECE, bytes(8), 0.0)
        made.sent((person, FILM), 10 * PIECE, 0.0)
    made.gained(FILM, range(PIECES), 1.0)
    assert len(with_turns(made)) == 1


def test_whose_quota_is_used_up_gets_no_turn() -> None:
    made = Exchange(may_take=lambda person: person is not ALICE)
    for person in (ALICE, BOB):
        made.join((person, FILM), PIECES, PIECE, ALL, 0.0)
    assert with_turns(made) == [BOB]


def test_whoever_leaves_makes_room_at_once() -> None:
    made = crowd()
    before = with_turns(made)
    made.leave((before[0], FILM), 0.0)
    assert len(with_turns(made)) == TURNS and before[0] not in with_turns(made)
    made.leave((before[0], FILM), 0.0)
    for person in PEOPLE:
        made.leave((person, FILM), 1.0)
    assert made.next_timer() == math.inf and not made._files


@pytest.mark.parametrize("answered", [True, False])
def test_what_was_cancelled_ends_the_turn(answered: bool) -> None:
    made = crowd()
    person = with_turns(made)[0]
    assert made.asks((person, FILM), 0, TURN_PIECES, 0.0)
    if answered:
        made.answered(person, 0.1)
    assert made.has_turn((person, FILM)) is not answered
