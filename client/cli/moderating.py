"""moderate: looking after the index server that you own, moderate or help with."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import click

from client.cli import words
from client.cli.run import Run, with_engine
from client.engine.moderating import RuleView
from p2pshare.names import display

LINES = 40  # of a list, unless more are asked for
_UNITS_S = {"s": 1, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"([0-9]+)\s*(s|min|h|d|w)")

server_option = click.option("--server", default="", help="Which index server, if you use several.")
reason_option = click.option("--reason", default="", help="Why: shown to the person, and in the log.")
lines_option = click.option("--lines", default=LINES, type=click.IntRange(1), help="At most so many.")


@click.group()
def moderate() -> None:
    """Look after an index server: bans, hidden words and files, roles, and the log of all that.

    \b
    p2pshare moderate ban account mallory --for 7d --reason "floods searches"
    p2pshare moderate ban address 203.0.113.0/24 --for 1d --reason "bots"
    p2pshare moderate hide word casino --reason "spam"
    p2pshare moderate hide file 3 --reason "not what its name says"       (result 3 of your last search)
    p2pshare moderate why 3
    """


def _span(_context: click.Context, _parameter: click.Parameter, text: str) -> int:
    match = _SPAN.fullmatch(text.strip())
    if text in ("", "ever"):
        return 0
    if match is None:
        raise click.BadParameter('say how long, as in "90min", "12h", "7d", "4w" or "ever".')
    return int(match[1]) * _UNITS_S[match[2]]


@moderate.command("ban")
@with_engine
@click.argument("subject", type=click.Choice(("account", "address", "file")), metavar="account|address|file")
@click.argument("target")
@click.option(
    "--for",
    "for_s",
    default="",
    callback=_span,
    metavar="TIME",
    help="As 12h or 7d; else until it is taken back.",
)
@reason_option
@click.option("--appeal", default="", help="What the person can do about it.")
@server_option
async def ban(run: Run, subject: str, target: str, for_s: int, reason: str, appeal: str, server: str) -> None:
    """Keep an account (nick or key) or an address out, or a file from being found."""
    await _done(run, server, "ban", subject, target, for_s=for_s, reason=reason, appeal=appeal)


@moderate.command("unban")
@with_engine
@click.argument("subject", type=click.Choice(("account", "address", "file")), metavar="account|address|file")
@click.argument("target")
@reason_option
@server_option
async def unban(run: Run, subject: str, target: str, reason: str, server: str) -> None:
    """Take a ban back."""
    await _done(run, server, "unban", subject, target, reason=reason)


@moderate.command("hide")
@with_engine
@click.argument("subject", type=click.Choice(("word", "file")), metavar="word|file")
@click.argument("target")
@reason_option
@server_option
async def hide(run: Run, subject: str, target: str, reason: str, server: str) -> None:
    """Leave a file, or all that has a word, out of search results; people see how many are left out."""
    await _done(run, server, "hide", subject, target, reason=reason)


@moderate.command("unhide")
@with_engine
@click.argument("subject", type=click.Choice(("word", "file")), metavar="word|file")
@click.argument("target")
@reason_option
@server_option
async def unhide(run: Run, subject: str, target: str, reason: str, server: str) -> None:
    """Show it in search results again."""
    await _done(run, server, "unhide", subject, target, reason=reason)


@moderate.command("role")
@with_engine
@click.argument("person", required=False)
@click.argument("role", required=False, type=click.Choice(("owner", "moderator", "helper", "nobody")))
@reason_option
@server_option
async def role(run: Run, person: str | None, role: str | None, reason: str, server: str) -> None:
    """Show who has a role, or give PERSON (nick or key) one; "nobody" takes it away."""
    if person is None:
        await _list(run, server, "roles", LINES, _as_role)
        return
    if role is None:
        raise click.UsageError("Say which role: owner, moderator, helper or nobody.")
    await _done(run, server, "give_role", "account", person, role=role, reason=reason)


@moderate.command("bans")
@with_engine
@lines_option
@server_option
async def bans(run: Run, lines: int, server: str) -> None:
    """List the bans that hold, newest first."""
    await _list(run, server, "bans", lines, _as_ban)


@moderate.command("hidden")
@with_engine
@lines_option
@server_option
async def hidden(run: Run, lines: int, server: str) -> None:
    """List the words and files that are hidden from search."""
    await _list(run, server, "hidden", lines, _as_hidden)


@moderate.command("log")
@with_engine
@lines_option
@server_option
async def log(run: Run, lines: int, server: str) -> None:
    """Show what was done, by whom and why, newest first. Nobody can change it."""
    await _list(run, server, "log", lines, _as_line)


@moderate.command("why")
@with_engine
@click.argument("what")
@server_option
async def why(run: Run, what: str, server: str) -> None:
    """Tell why a file stands where it stands in search results: a result's number, a link or a file id."""
    await run.settled()
    view = await run.face.why_ranked(server, what)
    run.out.result(view)
    run.out.say(f"{words.count(view.sources, 'source')} online.")
    for reason in view.reasons or (
        "Nothing speaks against it: it stands where its words and sources put it.",
    ):
        run.out.say(reason)


async def _done(run: Run, server: str, action: str, subject: str, target: str, **more: Any) -> None:
    await run.settled()
    view = await run.face.moderate(server, action, subject, target, **more)
    run.out.result(view)
    run.out.say(f"Done, and in the log as number {view.number}: {_sentence(view)}.")


async def _list(
    run: Run, server: str, which: str, lines: int, row: Callable[[RuleView], tuple[str, ...]]
) -> None:
    await run.settled()
    rules: list[RuleView] = []
    while True:
        page = await run.face.server_rules(server, which, len(rules), min(lines - len(rules), LINES))
        rules += page.rules
        if not page.rules or len(rules) >= min(lines, page.total):
            break
    run.out.result(rules)
    if not rules:
        run.out.say("There is nothing in that list.")
    run.out.table(TITLES[which], [row(rule) for rule in rules])
    if page.total > len(rules):
        run.out.note(f"{page.total - len(rules):,} more; --lines {page.total} shows all.")


TITLES = {
    "bans": ("What", "Target", "Until", "By", "Reason", "Appeal"),
    "hidden": ("What", "Target", "Since", "By", "Reason"),
    "roles": ("Role", "Person", "Since", "By"),
    "log": (">Number", "When", "By", "What", "Reason"),
}


def _as_ban(rule: RuleView) -> tuple[str, ...]:
    return (
        rule.subject,
        _target(rule),
        _date(rule.until) if rule.until else "taken back",
        _by(rule),
        display(rule.reason),
        display(rule.appeal),
    )


def _as_hidden(rule: RuleView) -> tuple[str, ...]:
    return rule.subject, _target(rule), _date(rule.at), _by(rule), display(rule.reason)


def _as_role(rule: RuleView) -> tuple[str, ...]:
    return rule.role, _target(rule), _date(rule.at) if rule.at else "ever", _by(rule)


def _as_line(rule: RuleView) -> tuple[str, ...]:
    return str(rule.number), _date(rule.at), _by(rule), _sentence(rule), display(rule.reason)


def _sentence(rule: RuleView) -> str:
    if rule.action == "give_role":
        return f"{_target(rule)} is {rule.role} now"
    until = f" until {_date(rule.until)}" if rule.until else ""
    return f"{rule.action} {rule.subject} {_target(rule)}{until}"


def _target(rule: RuleView) -> str:
    return display(rule.nick) or display(rule.target)


def _by(rule: RuleView) -> str:
    return display(rule.by_nick) or display(rule.by)


def _date(unix: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(unix))
