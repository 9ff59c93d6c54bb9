"""What moderators ask over the wire. The rows of these handlers stand in commands.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from index_server.rules.roles import READ, Actor, check_may
from index_server.rules.suspicion import SENTENCES, doubts_in, doubts_of
from p2pshare.errors import Reason, Refused
from p2pshare.wire import rules
from p2pshare.wire.fields import Rule, RuleAction

if TYPE_CHECKING:
    from index_server.commands import Desk
    from index_server.online import Visitor


async def moderate(desk: Desk, visitor: Visitor, message: rules.Moderate) -> rules.Moderated:
    rule = await carry_out(desk, _actor(desk, visitor), message)
    return rules.Moderated(request=message.request, rule=rule)


async def list_rules(desk: Desk, visitor: Visitor, message: rules.ListRules) -> rules.RulesListed:
    total, page = await desk.rules.page(
        _actor(desk, visitor), message.list, after=message.after, limit=message.limit
    )
    return rules.RulesListed(request=message.request, total=total, rules=tuple(page))


async def ask_why(desk: Desk, visitor: Visitor, message: rules.AskWhy) -> rules.Why:
    check_may(_actor(desk, visitor), READ)
    standing = None
    if message.file is not None:
        standing = desk.catalogue.standing(message.file)
    elif message.node is not None:
        account = await desk.accounts.by_node(message.node)
        standing = desk.catalogue.standing((account.number, message.offer))
    if standing is None:
        raise Refused(Reason.NO_SUCH_FILE, "Nobody who is online offers that file here.")
    doubts = doubts_of(standing.names, standing.holders, desk.rules.newcomers.accounts)
    reasons = [SENTENCES[doubt] for doubt in doubts_in(doubts)]
    if standing.hidden:
        reasons.append("It is hidden from search by this server's rules.")
    return rules.Why(
        request=message.request,
        doubts=doubts,
        sources=len(standing.holders),
        reasons=tuple(reasons),
    )


async def carry_out(desk: Desk, actor: Actor, message: rules.Moderate) -> Rule:
    """What was asked for over the wire, or by the operator. Raises `Refused`."""
    subject, target, reason = message.subject, message.target, message.reason
    if message.action is RuleAction.BAN:
        return await desk.rules.ban(
            actor, subject, target, for_s=message.for_s, reason=reason, appeal=message.appeal
        )
    if message.action is RuleAction.UNBAN:
        return await desk.rules.unban(actor, subject, target, reason=reason)
    if message.action is RuleAction.HIDE:
        return await desk.rules.hide(actor, subject, target, reason=reason)
    if message.action is RuleAction.UNHIDE:
        return await desk.rules.unhide(actor, subject, target, reason=reason)
    return await desk.rules.give_role(actor, target, message.role, reason=reason)


def _actor(desk: Desk, visitor: Visitor) -> Actor:
    return desk.rules.actor(visitor.node, visitor.observed.host)
