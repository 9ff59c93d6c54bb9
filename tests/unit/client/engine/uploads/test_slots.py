"""The upload queue, told as what people live through."""

from __future__ import annotations

import math

import pytest

from client.engine.groups import Group
from client.engine.uploads.slots import (
    GRACE_S,
    IDLE_S,
    QUEUE_MAX,
    TURN_BYTES,
    TURN_MAX_S,
    TURN_S,
    Place,
    Slots,
)
from p2pshare.errors import Reason, Refused
from p2pshare.identity import NodeId

ALICE, BOB, CAROL, DAVE, EVE = (NodeId(bytes([n]) * 32) for n in range(5))
BLOCKED, EVERYONE, CONTACTS, TRUSTED = Group


def slots_of(everyone: int, contacts: int = 1, trusted: int = 1, **weights: float) -> Slots:
    by_person = {NodeId(bytes([int(number)]) * 32): weight for number, weight in weights.items()}
    counts = {EVERYONE: everyone, CONTACTS: contacts, TRUSTED: trusted}
    return Slots(counts, lambda person: by_person.get(person, 1.0))


def join_all(slots: Slots, *people: NodeId, group: Group = EVERYONE, now: float = 0.0) -> None:
    for person in people:
        slots.join(person, group, now)
        slots.busy(person)


def positions(slots: Slots, *people: NodeId, now: float = 0.0) -> list[int]:
    return [slots.place(person, now).position for person in people]


def test_slots_go_to_who_comes_first() -> None:
    slots = slots_of(2)
    join_all(slots, ALICE, BOB, CAROL, DAVE)
    assert positions(slots, ALICE, BOB, CAROL, DAVE) == [0, 0, 1, 2]
    slots.leave(ALICE, 1.0)
    assert positions(slots, BOB, CAROL, DAVE) == [0, 0, 1]
    assert not slots.knows(ALICE)


def test_many_files_and_connections_of_a_person_are_one_place() -> None:
    slots = slots_of(2)
    join_all(slots, ALICE, ALICE, ALICE, BOB)
    assert slots.holds(BOB)


def test_a_turn_ends_after_its_time_and_data_while_others_wait() -> None:
    slots = slots_of(1)
    join_all(slots, ALICE, BOB)
    slots.sent(ALICE, TURN_BYTES, TURN_S - 1)
    assert slots.holds(ALICE)
    assert slots.next_timer() == TURN_S
    slots.pass_time(TURN_S)
    assert slots.holds(BOB) and positions(slots, ALICE) == [1]


def test_a_turn_with_little_data_lasts_longer_but_not_for_ever() -> None:
    slots = slots_of(1)
    join_all(slots, ALICE, BOB)
    slots.sent(ALICE, TURN_BYTES - 1, TURN_S)
    assert slots.holds(ALICE)
    slots.pass_time(TURN_MAX_S)
    assert slots.holds(BOB)


def test_a_turn_that_has_lasted_ends_with_the_data_that_it_lacked() -> None:
    slots = slots_of(1)
    join_all(slots, ALICE, BOB)
    slots.pass_time(TURN_S + 1)
    assert slots.holds(ALICE)
    slots.sent(ALICE, TURN_BYTES, TURN_S + 2)
    assert slots.holds(BOB)


def test_alone_a_turn_never_ends_and_a_newcomer_gets_the_slot_at_once() -> None:
    slots = slots_of(1)
    join_all(slots, ALICE)
    slots.sent(ALICE, 100 * TURN_BYTES, 3_600.0)
    assert slots.holds(ALICE)
    assert slots.next_timer() == math.inf
    slots.join(BOB, EVERYONE, 3_601.0)
    assert slots.holds(BOB) and positions(slots, ALICE, now=3_601.0) == [1]


def test_a_free_slot_is_used_before_a_turn_is_ended() -> None:
    slots = slots_of(2)
    join_all(slots, ALICE)
    slots.sent(ALICE, 100 * TURN_BYTES, 3_600.0)
    slots.join(BOB, EVERYONE, 3_601.0)
    assert slots.holds(ALICE) and slots.holds(BOB)
    assert slots.changes(3_601.0) == {ALICE: Place(0, 0), BOB: Place(0, 0)}


