from __future__ import annotations

import pytest

from p2pshare.errors import Misuse
from p2pshare.identity import CONTEXT_QUEUE_TICKET, CONTEXT_TICKET, Identity
from p2pshare.limits import CLOCK_SKEW_S, QUEUE_TICKET_BYTES, QUEUE_TICKET_LIFETIME_S
from p2pshare.queue_tickets import issue_queue_ticket, joined_untrusted

BOB, ALICE, MALLORY = (Identity.from_seed(bytes([n]) * 32) for n in range(1, 4))
JOINED, ISSUED = 1_800_000_000, 1_800_003_600
TICKET = issue_queue_ticket(BOB, asker=ALICE.node_id, joined=JOINED, issued=ISSUED)


def joined(
    ticket: bytes, uploader: Identity = BOB, asker: Identity = ALICE, now: float = ISSUED + 1.0
) -> int | None:
    return joined_untrusted(ticket, uploader=uploader.node_id, asker=asker.node_id, unix_now=now)


def test_a_ticket_says_since_when_its_asker_waits() -> None:
    assert len(TICKET) == QUEUE_TICKET_BYTES
    assert joined(TICKET) == JOINED
    assert joined(TICKET) == JOINED, "showing it twice does no harm"


def test_a_ticket_is_good_for_a_week_and_a_clock_may_go_a_little_wrong() -> None:
    assert joined(TICKET, now=ISSUED + QUEUE_TICKET_LIFETIME_S) == JOINED
    assert joined(TICKET, now=ISSUED + QUEUE_TICKET_LIFETIME_S + 1) is None
    assert joined(TICKET, now=ISSUED - CLOCK_SKEW_S) == JOINED
    assert joined(TICKET, now=ISSUED - CLOCK_SKEW_S - 1) is None


def test_a_ticket_is_nothing_for_others_and_at_others() -> None:
    assert joined(TICKET, asker=MALLORY) is None
    assert joined(TICKET, uploader=MALLORY) is None


def test_no_byte_of_a_ticket_can_be_changed() -> None:
    for at in range(QUEUE_TICKET_BYTES):
        assert joined(TICKET[:at] + bytes([TICKET[at] ^ 1]) + TICKET[at + 1 :]) is None, at
    for wrong in (b"", TICKET[:-1], TICKET + b"\0"):
        assert joined(wrong) is None


def test_a_ticket_signed_by_somebody_else_or_for_something_else_is_nothing() -> None:
    theirs = issue_queue_ticket(MALLORY, asker=ALICE.node_id, joined=JOINED, issued=ISSUED)
    signed = TICKET[:-64]
    assert joined(BOB.node_id + theirs[32:]) is None
    assert joined(signed + BOB.sign(CONTEXT_TICKET, signed)) is None


def test_who_joins_after_the_ticket_is_issued_makes_no_sense() -> None:
    later = (ISSUED + 1).to_bytes(8, "big")
    signed = TICKET[:64] + later + TICKET[72:80]
    assert joined(signed + BOB.sign(CONTEXT_QUEUE_TICKET, signed)) is None
    with pytest.raises(Misuse):
        issue_queue_ticket(BOB, asker=ALICE.node_id, joined=ISSUED + 1, issued=ISSUED)
    with pytest.raises(Misuse):
        issue_queue_ticket(BOB, asker=ALICE.node_id[:-1], joined=JOINED, issued=ISSUED)  # type: ignore[arg-type]
