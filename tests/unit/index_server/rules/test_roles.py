"""Who may do what, and against whom."""

from __future__ import annotations

from itertools import product

import pytest

from index_server.rules.roles import (
    HELPER_BAN_S,
    LEAST,
    OPERATOR,
    READ,
    Actor,
    check_length,
    check_may,
    check_own,
    check_rank,
)
from p2pshare.errors import Reason, Refused
from p2pshare.wire.fields import RuleAction, ServerRole, Subject

BAN, HIDE, GIVE = RuleAction.BAN, RuleAction.HIDE, RuleAction.GIVE_ROLE


def actor(role: ServerRole) -> Actor:
    return Actor(role.name, role)


def may(role: ServerRole, action: object) -> bool:
    try:
        check_may(actor(role), action)  # type: ignore[arg-type]
    except Refused as refused:
        assert refused.reason is Reason.NOT_YOUR_ROLE
        return False
    return True


def test_each_role_may_what_those_below_it_may_and_nobody_may_anything() -> None:
    for action in LEAST:
        allowed = [may(role, action) for role in ServerRole]
        assert allowed == sorted(allowed) and allowed[-1] and not allowed[0], action


def test_the_table_in_a_few_lines() -> None:
    helper, moderator = ServerRole.HELPER, ServerRole.MODERATOR
    assert may(helper, READ) and may(helper, (BAN, Subject.ACCOUNT)) and may(helper, (HIDE, Subject.FILE))
    assert not may(helper, (BAN, Subject.ADDRESS)) and not may(helper, (HIDE, Subject.WORD))
    assert may(moderator, (BAN, Subject.ADDRESS)) and may(moderator, (BAN, Subject.FILE))
    assert not may(moderator, (GIVE, Subject.ACCOUNT))


@pytest.mark.parametrize(
    "action", [each for each in product(RuleAction, Subject) if each not in LEAST], ids=str
)
def test_what_makes_no_sense_is_refused_whoever_wants_it(action: tuple[RuleAction, Subject]) -> None:
    with pytest.raises(Refused, match="cannot be done") as refused:
        check_may(OPERATOR, action)
    assert refused.value.reason is Reason.FAILED


@pytest.mark.parametrize("for_s", [0, HELPER_BAN_S + 1])
def test_a_helper_bans_for_a_day_at_most(for_s: int) -> None:
    check_length(actor(ServerRole.HELPER), HELPER_BAN_S)
    check_length(actor(ServerRole.MODERATOR), for_s)
    with pytest.raises(Refused, match="at most a day"):
        check_length(actor(ServerRole.HELPER), for_s)


def test_nobody_acts_against_their_equals_but_the_operator() -> None:
    for role, target in product(ServerRole, ServerRole):
        if role > target:
            check_rank(actor(role), target)
        else:
            with pytest.raises(Refused, match="only somebody above"):
                check_rank(actor(role), target)
        check_rank(OPERATOR, target)


def test_a_helper_takes_back_only_their_own() -> None:
    helper = actor(ServerRole.HELPER)
    check_own(helper, helper.name)
    check_own(actor(ServerRole.MODERATOR), "somebody")
    with pytest.raises(Refused, match="Somebody else did that"):
        check_own(helper, "somebody")
