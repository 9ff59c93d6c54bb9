"""Bans of address ranges agree with the definition of a range, and no text of a moderator breaks anything."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from index_server.rules.bans import Bans, holds
from index_server.rules.suspicion import PENALTY, one_person, penalty, ranked_down
from index_server.rules.targets import V6_PREFIX_MAX, target_untrusted
from p2pshare.errors import Reason, Refused
from p2pshare.wire.fields import Rule, RuleAction, Subject

v4 = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)
v6 = st.integers(0x2001 << 112, (0x2002 << 112) - 1).map(ipaddress.IPv6Address)
near_v4 = st.integers(0, 1023).map(lambda number: ipaddress.IPv4Address((203 << 24) + number))
networks = st.tuples(v4 | near_v4, st.integers(8, 32)) | st.tuples(v6, st.integers(19, 128))


def ban(target: str, until: int) -> Rule:
    return Rule(
        number=0,
        action=RuleAction.BAN,
        subject=Subject.ADDRESS,
        target=target,
        nick="",
        by="operator",
        by_nick="",
        at=0,
        until=until,
    )


@given(
    ranges=st.lists(st.tuples(networks, st.integers(0, 3)), max_size=8),
    hosts=st.lists(near_v4 | v4 | v6, max_size=8),
    now=st.integers(0, 3),
)
def test_an_address_is_banned_if_a_range_that_holds_has_it(
    ranges: list[tuple[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int], int]],
    hosts: list[ipaddress.IPv4Address | ipaddress.IPv6Address],
    now: int,
) -> None:
    bans = Bans()
    for (address, prefix), until in ranges:
        bans.add(ban(target_untrusted(Subject.ADDRESS, f"{address}/{prefix}"), until))
    for host in [*hosts, *(address for (address, _), _ in ranges)]:
        wanted = any(host in ipaddress.ip_network(rule.target) for rule in bans if holds(rule, now))
        assert (bans.of_host(str(host), now) is not None) == wanted
    for rule in bans:
        bans.remove(rule)
    assert not any(bans.of_host(str(host), now) for host in hosts)


@given(st.sampled_from([Subject.ADDRESS, Subject.FILE, Subject.WORD]), st.text(max_size=80))
def test_whatever_a_moderator_types_is_stored_in_one_form_or_refused(subject: Subject, text: str) -> None:
    try:
        stored = target_untrusted(subject, text)
    except Refused as refused:
        assert refused.reason is Reason.FAILED
        return
    assert target_untrusted(subject, stored) == stored
    if subject is Subject.ADDRESS and ":" in stored:
        assert ipaddress.ip_network(stored).prefixlen <= V6_PREFIX_MAX


results = st.lists(
    st.tuples(st.integers(-20, 0), st.integers(0, 3), st.none() | st.integers(1, 3)), max_size=200
)


@given(results)
def test_ranking_down_loses_nothing_and_costs_what_it_says(told: list[tuple[int, int, int | None]]) -> None:
    costs = [(cost, number) for number, (cost, _, _) in enumerate(told)]
    doubts = {number: mask for number, (_, mask, _) in enumerate(told) if mask}
    ranked = ranked_down(costs, doubts, lambda number: told[number][2])
    assert ranked == sorted(ranked)
    assert sorted(number for _, number, _ in ranked) == list(range(len(told)))
    for cost, number, mask in ranked:
        assert mask & 3 == told[number][1]
        assert cost - told[number][0] == penalty(mask) <= 3 * PENALTY
    assert len(one_person([told[number][2] for _, number, _ in ranked])) < max(len(ranked), 1)
