"""Vectors of queue tickets: what they say, and when they say nothing."""

from __future__ import annotations

from collections.abc import Iterator

from p2pshare.identity import CONTEXT_TICKET, Identity
from p2pshare.limits import CLOCK_SKEW_S, QUEUE_TICKET_LIFETIME_S
from p2pshare.queue_tickets import issue_queue_ticket
from tests.vector_file import Vector, vector

UPLOADER, ASKER, OTHER = (Identity.from_seed(bytes([n]) * 32) for n in (7, 8, 9))
JOINED, ISSUED = 1_800_000_000, 1_800_003_600


def vectors() -> Iterator[Vector]:
    good = issue_queue_ticket(UPLOADER, asker=ASKER.node_id, joined=JOINED, issued=ISSUED)
    signed = good[:-64]

    def head(
        joined: object, asker: Identity = ASKER, uploader: Identity = UPLOADER, now: int = ISSUED
    ) -> list[tuple[str, object]]:
        return [
            ("what", "queue ticket"),
            ("uploader seed", UPLOADER.seed()),
            ("uploader", uploader.node_id),
            ("asker", asker.node_id),
            ("issued", ISSUED),
            ("now", now),
            ("joined", joined),
        ]

    last = ISSUED + QUEUE_TICKET_LIFETIME_S
    for name, comment, lines, data in (
        ("queue_ticket", "Somebody waits since `joined`.", head(JOINED), good),
        ("queue_ticket_latest", "The last second of its life.", head(JOINED, now=last), good),
        (
            "queue_ticket_ignored_old",
            "One second later it says nothing.",
            head("nothing", now=last + 1),
            good,
        ),
        (
            "queue_ticket_ignored_from_the_future",
            "Issued later than the uploader's own clock may have been put back.",
            head("nothing", now=ISSUED - CLOCK_SKEW_S - 1),
            good,
        ),
        ("queue_ticket_ignored_other_asker", "Somebody else shows it.", head("nothing", OTHER), good),
        (
            "queue_ticket_ignored_other_uploader",
            "It is shown to somebody else.",
            head("nothing", uploader=OTHER),
            good,
        ),
        (
            "queue_ticket_ignored_changed",
            "The asker says to have waited for a second more.",
            head("nothing"),
            good[:64] + (JOINED - 1).to_bytes(8, "big") + good[72:],
        ),
        (
            "queue_ticket_ignored_other_context",
            "The uploader's signature, but not for a queue ticket.",
            head("nothing"),
            signed + UPLOADER.sign(CONTEXT_TICKET, signed),
        ),
        ("queue_ticket_ignored_short", "A byte is missing.", head("nothing"), good[:-1]),
    ):
        yield vector(name, "success", comment, lines, data)
