from __future__ import annotations

from typing import Any

import pytest

from p2pshare.errors import CloseCode, Misuse, PeerFault
from p2pshare.identity import Identity
from p2pshare.limits import CLOCK_SKEW_S, TICKET_BYTES, TICKET_LIFETIME_S
from p2pshare.tickets import Ticket, TicketMemory, check_ticket_untrusted, issue_ticket, server_of

SERVER, ALICE, BOB, MALLORY = (Identity.from_seed(bytes([seed]) * 32) for seed in range(4))
NOW = 1_800_000_000
NONCE = bytes(range(16))


def ticket(**changes: Any) -> bytes:
    given: dict[str, Any] = {
        "asker": ALICE.node_id,
        "target": BOB.node_id,
        "nonce": NONCE,
        "unix_now": NOW,
    } | changes
    return issue_ticket(given.pop("server", SERVER), **given)


def check(data: bytes, **changes: Any) -> Ticket:
    given: dict[str, Any] = {
        "asker": ALICE.node_id,
        "target": BOB.node_id,
        "servers": {SERVER.node_id},
        "unix_now": NOW,
    } | changes
    return check_ticket_untrusted(data, **given)


def refusal(data: bytes, **changes: Any) -> str:
    with pytest.raises(PeerFault) as caught:
        check(data, **changes)
    assert caught.value.code is CloseCode.NOT_ADMITTED
    return caught.value.text


def test_a_ticket_lets_its_asker_in() -> None:
    data = ticket()
    assert len(data) == TICKET_BYTES == 184
    assert check(data) == Ticket(NONCE, SERVER.node_id, ALICE.node_id, BOB.node_id, NOW + TICKET_LIFETIME_S)


def test_a_ticket_is_laid_out_as_documented() -> None:
    data = ticket()
    keys = SERVER.node_id + ALICE.node_id + BOB.node_id
    assert data[:120] == NONCE + keys + (NOW + TICKET_LIFETIME_S).to_bytes(8, "big")


def test_a_stolen_ticket_is_worth_nothing() -> None:
    assert refusal(ticket(), asker=MALLORY.node_id) == "The ticket was given to somebody else."
    assert refusal(ticket(), target=MALLORY.node_id) == "The ticket leads to somebody else."


def test_only_servers_in_use_are_believed() -> None:
    assert "not used here" in refusal(ticket(server=MALLORY))
    assert "not used here" in refusal(ticket(), servers=())


def test_a_forged_ticket_is_found_whatever_byte_was_changed() -> None:
    data = ticket()
    for place in range(TICKET_BYTES):
        forged = bytearray(data)
        forged[place] ^= 1
        refusal(bytes(forged))
    forged = bytearray(data)
    forged[0] ^= 1
    assert refusal(bytes(forged)) == "The signature of the ticket is wrong."


@pytest.mark.parametrize("length", [0, 1, 183, 185, 10_000])
def test_a_ticket_of_another_length_is_refused(length: int) -> None:
    assert "184 bytes" in refusal(bytes(length))


def test_clocks_may_differ_a_little_in_both_directions() -> None:
    last_moment = NOW + TICKET_LIFETIME_S + CLOCK_SKEW_S
    first_moment = NOW - CLOCK_SKEW_S
    check(ticket(), unix_now=last_moment)
    check(ticket(), unix_now=first_moment)
    assert "expired" in refusal(ticket(), unix_now=last_moment + 1)
    assert "from the future" in refusal(ticket(), unix_now=first_moment - 1)


def test_a_ticket_of_odd_parts_is_our_own_mistake() -> None:
    for wrong in ({"nonce": b"short"}, {"asker": b"short"}, {"target": b"short"}):
        with pytest.raises(Misuse):
            ticket(**wrong)


# --- memory


def seen(nonce: int, not_after: int = NOW) -> Ticket:
    return Ticket(nonce.to_bytes(16, "big"), SERVER.node_id, ALICE.node_id, BOB.node_id, not_after)


def test_a_ticket_passes_once() -> None:
    memory = TicketMemory()
    memory.check_and_remember(seen(1), NOW)
    memory.check_and_remember(seen(2), NOW)
    with pytest.raises(PeerFault, match="used before") as caught:
        memory.check_and_remember(seen(1), NOW)
    assert caught.value.code is CloseCode.NOT_ADMITTED


def test_a_ticket_is_remembered_for_as_long_as_it_could_pass_the_check() -> None:
    memory = TicketMemory()
    memory.check_and_remember(seen(1), NOW)
    with pytest.raises(PeerFault):
        memory.check_and_remember(seen(1), NOW + CLOCK_SKEW_S)
    memory.check_and_remember(seen(2, NOW + 1000), NOW + CLOCK_SKEW_S + 1)
    assert len(memory) == 1


def test_the_memory_is_bounded_and_forgets_what_expires_first() -> None:
    memory = TicketMemory(capacity=3)
    for nonce, not_after in [(1, NOW + 30), (2, NOW + 10), (3, NOW + 20), (4, NOW + 40)]:
        memory.check_and_remember(seen(nonce, not_after), NOW)
    assert len(memory) == 3
    for nonce in (1, 3, 4):
        with pytest.raises(PeerFault):
            memory.check_and_remember(seen(nonce), NOW)
    memory.check_and_remember(seen(2, NOW + 10), NOW)  # forgotten


def test_a_ticket_says_whose_clock_it_goes_by_and_other_bytes_do_no_harm() -> None:
    ticket = issue_ticket(SERVER, asker=ALICE.node_id, target=BOB.node_id, nonce=NONCE, unix_now=NOW)
    assert server_of(ticket) == SERVER.node_id
    for other in (b"", b"x", bytes(1000)):
        server_of(other)
