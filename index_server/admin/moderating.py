"""The rules of a server at its own console. Whoever sits there may do everything; the log says `operator`."""

from __future__ import annotations

import time
from dataclasses import asdict

import click

from index_server.admin.calling import Told, with_office
from index_server.admin.office import Office
from index_server.admin.ruling import RuleView
from p2pshare.names import display
from p2pshare.wire.fields import RuleAction, RuleList, ServerRole, Subject

DAY_S = 86_400


def _names(members: type[RuleAction | RuleList | ServerRole | Subject]) -> click.Choice[str]:
    return click.Choice([member.name.lower() for member in members])


@click.command()
@click.argument("action", type=_names(RuleAction))
@click.argument("subject", type=_names(Subject))
@click.argument("target")
@click.option("--days", default=0.0, type=click.FloatRange(0, 3_650), help="How long; 0: until taken back.")
@click.option("--role", default="nobody", type=_names(ServerRole), help="For give_role.")
@click.option("--reason", default="", help="Why: shown to the person, and in the log.")
@click.option("--appeal", default="", help="What the person can do about it.")
@with_office
async def moderate(
    office: Office, action: str, subject: str, target: str, days: float, role: str, reason: str, appeal: str
) -> Told:
    """Make or take back a rule.

    \b
    admin moderate ban account mallory --days 7 --reason "floods searches"
    admin moderate ban address 203.0.113.0/24 --days 1 --reason "bots"
    admin moderate hide word casino --reason "spam"
    admin moderate give_role account anna --role moderator
    """
    rule = await office.moderate(action, subject, target, int(days * DAY_S), role, reason, appeal)
    return asdict(rule), [f"Done: {_line(rule)}"]


@click.command("rules")
@click.argument("which", type=_names(RuleList), default="log")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@with_office
async def show_rules(office: Office, which: str, limit: int) -> Told:
    """List bans, what is hidden, roles, or the log of everything that was ever done; the newest first."""
    rules = await office.rules(which, limit)
    return rules, [_line(rule) for rule in rules] or ["There is nothing in that list."]


def _line(rule: RuleView) -> str:
    target = display(rule.nick or rule.target)
    what = (
        f"{target} is {rule.role}" if rule.action == "give_role" else f"{rule.action} {rule.subject} {target}"
    )
    until = f" until {_date(rule.until)}" if rule.until else ""
    by = f", by {display(rule.by_nick or rule.by)}, {_date(rule.at)}" if rule.at else ""
    return f"{what}{until}{by}" + (f": {display(rule.reason)}" if rule.reason else "")


def _date(unix: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(unix))
