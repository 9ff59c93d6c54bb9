"""No window of time lets more through than the limit, no ticket is believed that was not given."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from client.engine.rate import BURST_S, RateLimit
from client.engine.schedule import DAYS, LIMITS, limit_at, parse_line
from client.engine.uploads.quota import Ledger, Quota
from p2pshare.identity import Identity, NodeId
from p2pshare.limits import QUEUE_TICKET_BYTES, QUEUE_TICKET_LIFETIME_S
from p2pshare.queue_tickets import issue_queue_ticket, joined_untrusted

BOB, ALICE = Identity.from_seed(b"b" * 32), Identity.from_seed(b"a" * 32)


@given(
    st.lists(
        st.tuples(
            st.floats(0, 5), st.integers(1, 100_000), st.sampled_from([None, 10, 1_000, 50_000, 10**6])
        ),
        max_size=60,
    ),
    st.integers(1, 10**6),
)
def test_in_no_window_more_moves_than_the_limit_and_its_burst(
    steps: list[tuple[float, int, int | None]], rate: int
) -> None:
    """Any number of takers, and a limit that changes while they wait."""
    limit, now = RateLimit(rate), 0.0
    waiting: list[tuple[float, int]] = []  # mark, size
    moved: list[tuple[float, int]] = []  # when, size
    rates: list[tuple[float, int]] = [(0.0, rate)]

    def let_through(until: float) -> float:
        at = now
        while waiting:
            mark, size = waiting[0]
            wait_s = limit.wait_s(mark, at)
            if at + wait_s > until:
                break
            at += wait_s
            assert limit.wait_s(mark, at) < 1e-6
            moved.append((at, size))
            waiting.pop(0)
        return until

    for pause, size, new_rate in steps:
        now = let_through(now + pause)
        if new_rate is not None:
            limit.set(new_rate, now)
            rates.append((now, new_rate))
        waiting.append((limit.take(size, now), size))
    now = let_through(now + 10**9)

    def allowed(begin: float, end: float) -> float:
        ends = [at for at, _ in rates[1:]] + [float("inf")]
        spans = ((max(begin, at), min(end, till), each) for (at, each), till in zip(rates, ends, strict=True))
        return sum(max(0.0, till - at) * each for at, till, each in spans)

    assert len(moved) == len(steps)
    burst = max(each for _, each in rates) * BURST_S
    for first in range(len(moved)):
        total = 0
        for last in range(first, len(moved)):
            begin, end = moved[first][0], moved[last][0]
            # The last one is let through when everything before it has had its time.
            assert total <= allowed(begin, end) * (1 + 1e-9) + burst + len(moved)
            total += moved[last][1]


@given(st.integers(0, 2**40), st.integers(0, 2**30), st.integers(0, QUEUE_TICKET_LIFETIME_S))
def test_a_ticket_says_what_it_was_given_for(joined: int, waited: int, later: int) -> None:
    ticket = issue_queue_ticket(BOB, asker=ALICE.node_id, joined=joined, issued=joined + waited)
    now = float(joined + waited + later)
    assert len(ticket) == QUEUE_TICKET_BYTES
    assert joined_untrusted(ticket, uploader=BOB.node_id, asker=ALICE.node_id, unix_now=now) == joined
    assert joined_untrusted(ticket, uploader=ALICE.node_id, asker=BOB.node_id, unix_now=now) is None


@given(
    st.one_of(st.binary(max_size=200), st.binary(min_size=QUEUE_TICKET_BYTES, max_size=QUEUE_TICKET_BYTES))
)
def test_bytes_of_a_stranger_are_no_ticket(data: bytes) -> None:
    for ticket in (data, BOB.node_id + ALICE.node_id + data[64:]):
        got = joined_untrusted(ticket, uploader=BOB.node_id, asker=ALICE.node_id, unix_now=1.8e9)
        assert got is None


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 100))),
    st.builds(Quota, st.integers(0, 200), st.integers(0, 500)),
)
def test_nobody_who_stops_when_told_has_more_than_the_quota(
    sends: list[tuple[int, int]], quota: Quota
) -> None:
    """Beyond it goes at most the one message that used it up."""
    ledger, who = Ledger(), NodeId(b"a" * 32)
    for day, size in sorted(sends):
        if ledger.free_on(who, quota, day) == day:
            ledger.add(who, size, day)
        else:
            free = ledger.free_on(who, quota, day)
            assert day < free <= day + 7
            assert all(ledger.free_on(who, quota, between) == free for between in range(day, free))
        sent = ledger.sent(who, day)
        for most, had in zip(dataclasses.astuple(quota), dataclasses.astuple(sent), strict=True):
            assert not most or had < most + 100


@given(
    st.lists(st.sampled_from(DAYS), min_size=1, unique=True),
    st.integers(0, 24 * 60 - 1),
    st.integers(1, 24 * 60 - 1),
    st.sampled_from(LIMITS),
    st.integers(0, 6),
    st.integers(0, 24 * 60 - 1),
)
def test_a_line_holds_for_as_long_as_it_says_from_each_of_its_days(
    days: list[str], start: int, length: int, name: str, day: int, minute: int
) -> None:
    end = (start + length) % (24 * 60)
    text = f"{','.join(days)} {start // 60}:{start % 60:02}-{end // 60}:{end % 60:02} {name}=7"
    local = datetime(2026, 11, 23) + timedelta(days=day, minutes=minute)
    begins = [datetime(2026, 11, 16) + timedelta(days=n, minutes=start) for n in range(14)]
    wanted = any(
        begin <= local < begin + timedelta(minutes=length) and DAYS[begin.weekday()] in days
        for begin in begins
    )
    assert (limit_at([parse_line(text)], name, local) == (7, text)) is wanted
