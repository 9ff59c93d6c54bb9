"""The upload queue, told as what people live through."""

from __future__ import annotations

import math

import pytest

from client.engine.uploads.slots import GRACE_S, IDLE_S, QUEUE_MAX, TURN_BYTES, TURN_MAX_S, TURN_S, Slots
from p2pshare.errors import Reason, Refused
from p2pshare.identity import NodeId

ALICE, BOB, CAROL, DAVE = (NodeId(bytes([n]) * 32) for n in range(4))


def join_all(slots: Slots, *people: NodeId, now: float = 0.0) -> None:
    for person in people:
        slots.join(person, now)
        slots.busy(person, now)


def test_slots_go_to_who_comes_first() -> None:
    slots = Slots(2)
    join_all(slots, ALICE, BOB, CAROL, DAVE)
    assert [slots.position(person) for person in (ALICE, BOB, CAROL, DAVE)] == [0, 0, 1, 2]
    slots.leave(ALICE, 1.0)
    assert [slots.position(person) for person in (BOB, CAROL, DAVE)] == [0, 0, 1]
    assert not slots.knows(ALICE)


def test_many_files_and_connections_of_a_person_are_one_place() -> None:
    slots = Slots(2)
    join_all(slots, ALICE, ALICE, ALICE, BOB)
    assert slots.holds(BOB)


def test_a_turn_ends_after_its_time_and_data_while_others_wait() -> None:
    slots = Slots(1)
    join_all(slots, ALICE, BOB)
    slots.sent(ALICE, TURN_BYTES, TURN_S - 1)
    assert slots.holds(ALICE)
    assert slots.next_timer() == TURN_S
    slots.pass_time(TURN_S)
    assert slots.holds(BOB) and slots.position(ALICE) == 1


def test_a_turn_with_little_data_lasts_longer_but_not_for_ever() -> None:
    slots = Slots(1)
    join_all(slots, ALICE, BOB)
    slots.sent(ALICE, TURN_BYTES - 1, TURN_S)
    assert slots.holds(ALICE)
    slots.pass_time(TURN_MAX_S)
    assert slots.holds(BOB)


def test_alone_a_turn_never_ends_and_a_newcomer_gets_the_slot_at_once() -> None:
    slots = Slots(1)
    join_all(slots, ALICE)
    slots.sent(ALICE, 100 * TURN_BYTES, 3_600.0)
    assert slots.holds(ALICE)
    assert slots.next_timer() == math.inf
    slots.join(BOB, 3_601.0)
    assert slots.holds(BOB) and slots.position(ALICE) == 1


def test_a_free_slot_is_used_before_a_turn_is_ended() -> None:
    slots = Slots(2)
    join_all(slots, ALICE)
    slots.sent(ALICE, 100 * TURN_BYTES, 3_600.0)
    slots.join(BOB, 3_601.0)
    assert slots.holds(ALICE) and slots.holds(BOB)
    assert slots.changes() == {ALICE: 0, BOB: 0}


def test_an_idle_holder_makes_room_and_a_busy_one_does_not() -> None:
    slots = Slots(2)
    join_all(slots, ALICE, BOB)
    slots.idle(ALICE, 5.0)
    slots.join(CAROL, 6.0)
    assert slots.next_timer() == 5.0 + IDLE_S
    slots.pass_time(5.0 + IDLE_S)
    assert slots.holds(BOB) and slots.holds(CAROL) and slots.position(ALICE) == 1


def test_a_slot_that_is_never_used_is_taken_back() -> None:
    slots = Slots(1)
    slots.join(ALICE, 0.0)
    slots.join(BOB, 0.0)
    slots.pass_time(IDLE_S)
    assert slots.holds(BOB)


def test_a_broken_connection_keeps_its_place() -> None:
    slots = Slots(1)
    join_all(slots, ALICE, BOB, CAROL)
    slots.lost(BOB, 1.0)
    assert slots.position(CAROL) == 1, "who is gone is not counted"
    slots.join(BOB, 2.0)
    assert (slots.position(BOB), slots.position(CAROL)) == (1, 2)
    slots.lost(BOB, 3.0)
    slots.pass_time(3.0 + GRACE_S)
    assert not slots.knows(BOB)


def test_a_holder_who_comes_back_is_next_but_begins_no_new_turn() -> None:
    slots = Slots(1)
    join_all(slots, ALICE, BOB, CAROL)
    slots.lost(ALICE, TURN_MAX_S - 10)
    assert slots.holds(BOB)
    slots.join(ALICE, TURN_MAX_S - 9)
    assert (slots.position(ALICE), slots.position(CAROL)) == (1, 2)
    slots.leave(BOB, TURN_MAX_S)
    assert slots.holds(ALICE)
    slots.busy(ALICE, TURN_MAX_S)
    slots.pass_time(TURN_MAX_S + 10)
    assert slots.holds(CAROL)


def test_changes_are_told_once() -> None:
    slots = Slots(1)
    join_all(slots, ALICE, BOB, CAROL)
    assert slots.changes() == {ALICE: 0, BOB: 1, CAROL: 2}
    assert slots.changes() == {}
    slots.leave(ALICE, 1.0)
    assert slots.changes() == {BOB: 0, CAROL: 1}
    slots.lost(CAROL, 2.0)
    slots.join(CAROL, 3.0)
    assert slots.changes() == {CAROL: 1}, "a new connection knows nothing yet"


def test_the_expected_wait_follows_the_turns_so_far() -> None:
    slots = Slots(2)
    join_all(slots, ALICE, BOB)
    assert slots.wait_s(0, 10.0) == 0
    assert slots.wait_s(1, 10.0) == TURN_S - 10
    assert slots.wait_s(2, 10.0) == TURN_S - 10
    assert slots.wait_s(3, 10.0) == 2 * TURN_S - 10
    for turn in range(50):
        slots.leave(ALICE, turn * 20 + 20.0)
        slots.join(ALICE, turn * 20 + 20.0)
    assert slots.wait_s(1, 1_000.0) < 30, "turns became short"


def test_the_line_is_bounded() -> None:
    slots = Slots(1)
    for n in range(QUEUE_MAX + 1):
        slots.join(NodeId(n.to_bytes(32, "big")), 0.0)
    with pytest.raises(Refused) as refusal:
        slots.join(NodeId(b"\xff" * 32), 0.0)
    assert refusal.value.reason is Reason.TOO_MUCH and refusal.value.retry_after_s > 0
    slots.join(NodeId((5).to_bytes(32, "big")), 0.0)  # who is in stays in
