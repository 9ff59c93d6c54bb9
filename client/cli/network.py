"""status, join, leave, nick, serve, stop: being on the network."""

from __future__ import annotations

import time

import click
import trio

from client.cli import words
from client.cli.changes import Look, changes
from client.cli.keeping import rotten
from client.cli.run import NO_SERVER, Ending, Exit, Front, Run, with_engine
from client.engine.status import EngineView, ServerView
from p2pshare.errors import Disconnected
from p2pshare.names import display

LOOK_AROUND_EVERY_S = 60  # for an index server on the local network, while there is none
LOOK_EVERY_S = 1.0
STOP_TIMEOUT_S = 15.0  # the engine says goodbye to servers and to the local network
STOP_LOOK_S = 0.1


@click.command()
@with_engine
async def status(run: Run) -> None:
    """Show how everything stands."""
    view = await run.settled()
    run.out.result(view)
    show_status(run, view)


def show_status(run: Run, view: EngineView) -> None:
    say = run.out.say
    say(f"{display(view.nick)}  {view.short}  port {view.port}  profile {display(view.profile)}")
    if run.here:
        say("No p2pshare runs in the background: nobody can get anything from you. Start: p2pshare serve")
    if view.problem:
        say(display(view.problem))
    for server in view.servers:
        say(f"Index server {_standing(server)}")
        for line in words.notices(server):
            say(f"  {line}")
    for who in view.lan:
        say(f"On the local network: {display(who)}")
    files, amount = sum(share.files for share in view.shares), sum(share.bytes for share in view.shares)
    say(
        f"Sharing {words.count(files, 'file')}, {words.size(amount)},"
        f" in {words.count(len(view.shares), 'folder')}"
    )
    if files_rotten := sum(share.rotten for share in view.shares):
        say(f"{rotten(files_rotten)}. `p2pshare repair` mends what others have.")
    if view.hashing_left:
        now = f": {display(view.hashing)}" if view.hashing else ""
        say(f"Hashing {words.count(view.hashing_left, 'file')} in the background{now}")
    if view.wish_hits_new:
        say(f"{words.count(view.wish_hits_new, 'new file')} for your wishes. See `p2pshare wish hits`.")
    say(f"Downloads: {view.downloads_running} running, {words.rate(view.download_rate)}")
    say(f"Uploads: {view.uploads_running} running, {words.rate(view.upload_rate)}")
    say(
        f"So far: {words.size(view.downloaded_bytes)} downloaded, {words.size(view.uploaded_bytes)} given to"
        f" {words.count(view.people_served, 'person', 'people')}"
    )
    if view.given_signed or view.taken_signed:
        say(
            f"Signed by both sides: {words.size(view.given_signed)} given to"
            f" {words.count(view.given_signed_people, 'person', 'people')}, {words.size(view.taken_signed)}"
            f" taken from {words.count(view.taken_signed_people, 'person', 'people')}"
        )


def _standing(server: ServerView) -> str:
    parts = [server.state.value]
    if server.nick and server.problem == "":
        parts.append(f"as {display(server.nick)}")
    if server.reachable is not None:
        parts.append("can reach us" if server.reachable else "cannot reach us from outside")
    parts.append(f"lists {words.count(server.offers_published, 'file')} of ours")
    if server.offers_pending:
        parts.append(f"{server.offers_pending:,} to be told")
    if server.retry_in_s:
        parts.append(f"next try in {words.span(server.retry_in_s)}")
    if server.problem:
        parts.append(display(server.problem))
    return f"{display(server.name or 'without a name')} ({server.address}): {', '.join(parts)}"


@click.command()
@with_engine
@click.argument("link", required=False)
async def join(run: Run, link: str | None) -> None:
    """Use the index server of an invite LINK, or of host:port. Without LINK: one on the local network."""
    if link is None:
        before = {server.server for server in (await run.face.status()).servers}
        if before:
            raise Ending("Give the invite of the index server that you want to join as well.", Exit.USAGE)
        await run.online()
        name = (await run.face.status()).servers[0].name
    else:
        name = await run.face.join(link)
    run.out.result(name)
    run.out.say(f"You are on {display(name)}.")
    for server in (await run.face.status()).servers:
        if server.name == name and server.welcome:
            run.out.say("\n".join(map(display, server.welcome.splitlines())))


@click.command()
@with_engine
@click.argument("server")
async def leave(run: Run, server: str) -> None:
    """Forget an index server, named as `p2pshare status` shows it."""
    await run.face.leave(server)
    run.out.result(None)
    run.out.say(f"{display(server)} is not used any more.")


@click.command()
@with_engine
@click.argument("nick")
async def nick(run: Run, nick: str) -> None:
    """Change your nick, here and on every index server."""
    await run.settled()  # so that servers can say no
    await run.face.rename(nick)
    run.out.result(nick)
    run.out.say(f"You are {display(nick)} now.")


@click.command()
@with_engine
async def serve(run: Run) -> None:
    """Stay online without a window: share, and go on with downloads, until Ctrl-C or `p2pshare stop`.

    Prints a line for each change; with --json one JSON value per line. Other commands work meanwhile.
    """
    if not run.here:
        raise Ending("p2pshare runs already, perhaps in another terminal. `p2pshare status` shows how it is.")
    run.until_stopped = True
    view = await run.face.status()
    _log(run, f"{display(view.nick)} ({view.short}) listens on port {view.port}. Stop with Ctrl-C.")
    before: Look | None = None
    look_around_at = trio.current_time()
    while True:
        if not view.servers and trio.current_time() >= look_around_at:
            look_around_at = trio.current_time() + LOOK_AROUND_EVERY_S
            await _join_nearby(run)
        view = await run.face.status()
        now = Look(view, await run.face.downloads(), await run.face.uploads())
        for line in changes(before, now):
            _log(run, line)
        before = now
        await trio.sleep(LOOK_EVERY_S)


async def _join_nearby(run: Run) -> None:
    """Without an index server, one that shows up on the local network will do."""
    try:
        await run.online(lan_is_enough=True)
    except Ending as problem:
        if problem.message != NO_SERVER:  # of that the first look tells
            run.out.note(problem.message)


def _log(run: Run, text: str) -> None:
    if run.out.as_json:
        run.out.line({"at": time.time(), "text": text})
    else:
        run.out.say(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text}")


@click.command()
@click.pass_obj
def stop(front: Front) -> None:
    """End the p2pshare that runs. Its downloads go on at the next start."""
    front.run(_stop, as_json=False, may_start=False)


async def _stop(run: Run) -> None:
    with trio.move_on_after(STOP_TIMEOUT_S):
        try:
            await run.face.stop()
            while True:
                await run.face.status()
                await trio.sleep(STOP_LOOK_S)
        except Disconnected:
            run.out.say("Stopped.")
            return
    raise Ending("The p2pshare that runs did not end in time.")