def test_an_idle_holder_makes_room_and_a_busy_one_does_not() -> None:
    slots = slots_of(2)
    join_all(slots, ALICE, BOB)
    slots.idle(ALICE, 5.0)
    slots.join(CAROL, EVERYONE, 6.0)
    assert slots.next_timer() == 5.0 + IDLE_S
    slots.pass_time(5.0 + IDLE_S)
    assert slots.holds(BOB) and slots.holds(CAROL) and positions(slots, ALICE) == [1]


def test_a_slot_that_is_never_used_is_taken_back() -> None:
    slots = slots_of(1)
    slots.join(ALICE, EVERYONE, 0.0)
    slots.join(BOB, EVERYONE, 0.0)
    slots.pass_time(IDLE_S)
    assert slots.holds(BOB)


def test_a_broken_connection_keeps_its_place() -> None:
    slots = slots_of(1)
    join_all(slots, ALICE, BOB, CAROL)
    slots.lost(BOB, 1.0)
    assert positions(slots, CAROL) == [1], "who is gone is not counted"
    slots.join(BOB, EVERYONE, 2.0)
    assert positions(slots, BOB, CAROL) == [1, 2]
    slots.lost(BOB, 3.0)
    assert slots.next_timer() == min(3.0 + GRACE_S, TURN_MAX_S)
    slots.pass_time(3.0 + GRACE_S)
    assert not slots.knows(BOB)


def test_a_holder_who_comes_back_is_next_but_begins_no_new_turn() -> None:
    slots = slots_of(1)
    join_all(slots, ALICE, BOB, CAROL)
    slots.lost(ALICE, TURN_MAX_S - 10)
    assert slots.holds(BOB)
    slots.join(ALICE, EVERYONE, TURN_MAX_S - 9)
    assert positions(slots, ALICE, CAROL) == [1, 2]
    slots.leave(BOB, TURN_MAX_S)
    assert slots.holds(ALICE)
    slots.busy(ALICE)
    slots.pass_time(TURN_MAX_S + 10)
    assert slots.holds(CAROL)


def test_changes_are_told_once() -> None:
    slots = slots_of(1)
    join_all(slots, ALICE, BOB, CAROL)
    assert told(slots) == {ALICE: 0, BOB: 1, CAROL: 2}
    assert told(slots) == {}
    slots.leave(ALICE, 1.0)
    assert told(slots) == {BOB: 0, CAROL: 1}
    slots.lost(CAROL, 2.0)
    slots.join(CAROL, EVERYONE, 3.0)
    assert told(slots) == {CAROL: 1}, "a new connection knows nothing yet"


def told(slots: Slots) -> dict[NodeId, int]:
    return {person: place.position for person, place in slots.changes(4.0).items()}


def test_the_expected_wait_follows_the_turns_so_far() -> None:
    slots = slots_of(2)
    join_all(slots, ALICE, BOB, CAROL, DAVE, EVE)
    assert slots.place(ALICE, 10.0) == Place(0, 0)
    assert slots.place(CAROL, 10.0) == Place(1, TURN_S - 10)
    assert slots.place(DAVE, 10.0) == Place(2, TURN_S - 10)
    assert slots.place(EVE, 10.0) == Place(3, 2 * TURN_S - 10)
    for turn in range(50):
        now = turn * 20 + 20.0
        for holder in [person for person in (ALICE, BOB, CAROL, DAVE, EVE) if slots.holds(person)]:
            slots.leave(holder, now)
            join_all(slots, holder, now=now)
    waiting = next(person for person in (ALICE, BOB, CAROL, DAVE, EVE) if not slots.holds(person))
    assert slots.place(waiting, 1_000.0).wait_s < 30, "turns became short"


