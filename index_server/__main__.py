"""The command `p2pshare-index`, also as `python -m index_server`."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn

import click
import structlog
import tomlkit
import trio

from index_server import logs, restart, words
from index_server.admin.commands import admin, restore
from index_server.admin.serving import serve_operator
from index_server.config import Config, Seconds, default_text, flag_of, keys, load_config, meanings
from index_server.server import DATABASE_FILE, claim_folder, open_server, server_identity
from index_server.smoke import smoke
from p2pshare.errors import LocalTrouble
from p2pshare.transport import discover
from p2pshare.transport.endpoint import Endpoint
from p2pshare.wire.fields import Role

EXIT_TROUBLE = 1
EXIT_USAGE = 2  # also what click uses
HOT_RESTART = getattr(signal, "SIGHUP", None)  # Windows has none
SIGNALS = (signal.SIGINT, signal.SIGTERM, *((HOT_RESTART,) if HOT_RESTART is not None else ()))
FILES_BESIDES_CONNECTIONS = 64  # the database, the log, connections that are just being refused or tested
PASS_EVERY_S = 1.0
PASSES_BETWEEN = (
    3_600  # short passes of the garbage collector between two whole ones, which take 0.3 s and more
)

EPILOG = """
\b
Exit codes:
  0    stopped as asked, or the check went well
  1    could not start or go on; the sentence on stderr says why
  2    the command or the settings were not understood

Every setting can also stand in a TOML file, or in the environment as P2PSHARE_INDEX_<SECTION>_<KEY>.
For a file to begin with: p2pshare-index --print-config > index.toml
"""

log = structlog.stdlib.get_logger("index_server")


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """An option for every key of default.toml, with its comment as help."""
    for key in reversed(keys()):
        option = click.option(flag_of(key), key.replace(".", "_"), metavar="VALUE", help=meanings()[key])
        command = option(command)
    return command


@click.group(
    invoke_without_command=True, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option(
    "--config", "file", metavar="FILE", type=click.Path(path_type=Path), help="Read settings from FILE."
)
@click.option("--check", is_flag=True, help="Check the settings, say what they mean, and stop.")
@click.option("--print-config", is_flag=True, help="Print the settings as a commented file, and stop.")
@click.option(
    "--smoke", "run_smoke", is_flag=True, help="Try a server and a client on this machine, and stop."
)
@click.option("--version", "print_version", is_flag=True, help="Print the version, and stop.")
@_with_settings
@click.pass_context
def main(
    ctx: click.Context,
    /,
    file: Path | None,
    check: bool,
    print_config: bool,
    run_smoke: bool,
    print_version: bool,
    **settings: str | None,
) -> None:
    """Run an index server, where people find each other and what they share."""
    if print_version:
        click.echo(_version())
        return
    try:
        flags = {key: text for key in keys() if (text := settings[key.replace(".", "_")]) is not None}
        config = load_config(file, os.environ, flags)
    except LocalTrouble as trouble:
        _fail(trouble, EXIT_USAGE)
    if ctx.invoked_subcommand is not None:
        ctx.obj = config
        return
    if print_config:
        click.echo(_as_toml(config), nl=False)
        return
    if check:
        click.echo("\n".join(words.explained(config)))
        return
    logs.configure(config.log.format, config.log.level)
    try:
        if run_smoke:
            trio.run(smoke, click.echo)
            click.echo("OK")
        else:
            with claim_folder(config.data_folder):
                kept = trio.run(_run, config)
            if kept:
                restart.start_anew(kept)
    except LocalTrouble as trouble:
        _fail(trouble, EXIT_TROUBLE)
    except BaseExceptionGroup as group:
        troubles = group.subgroup(LocalTrouble)
        if troubles is None:
            raise
        _fail(_first(troubles), EXIT_TROUBLE)


async def _run(config: Config) -> list[int]:
    """Returns what to keep open for a start anew, nothing at a stop for good."""
    kept: list[int] = []
    endpoint = Endpoint.create(server_identity(config.data_folder), Role.INDEX, agent=_version())
    _allow_files(config.connections.total)
    with trio.open_signal_receiver(*SIGNALS) as signals:
        path, listeners = config.data_folder / DATABASE_FILE, restart.inherited(os.environ)
        async with open_server(config, endpoint, path, listeners=listeners) as server:
            invite = words.invite_of(config, endpoint.node, server.port, discover.own_hosts())
            async with trio.open_nursery() as nursery:
                await nursery.start(serve_operator, server, _version())
                # Whoever started us through a pipe waits for the invite.
                click.echo("\n".join(words.started(config, invite, server.port)))
                sys.stdout.flush()
                log.info("started", port=server.port)
                nursery.start_soon(_keep_passes_short)
                async for number in signals:
                    if number == HOT_RESTART:
                        problem = await trio.to_thread.run_sync(restart.start_problem, restart.own_command())
                        if problem:
                            log.error("not restarted, for it could not start", why=problem)
                            continue
                        kept = restart.keep(server.listeners)
                    log.info("stopping", signal=signal.Signals(number).name, online=len(server.desk.online))
                    break
                nursery.cancel_scope.cancel()
    log.info("stopped")
    return kept


async def _keep_passes_short() -> None:
    """Set aside what lives long, so that the garbage collector does not look at it again and again.

    With 5,000 people a pass took 0.3 s, one came every few seconds, and nobody was served meanwhile. What
    becomes garbage later and holds itself stays until the next whole pass; connections do not.
    """
    while True:
        for _ in range(PASSES_BETWEEN):
            gc.collect(1)
            gc.freeze()
            await trio.sleep(PASS_EVERY_S)
        gc.unfreeze()
        gc.collect()


def _allow_files(connections: int) -> None:
    """Each connection is an open file, of which systems allow few unless asked."""
    try:
        import resource
    except ImportError:
        return  # Windows has no such limit
    wanted = connections + FILES_BESIDES_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        log.warning(
            "the system allows fewer open files than connections.total needs", allowed=allowed, wanted=wanted
        )


def _as_toml(config: Config) -> str:
    """default.toml with the values that hold now."""
    document, defaults = tomlkit.parse(default_text()), load_config(None, {}, {})
    for key, (hint, _) in keys().items():
        section, name = key.split(".")
        value = getattr(getattr(config, section), name)
        if value != getattr(getattr(defaults, section), name):
            text = f"{value:g} s" if hint is Seconds else value
            document[section][name] = list(value) if isinstance(value, tuple) else text
    return tomlkit.dumps(document)


def _version() -> str:
    try:
        return f"p2pshare-index {version('p2pshare')}"
    except PackageNotFoundError:
        return "p2pshare-index, not installed but run from its source"


def _first(group: BaseExceptionGroup[LocalTrouble]) -> LocalTrouble:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, LocalTrouble)
    return error


def _fail(trouble: LocalTrouble, code: int) -> NoReturn:
    click.echo(str(trouble), err=True)
    sys.exit(code)


main.add_command(admin)
main.add_command(restore)

if __name__ == "__main__":
    main()
