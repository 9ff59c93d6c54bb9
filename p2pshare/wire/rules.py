"""Messages between an index server and those who look after its rules."""

from __future__ import annotations

from typing import Annotated

from p2pshare import limits
from p2pshare.wire.fields import (
    Count,
    FileId,
    NodeId,
    OfferId,
    RequestId,
    Rule,
    RuleAction,
    RuleList,
    RuleText,
    Seconds,
    ServerRole,
    Subject,
    Text,
)
from p2pshare.wire.schema import Message, Range, Size, spec


class Moderate(Message, kind=20, name="moderate", frame_max=4 * limits.KIB):
    """Make or take back a rule of the server."""

    request: RequestId = spec("Chosen by the client.")
    action: RuleAction = spec("What to do.")
    subject: Subject = spec("What it is about.")
    target: Annotated[str, Size(1, limits.TEXT_BYTES_MAX)] = spec("Which one, in the form of its subject.")
    for_s: Seconds = spec("How long a ban lasts, in seconds; 0: until it is taken back.", default=0)
    role: ServerRole = spec("The role to give.", default=ServerRole.NOBODY)
    reason: RuleText = spec("Why; shown to the person concerned.", default="")
    appeal: RuleText = spec("What they can do about it; empty for the server's own words.", default="")


class Moderated(Message, kind=22, name="moderated", frame_max=4 * limits.KIB, answers=(Moderate,)):
    """It is done, and written down."""

    request: RequestId = spec("The request it answers.")
    rule: Rule = spec("As it stands in the log.")


class ListRules(Message, kind=24, name="list_rules"):
    """Which rules are there, or what was done?"""

    request: RequestId = spec("Chosen by the client.")
    list: RuleList = spec("Which list.")
    after: Count = spec("Skip so many of them: those on the pages before.", default=0)
    limit: Annotated[int, Range(1, limits.RULES_PAGE_MAX)] = spec(
        "Most rules wanted.", default=limits.RULES_PAGE_MAX
    )


class RulesListed(Message, kind=26, name="rules_listed", frame_max=128 * limits.KIB, answers=(ListRules,)):
    """One page of a list."""

    request: RequestId = spec("The request it answers.")
    total: Count = spec("How many there are in all.")
    rules: Annotated[tuple[Rule, ...], Size(0, limits.RULES_PAGE_MAX)] = spec("This page.")


class AskWhy(Message, kind=28, name="ask_why"):
    """Why does this file stand where it does in search results? By file id, or by one person's offer."""

    request: RequestId = spec("Chosen by the client.")
    file: FileId | None = spec("The file, if it is hashed.", default=None)
    node: NodeId | None = spec("Who offers it, if it is not.", default=None)
    offer: OfferId = spec("Their number for it.", default=0)


class Why(Message, kind=30, name="why", frame_max=16 * limits.KIB, answers=(AskWhy,)):
    """What the server knows about its place."""

    request: RequestId = spec("The request it answers.")
    doubts: Annotated[int, Range(0, 255)] = spec("The `Doubt`s that hold for the file whatever the query.")
    sources: Count = spec("How many people online hold it.")
    reasons: Annotated[tuple[Text, ...], Size(0, 8)] = spec(
        "Each in one sentence; none if nothing speaks against it."
    )
