"""Whom a ban hits, until when, and what they are told."""

from __future__ import annotations

import math

from index_server.rules.bans import Bans, refusal, sentence
from p2pshare.errors import Reason
from p2pshare.hashing import FileId, format_file_id
from p2pshare.identity import NodeId, format_node_id
from p2pshare.limits import TEXT_BYTES_MAX
from p2pshare.wire.fields import Rule, RuleAction, Subject

ANNA, BERT, FILE = NodeId(b"a" * 32), NodeId(b"b" * 32), FileId(b"f" * 32)


def ban(subject: Subject, target: str, until: int = 0, reason: str = "spam", appeal: str = "") -> Rule:
    return Rule(
        number=0,
        action=RuleAction.BAN,
        subject=subject,
        target=target,
        nick="",
        by="operator",
        by_nick="",
        at=0,
        until=until,
        reason=reason,
        appeal=appeal,
    )


def test_a_ban_holds_until_its_end_for_whom_it_names_alone() -> None:
    bans = Bans()
    bans.add(ban(Subject.ACCOUNT, format_node_id(ANNA), until=100))
    bans.add(ban(Subject.FILE, format_file_id(FILE)))
    assert bans.of_node(ANNA, 99) is not None and bans.of_node(ANNA, 100) is None
    assert bans.of_node(BERT, 0) is None
    assert bans.of_file(FILE, 10**12) is not None and bans.of_file(FileId(b"g" * 32), 0) is None
    assert bans.next_end() == 100
    (over,) = bans.over(100)
    bans.remove(over)
    assert (len(bans), bans.next_end(), bans.files) == (1, math.inf, {FILE})


def test_ranges_hit_all_that_is_in_them() -> None:
    bans = Bans()
    assert bans.of_host("203.0.113.7", 0) is None
    for network in ("203.0.113.0/24", "198.51.100.7/32", "2001:db8::/48"):
        bans.add(ban(Subject.ADDRESS, network))
    hit = ["203.0.113.0", "203.0.113.255", "198.51.100.7", "2001:db8::5", "2001:db8:0:7::/64"]
    spared = ["203.0.114.0", "198.51.100.8", "2001:db8:1::", "::1", "alice", ""]
    assert [host for host in hit + spared if bans.of_host(host, 0)] == hit
    for rule in list(bans):
        bans.remove(rule)
    assert not any(bans.of_host(host, 0) for host in hit)


def test_a_newer_ban_takes_the_place_of_an_older_one() -> None:
    bans = Bans()
    for until in (100, 50):
        bans.add(ban(Subject.ADDRESS, "203.0.113.0/24", until=until))
    assert len(bans) == 1 and bans.of_host("203.0.113.1", 60) is None


def test_one_plain_sentence_says_until_when_why_and_how_to_appeal() -> None:
    rule = ban(Subject.ACCOUNT, format_node_id(ANNA), 1_800_000_000, "Spam.", "write to ops@example.org")
    assert sentence(rule) == (
        "You are banned from this server until 2027-01-15 08:00 UTC: Spam"
        " (to appeal: write to ops@example.org)."
    )
    refused = refusal(rule, 1_800_000_000 - 60.5)
    assert (refused.reason, refused.text, refused.retry_after_s) == (Reason.BANNED, sentence(rule), 61)
    for_ever = ban(Subject.ADDRESS, "203.0.113.0/24")
    assert sentence(for_ever) == "Your address is banned from this server until further notice: spam."
    assert refusal(for_ever, 0).retry_after_s == 0


def test_the_longest_sentence_fits_a_message() -> None:
    longest = ban(Subject.FILE, format_file_id(FILE), 1_800_000_000, "ä" * 150, "ö" * 150)
    assert len(sentence(longest).encode()) <= TEXT_BYTES_MAX
