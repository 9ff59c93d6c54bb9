"""Rules as the operator writes and reads them: names instead of numbers."""

from __future__ import annotations

from dataclasses import dataclass

from index_server.commands import Desk
from index_server.rules.answers import carry_out
from index_server.rules.roles import OPERATOR
from p2pshare.errors import LocalTrouble
from p2pshare.limits import RULE_TEXT_BYTES_MAX, TEXT_BYTES_MAX
from p2pshare.wire.fields import Rule, RuleAction, RuleList, ServerRole, Subject
from p2pshare.wire.rules import Moderate


@dataclass(frozen=True)
class RuleView:
    """One rule, or one line of the log. The fields of a `Rule`."""

    number: int
    action: str
    subject: str
    target: str
    nick: str
    by: str
    by_nick: str
    at: int
    until: int
    role: str
    reason: str
    appeal: str


async def rule(
    desk: Desk, action: str, subject: str, target: str, for_s: int, role: str, reason: str, appeal: str
) -> RuleView:
    """Make or take back a rule. Raises `Refused` or `LocalTrouble`."""
    for what, text, most in (
        ("The target", target, TEXT_BYTES_MAX),
        ("The reason", reason, RULE_TEXT_BYTES_MAX),
        ("What is said about an appeal", appeal, RULE_TEXT_BYTES_MAX),
    ):
        if len(text.encode()) > most:
            raise LocalTrouble(f"{what} is too long: at most {most} bytes.")
    wanted = Moderate(
        request=1,  # of nobody: it does not come over the wire
        action=RuleAction[action.upper()],
        subject=Subject[subject.upper()],
        target=target,
        for_s=for_s,
        role=ServerRole[role.upper()],
        reason=reason,
        appeal=appeal,
    )
    return _view(await carry_out(desk, OPERATOR, wanted))


async def listed(desk: Desk, which: str, limit: int) -> tuple[RuleView, ...]:
    """The newest first."""
    _, found = await desk.rules.page(OPERATOR, RuleList[which.upper()], limit=limit)
    return tuple(map(_view, found))


def _view(rule: Rule) -> RuleView:
    return RuleView(
        number=rule.number,
        action=rule.action.name.lower(),
        subject=rule.subject.name.lower(),
        target=rule.target,
        nick=rule.nick,
        by=rule.by,
        by_nick=rule.by_nick,
        at=rule.at,
        until=rule.until,
        role=rule.role.name.lower(),
        reason=rule.reason,
        appeal=rule.appeal,
    )