def test_the_line_of_a_group_is_bounded() -> None:
    slots = slots_of(1)
    for n in range(QUEUE_MAX + 1):
        slots.join(NodeId(n.to_bytes(32, "big")), EVERYONE, 0.0)
    with pytest.raises(Refused) as refusal:
        slots.join(NodeId(b"\xff" * 32), EVERYONE, 0.0)
    assert refusal.value.reason is Reason.TOO_MUCH and refusal.value.retry_after_s > 0
    slots.join(NodeId((5).to_bytes(32, "big")), EVERYONE, 0.0)  # who is in stays in
    slots.join(NodeId(b"\xff" * 32), CONTACTS, 0.0)  # another line


# --- groups ----------------------------------------------------------------------------------------------


def test_every_group_has_slots_of_its_own() -> None:
    slots = slots_of(1)
    join_all(slots, ALICE, BOB)
    join_all(slots, CAROL, group=TRUSTED)
    join_all(slots, DAVE, group=CONTACTS)
    assert positions(slots, ALICE, BOB, CAROL, DAVE) == [0, 1, 0, 0]


def test_nobody_uses_a_slot_that_is_kept_for_a_higher_group() -> None:
    slots = slots_of(1, 2, 2)
    join_all(slots, ALICE, BOB)
    join_all(slots, CAROL, DAVE, EVE, group=CONTACTS)
    assert positions(slots, ALICE, BOB, CAROL, DAVE, EVE) == [0, 1, 0, 0, 1]


def test_a_higher_group_uses_a_free_slot_of_a_lower_one_until_it_is_wanted_back() -> None:
    slots = slots_of(1)
    join_all(slots, ALICE, BOB, CAROL, group=TRUSTED)
    assert [slots.holds(person) for person in (ALICE, BOB, CAROL)] == [True] * 3
    join_all(slots, DAVE, now=1.0)
    assert positions(slots, DAVE) == [1]
    slots.pass_time(TURN_S)  # a borrowed turn is a short one
    assert positions(slots, DAVE, ALICE, BOB, CAROL) == [0, 0, 1, 0], "the others share what is left"


def test_of_a_free_slot_the_trusted_are_told_before_the_contacts() -> None:
    slots = slots_of(1)
    join_all(slots, ALICE)
    join_all(slots, EVE, NodeId(b"f" * 32), group=CONTACTS)
    join_all(slots, BOB, CAROL, group=TRUSTED)
    assert positions(slots, EVE, NodeId(b"f" * 32), BOB, CAROL) == [0, 1, 0, 1]
    slots.leave(ALICE, 2.0)
    assert positions(slots, NodeId(b"f" * 32), CAROL) == [1, 0]


def test_whoever_borrowed_a_slot_moves_to_one_of_their_own_group() -> None:
    slots = slots_of(1)
    join_all(slots, ALICE, BOB, CAROL, group=TRUSTED)
    slots.leave(ALICE, 1.0)
    slots.leave(BOB, 1.0)
    join_all(slots, DAVE, now=2.0)
    assert slots.holds(CAROL) and slots.holds(DAVE)


def test_somebody_put_into_another_group_is_next_there() -> None:
    slots = slots_of(1)
    join_all(slots, ALICE, BOB, CAROL)
    slots.regroup(CAROL, TRUSTED, 1.0)
    assert slots.holds(CAROL)
    slots.regroup(CAROL, EVERYONE, 2.0)
    assert positions(slots, ALICE, CAROL, BOB) == [0, 1, 2], "no turn is lost by it"
    slots.regroup(ALICE, BLOCKED, 3.0)
    assert not slots.knows(ALICE) and slots.holds(CAROL)


def test_other_numbers_of_slots_hold_at_once() -> None:
    slots = slots_of(3)
    join_all(slots, ALICE, BOB, CAROL, DAVE)
    slots.set_counts({EVERYONE: 1, CONTACTS: 1, TRUSTED: 1}, 1.0)
    assert sorted(positions(slots, ALICE, BOB, CAROL, DAVE)) == [0, 1, 2, 3]
    assert positions(slots, ALICE, DAVE) == [0, 3], "the latest go back, before those who wait"
    slots.set_counts({EVERYONE: 4, CONTACTS: 1, TRUSTED: 1}, 2.0)
    assert positions(slots, ALICE, BOB, CAROL, DAVE) == [0] * 4


