"""limit, group, set, settings: what the person decides while p2pshare runs."""

from __future__ import annotations

import click

from client.cli.run import Ending, Exit, Run, with_engine
from client.engine.bandwidth import setting_of
from client.engine.groups import Group
from client.engine.schedule import LIMITS
from client.engine.status import LimitView, MemberView, SettingView
from p2pshare.names import display


@click.command()
@with_engine
@click.argument("name", required=False, type=click.Choice(LIMITS), metavar="[up|down|GROUP.up|GROUP.down]")
@click.argument("rate", required=False, type=click.IntRange(0), metavar="[KIB_PER_S]")
async def limit(run: Run, name: str | None, rate: int | None) -> None:
    """Show the limits of bandwidth that hold now and why, or set one.

    \b
    p2pshare limit up 500              from now on, upload at most 500 KiB/s
    p2pshare limit everyone.up 100     ... and at most 100 KiB/s of it to people in no group
    p2pshare limit down 0              no limit
    p2pshare set schedule "mon-fri 08:00-18:00 up=200 down=1000" "sat,sun 00:00-24:00 up=0"
    """
    if name is not None:
        if rate is None:
            raise click.UsageError("Say how many KiB per second; 0 for no limit.")
        await run.face.change_setting(setting_of(name), (str(rate),))
    views = await run.face.limits()
    run.out.result(views)
    if name is not None:
        (view,) = (view for view in views if view.name == name)
        run.out.say(f"{_title(view)}: {_amount(view.usual)}, {_whether(view)}")
        return
    shown = [view for view in views if view.name in ("up", "down") or view.rate or view.usual]
    rows = [(_title(view), _amount(view.rate), _reason(view)) for view in shown]
    run.out.table(("Limit", "Now", "Because"), rows)


def _title(view: LimitView) -> str:
    group, _, way = view.name.rpartition(".")
    words = "Upload" if way == "up" else "Download"
    return f"{words}, {group}" if group else words


def _amount(rate: int) -> str:
    return f"{rate:,} KiB/s" if rate else "no limit"


def _reason(view: LimitView) -> str:
    return f"of the schedule: {display(view.line)}" if view.line else "it is set so"


def _whether(view: LimitView) -> str:
    if not view.line:
        return "from now on."
    return f"but at this time of day {_amount(view.rate)}, because {_reason(view)}"


@click.command()
@with_engine
@click.argument("person", required=False)
@click.argument("group", required=False, type=click.Choice([group.value for group in Group]))
async def group(run: Run, person: str | None, group: str | None) -> None:
    """List who is in which group, or put somebody into one.

    \b
    trusted     served before all others, with slots of their own
    contacts    served before everyone, with slots of their own
    everyone    in no group
    blocked     sees nothing of what you share, and is not told why
    """
    if person is None:
        members = await run.face.groups()
        run.out.result(members)
        if not members:
            run.out.say("Nobody is in a group. Put somebody into one with: p2pshare group NICK trusted")
        else:
            rows = [(each.group, display(each.nick) or "?", each.person) for each in members]
            run.out.table(("Group", "Who", "Key"), rows)
        return
    if group is None:
        raise click.UsageError(f"Say which group: {', '.join(Group)}.")
    member: MemberView = await run.face.put_into_group(person, group)
    run.out.result(member)
    run.out.say(f"{display(member.nick) or member.person} is in the group {member.group} from now on.")


@click.command()
@with_engine
@click.argument("name")
@click.argument("values", nargs=-1, metavar="VALUE...")
async def set(run: Run, name: str, values: tuple[str, ...]) -> None:
    """Change a setting, as `p2pshare settings` names it. A list takes any number of values, also none."""
    view = await run.face.change_setting(name, values)
    run.out.result(view)
    when = "from the next start on" if view.restart and not run.here else "from now on"
    run.out.say(f"{view.name} = {_value(view)}, {when}.")


@click.command()
@with_engine
@click.argument("part", required=False, default="")
async def settings(run: Run, part: str) -> None:
    """Show the settings. With PART only those that have it in their name; `p2pshare set` changes one."""
    views = [view for view in await run.face.settings() if part in view.name]
    run.out.result(views)
    if not views:
        raise Ending(f'No setting has "{display(part)}" in its name.', Exit.NOTHING_FOUND)
    for view in views:
        late = " Takes effect at the next start." if view.restart else ""
        run.out.say(f"{view.name} = {_value(view)}\n    {view.doc}{late}")


def _value(view: SettingView) -> str:
    if isinstance(view.value, tuple | list):
        return " ".join(f'"{display(part)}"' for part in view.value) or "nothing"
    if isinstance(view.value, bool):
        return "true" if view.value else "false"
    return display(str(view.value)) if view.value != "" else "nothing"
