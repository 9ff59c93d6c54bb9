"""How a command of the operator is carried out by the running server, and how it prints what came of it."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

import click
import msgspec
import trio

from index_server.admin.office import CALLS, Office
from index_server.config import Config
from p2pshare.errors import P2PError
from p2pshare.names import display

T = TypeVar("T")
Told = tuple[Any, list[str]]
"""What --json prints, and the lines for people."""

CALLS_FILE = "admin.json"  # in the data folder: how to reach the server that runs there

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")


class Trouble(click.ClickException):
    """A sentence for stderr."""

    def show(self, file: Any = None) -> None:
        click.echo(display(self.message), err=True)


def call(config: Config, body: Callable[[Office], Awaitable[T]]) -> T:
    """What `body` makes of the running server. Raises `Trouble`."""

    async def run() -> T:
        office = await CALLS.connect(config.data_folder / CALLS_FILE)
        if office is None:
            raise Trouble(
                f"No index server runs on {config.data_folder}. If it runs elsewhere, name its folder before"
                " the word admin, with --server-data or --config."
            )
        return await body(cast(Office, office))

    try:
        return trio.run(run)
    except P2PError as error:
        raise Trouble(str(error)) from None


def with_office(function: Callable[..., Awaitable[Told]]) -> Callable[..., None]:
    """Makes `async def command(office, ...) -> (value for --json, lines for people)` a command."""

    def command(config: Config, /, as_json: bool, **arguments: Any) -> None:
        value, lines = call(config, lambda office: function(office, **arguments))
        if as_json:
            click.echo(json.dumps(msgspec.to_builtins(value), indent=2))
        else:
            for line in lines:
                click.echo(line)

    functools.update_wrapper(command, function)
    return json_option(click.pass_obj(command))