# --- what was waited and what was given ------------------------------------------------------------------


def test_who_can_show_that_they_waited_is_put_where_they_belong() -> None:
    slots = slots_of(1)
    join_all(slots, ALICE, BOB, now=1_000.0)
    slots.join(CAROL, EVERYONE, 1_001.0, since=-200_000.0)
    assert positions(slots, CAROL, BOB) == [1, 2]
    slots.join(DAVE, EVERYONE, 1_001.0, since=5_000.0)  # a clock that jumped
    assert positions(slots, CAROL, BOB, DAVE) == [1, 2, 3]
    assert slots.since(DAVE) == 1_001.0 and slots.since(ALICE) is None


def test_waiting_counts_for_more_with_a_weight_but_never_more_than_four_times() -> None:
    slots = slots_of(1, **{"2": 3.0, "3": 1_000.0})
    join_all(slots, ALICE)
    join_all(slots, BOB, now=0.0)
    join_all(slots, CAROL, now=50.0)
    join_all(slots, DAVE, now=80.0)
    assert positions(slots, BOB, CAROL, DAVE, now=100.0) == [2, 1, 3]
    slots.leave(ALICE, 300.0)
    assert slots.holds(DAVE) and positions(slots, CAROL, BOB, now=300.0) == [1, 2]


def test_whose_quota_is_used_up_rests_and_is_told_until_when() -> None:
    slots = slots_of(1)
    join_all(slots, ALICE, BOB)
    slots.rest(ALICE, 5_000.0, 10.0)
    assert slots.holds(BOB)
    assert slots.place(ALICE, 10.0) == Place(1, 4_990)
    slots.leave(BOB, 20.0)
    assert not slots.holds(ALICE), "even if the slot is free"
    assert slots.next_timer() == 5_000.0
    slots.pass_time(5_000.0)
    assert slots.holds(ALICE)


def test_somebody_who_rests_does_not_end_the_turn_of_another() -> None:
    slots = slots_of(1)
    join_all(slots, ALICE, BOB)
    slots.rest(BOB, 5_000.0, 10.0)
    slots.pass_time(TURN_MAX_S)
    assert slots.holds(ALICE)
    slots.rest(BOB, 0.0, TURN_MAX_S + 1)  # the quota was raised
    assert slots.holds(BOB)


def test_who_was_sent_something_or_had_the_chance_was_served() -> None:
    slots = slots_of(1)
    join_all(slots, ALICE, BOB, CAROL)
    assert slots.take_served() == set()
    slots.sent(ALICE, 1, 1.0)
    assert slots.take_served() == {ALICE}
    slots.sent(ALICE, 1, 2.0)
    assert slots.take_served() == set(), "once a turn"
    slots.leave(ALICE, 3.0)
    slots.take_served()
    slots.idle(BOB, 3.0)
    slots.pass_time(3.0 + IDLE_S)
    assert slots.take_served() == {BOB} and slots.holds(CAROL)
    slots.lost(CAROL, 20.0)
    assert slots.take_served() == set(), "a cable that broke is no chance"


def test_a_newcomer_waits_as_long_as_the_turns_and_the_line_before_them() -> None:
    slots = slots_of(1)
    assert slots.newcomer_wait_s(0.0) == 0
    join_all(slots, ALICE, group=TRUSTED)
    assert slots.newcomer_wait_s(0.0) == 0, "the slots of others are not theirs"
    join_all(slots, BOB)
    assert slots.newcomer_wait_s(0.0) == TURN_S
    join_all(slots, CAROL)
    assert slots.newcomer_wait_s(10.0) == 2 * TURN_S - 10
    assert slots.place(CAROL, 10.0).wait_s == TURN_S - 10
    slots.leave(BOB, 10.0)
    slots.leave(CAROL, 10.0)
    assert slots.newcomer_wait_s(10.0) == 0
