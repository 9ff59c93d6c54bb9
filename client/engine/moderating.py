"""Looking after an index server: what its moderators can do and see. The server decides who may."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TypeVar

from client.engine.network.membership import Membership
from client.engine.search import doubts_named
from client.engine.status import ResultView
from p2pshare.errors import BadMessage, LocalTrouble
from p2pshare.hashing import FileId, format_file_id, parse_file_id_untrusted
from p2pshare.identity import parse_node_id_untrusted
from p2pshare.limits import RULE_TEXT_BYTES_MAX, RULES_PAGE_MAX, TEXT_BYTES_MAX
from p2pshare.links import FileLink, parse_link_untrusted
from p2pshare.wire.fields import Rule, RuleAction, RuleList, ServerRole, Subject
from p2pshare.wire.rules import AskWhy, ListRules, Moderate, Moderated, RulesListed, Why

E = TypeVar("E", bound=IntEnum)
SECONDS_MAX = 2**31 - 1


@dataclass(frozen=True)
class RuleView:
    """One rule of an index server, or one line of its log."""

    number: int  # counts up in the log; 0 elsewhere
    action: str  # "ban", "unban", "hide", "unhide", "give_role"
    subject: str  # "account", "address", "file", "word"
    target: str
    nick: str  # of the target, if it is an account
    by: str  # a key, or "operator"
    by_nick: str
    at: int  # Unix seconds
    until: int  # Unix seconds; 0 for no end
    role: str  # "nobody", "helper", "moderator", "owner"
    reason: str
    appeal: str


@dataclass(frozen=True)
class RulesView:
    """One page of rules, newest first."""

    total: int
    rules: tuple[RuleView, ...]


@dataclass(frozen=True)
class WhyView:
    """What a server knows about the place of a file in search results."""

    sources: int
    doubts: tuple[str, ...]  # "names_differ", "new_accounts", "one_person"
    reasons: tuple[str, ...]  # sentences


async def moderate(
    membership: Membership,
    server: str,
    *,
    action: str,
    subject: str,
    target: str,
    for_s: int,
    role: str,
    reason: str,
    appeal: str,
) -> RuleView:
    """See `Face.moderate`."""
    question = Moderate(
        request=1,  # the connection has numbers of its own
        action=_member(RuleAction, action),
        subject=_member(Subject, subject),
        target=_within(target, TEXT_BYTES_MAX, "The target"),
        for_s=min(max(for_s, 0), SECONDS_MAX),
        role=_member(ServerRole, role),
        reason=_within(reason, RULE_TEXT_BYTES_MAX, "The reason"),
        appeal=_within(appeal, RULE_TEXT_BYTES_MAX, "What is said about an appeal"),
    )
    done: Moderated = await membership.link_of(server).ask(lambda request: _numbered(question, request))
    return _view(done.rule)


async def rules_page(membership: Membership, server: str, which: str, after: int, limit: int) -> RulesView:
    """See `Face.server_rules`."""
    wanted = _member(RuleList, which)
    page: RulesListed = await membership.link_of(server).ask(
        lambda request: ListRules(
            request=request,
            list=wanted,
            after=max(after, 0),
            limit=min(max(limit, 1), RULES_PAGE_MAX),
        )
    )
    return RulesView(page.total, tuple(map(_view, page.rules)))


async def why(membership: Membership, server: str, what: str, result: ResultView | None) -> WhyView:
    """See `Face.why_ranked`. `result`: what `what` names, if that is a number."""
    file = file_of(what, result) if result is None or result.file is not None else None
    node, offer = None, 0
    if file is None and result is not None and result.sources:
        node, offer = parse_node_id_untrusted(result.sources[0].person), result.sources[0].offer
    answer: Why = await membership.link_of(server).ask(
        lambda request: AskWhy(request=request, file=file, node=node, offer=offer)
    )
    return WhyView(answer.sources, doubts_named(answer.doubts), answer.reasons)


def file_of(what: str, result: ResultView | None) -> FileId:
    """The file that a text means: a file id, a link, or the number of a result. Raises `LocalTrouble`."""
    if what.isascii() and what.isdigit():
        if result is None:
            raise LocalTrouble(f"There is no result {what}. Search first.")
        if result.file is None:
            raise LocalTrouble(
                f"Result {what} is not hashed yet, so it has no file id. Name its owner instead."
            )
        return parse_file_id_untrusted(result.file)
    try:
        if ":" not in what:
            return parse_file_id_untrusted(what)
        link = parse_link_untrusted(what)
    except BadMessage as error:
        raise LocalTrouble(error.text) from None
    if not isinstance(link, FileLink):
        raise LocalTrouble("That is a link to an index server, not to a file.")
    return link.file_id


def target_of(subject: str, target: str, result: ResultView | None) -> str:
    """What is sent: files may be named as `file_of` says."""
    return format_file_id(file_of(target, result)) if subject == "file" else target


def _numbered(question: Moderate, request: int) -> Moderate:
    return replace(question, request=request)


def _member(enum: type[E], name: str) -> E:
    try:
        return enum[name.upper()]
    except KeyError:
        names = ", ".join(member.name.lower() for member in enum)
        raise LocalTrouble(f'"{name}" is none of {names}.') from None


def _within(text: str, bytes_max: int, what: str) -> str:
    if len(text.encode()) > bytes_max:
        raise LocalTrouble(f"{what} is too long: at most {bytes_max} bytes.")
    return text


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
