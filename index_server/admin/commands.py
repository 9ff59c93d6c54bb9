"""`p2pshare-index admin ...` and `p2pshare-index restore`: the operator at a shell.

All but the backup are carried out by the running server; whoever may read its data folder may call it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from index_server.admin import backup
from index_server.admin.backup import Kept
from index_server.admin.calling import Told, Trouble, call, json_option, with_office
from index_server.admin.moderating import moderate, show_rules
from index_server.admin.office import InviteView, Office
from index_server.admin.people import PersonView
from index_server.admin.registration import Mode
from index_server.admin.standing import StandingView
from index_server.config import Config
from p2pshare.errors import P2PError
from p2pshare.names import display

DAY_S = 86_400
FROM_SETTINGS = "default"  # takes a choice back


@click.group()
def admin() -> None:
    """Look after a server that runs on this machine."""


@admin.command()
@with_office
async def status(office: Office) -> Told:
    """Show how the server stands."""
    view = await office.status()
    return view, standing_lines(view)


# --- people


@admin.group("people")
def people_group() -> None:
    """See who has an account."""


@people_group.command("list")
@click.argument("part", default="")
@click.option("--online", is_flag=True, help="Only those who are online.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 100_000))
@with_office
async def list_people(office: Office, part: str, online: bool, limit: int) -> Told:
    """List accounts whose nicks contain PART; without it those who were here last."""
    view = await office.people(part, online, limit)
    lines = [f"{display(one.nick)}\t{_presence(one)}\t{one.offers:,} files" for one in view.people]
    return view, [*lines, f"{view.total:,} accounts in all."]


@people_group.command("show")
@click.argument("who")
@with_office
async def show_person(office: Office, who: str) -> Told:
    """Show one account, by nick or key."""
    person = await office.person(who)
    lines = [
        f"{display(person.nick)}  {person.node}",
        f"registered {_date(person.created_at)}" + (f" with code {person.invite}" if person.invite else ""),
        _presence(person)
        + (", others can connect to them" if person.reachable else "")
        + f"; offers {person.offers:,} files",
    ]
    return person, lines


@admin.group()
def accounts() -> None:
    """What is kept about a person."""


@accounts.command("export")
@click.argument("who")
@click.pass_obj
def export(config: Config, who: str) -> None:
    """Print everything that is kept about WHO (nick or key): one JSON object for each line."""

    async def body(office: Office) -> None:
        cursor = ""
        while True:
            page = await office.record(who, cursor)
            for line in page.lines:
                click.echo(line)
            cursor = page.cursor
            if not cursor:
                return

    call(config, body)


@accounts.command("erase")
@click.argument("who")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_office
async def erase(office: Office, who: str, yes: bool) -> Told:
    """Forget WHO (nick or key) and everything about them. It cannot be undone."""
    person = await office.person(who)
    _confirm(f"Erase {display(person.nick)}, who offers {person.offers:,} files?", yes)
    erased = await office.erase(person.node)
    return erased, [f"{display(erased.nick)} is erased."]


# --- words


@admin.command()
@click.argument("text")
@with_office
async def announce(office: Office, text: str) -> Told:
    """Say TEXT to everybody. Who is away hears it at the next login, within a week."""
    told = await office.announce(text)
    return told, [f"{told:,} people were online to hear it."]


@admin.group()
def motd() -> None:
    """The message of the day: words for everybody who logs in."""


@motd.command("show")
@with_office
async def show_message(office: Office) -> Told:
    """Print it."""
    message = await office.message()
    return message, [message.text] if message.text else []


@motd.command("set")
@click.argument("text")
@with_office
async def set_message(office: Office, text: str) -> Told:
    """Make it TEXT, until it is set again; "default" for what the settings say."""
    message = await office.set_message(None if text == FROM_SETTINGS else text)
    return message, ["Whoever logs in from now on reads it."]


admin.add_command(moderate)
admin.add_command(show_rules)


# --- registration


@admin.command()
@click.argument("mode", required=False, type=click.Choice([*(mode.value for mode in Mode), FROM_SETTINGS]))
@with_office
async def registration(office: Office, mode: str | None) -> Told:
    """Show or change who may register: anybody (open), who has a code (invite), or nobody (closed).

    It holds until it is changed again; "default" for what the settings say.
    """
    if mode is None:
        now = await office.registration()
    else:
        now = await office.set_registration(None if mode == FROM_SETTINGS else Mode(mode))
    return now, [f"Registration is {now}."]


@admin.group()
def invite() -> None:
    """Codes that let people register where that takes an invite."""


@invite.command("create")
@click.option("--uses", default=1, show_default=True, type=click.IntRange(1, 1_000_000), help="For how many.")
@click.option("--days", default=30, show_default=True, type=click.IntRange(0, 36_500), help="0 for ever.")
@click.option("--note", default="", help="For you: who it is for.")
@with_office
async def create_invite(office: Office, uses: int, days: int, note: str) -> Told:
    """Make a code, and print the link that carries it."""
    created = await office.create_invite(uses, days * DAY_S, note)
    return created, [created.link]


@invite.command("list")
@with_office
async def list_invites(office: Office) -> Told:
    """List the codes."""
    invites = await office.invites()
    return invites, [_code_line(one) for one in invites]


@invite.command("revoke")
@click.argument("code")
@with_office
async def revoke_invite(office: Office, code: str) -> Told:
    """Take CODE back. Whoever came in by it stays."""
    await office.revoke_invite(code)
    return None, [f"{code} lets nobody in any more."]


# --- backups


@admin.command("backup")
@json_option
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def back_up(config: Config, file: Path, as_json: bool) -> None:
    """Copy the server, running or not, to a new FILE: accounts, offers, rules and its key.

    Whoever has FILE can pose as this server. Keep it safe.
    """
    _report(lambda: backup.back_up(config.data_folder, file), f"{file} holds", as_json)


@click.command()
@json_option
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Put it in the place of the server that is there.")
@click.pass_obj
def restore(config: Config, file: Path, replace: bool, as_json: bool) -> None:
    """Put a FILE made by `admin backup` into the data folder of a server that does not run."""
    folder = config.data_folder
    _report(lambda: backup.restore(file, folder, replace=replace), f"{folder} holds", as_json)


def _report(work: Callable[[], Kept], what: str, as_json: bool) -> None:
    try:
        kept = work()
    except P2PError as error:
        raise Trouble(str(error)) from None
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(kept), indent=2))
    else:
        click.echo(f"{what} a server with {kept.accounts:,} accounts, {kept.bytes:,} bytes.")


# --- for people


def standing_lines(view: StandingView) -> list[str]:
    kinds = sorted(view.kinds.items(), key=lambda kind: -kind[1])
    return [
        f'"{view.name}", {view.version}, up {_span(view.up_s)}',
        f"{view.online:,} online of {view.accounts:,} accounts; registration is {view.registration}",
        f"{view.files:,} files" + "".join(f", {count:,} {kind}" for kind, count in kinds if count),
        f"{view.searches_per_second:,.1f} searches a second, half within {view.search_p50_ms:.2f} ms,"
        f" 99 of 100 within {view.search_p99_ms:.2f} ms",
        *(
            f"  {one.kind}: {one.per_second:,.1f}/s, p99 {one.p99_ms:.2f} ms, {one.total:,} so far,"
            f" {one.refused:,} refused"
            for one in view.requests
        ),
        f"{view.memory_bytes / 1e6:,.0f} MB of memory",
        *(view.problems or ["All is well."]),
    ]


def _presence(person: PersonView) -> str:
    if person.online:
        return f"online from {person.address}"
    return f"last here {_date(person.seen_at)}"


def _code_line(view: InviteView) -> str:
    code = view.code
    until = f"until {_date(code.expires_at)}" if code.expires_at else "for ever"
    note = f"\t{display(code.note)}" if code.note else ""
    return f"{code.code}\t{code.uses_left:,} left, {code.used:,} used\t{until}{note}"


def _date(unix: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(unix))


def _span(seconds: float) -> str:
    minutes = int(seconds // 60)
    days, hours, minutes = minutes // 1_440, minutes // 60 % 24, minutes % 60
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min"


def _confirm(question: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Trouble(f"{question} Say --yes, as nobody can be asked here.")
    click.confirm(question, abort=True, err=True)
