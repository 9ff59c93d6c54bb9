from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from client.cli.app import COMMANDS, cli

if TYPE_CHECKING:
    from tests.unit.client.cli.conftest import Terminal

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_in_the_list_is_the_first_line_of_the_command(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command
    assert command.help
    own = " ".join(command.help.split("\n\n")[0].split())
    listed = COMMANDS[name][1].rstrip(".")
    assert own.startswith(listed) or listed in HELP_IN_SHORT


HELP_IN_SHORT = {
    "Search every index server",
    "Download a result, a link, somebody's file, or the best match",
    "Look into what somebody shares",
    "Make a link to a file, or an invite to your index server",
    "List, watch, pause, resume or cancel downloads",
    "Use an index server",
    "Change your nick",
    "Stay online without a window",
    "Run an index server on this machine",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(terminal: Terminal, name: str) -> None:
    result = terminal.type(name, "--help")
    assert result.exit_code == 0
    assert f"Usage: p2pshare {name}" in result.stdout


def test_the_help_lists_every_command_and_the_exit_codes(terminal: Terminal) -> None:
    text = terminal.type("--help").stdout
    assert all(f"  {name} " in text for name in COMMANDS)
    assert "130" in text
    assert "P2PSHARE_PROFILE" in text


def test_an_unknown_command_is_a_mistake_of_usage(terminal: Terminal) -> None:
    result = terminal.type("serch")
    assert result.exit_code == 2
    assert "serch" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["--help"], {}),
        ([], {"_P2PSHARE_COMPLETE": "bash_complete", "COMP_WORDS": "p2pshare s", "COMP_CWORD": "1"}),
    ],
    ids=["help", "completion"],
)
def test_help_and_completion_import_nothing_heavy(arguments: list[str], variables: dict[str, str]) -> None:
    code = (
        f"import atexit, sys; from client.cli.app import main; sys.argv[1:] = {arguments}\n"
        "heavy = {'trio', 'rich', 'zeroconf', 'cryptography', 'msgspec'}\n"
        "atexit.register(lambda: print(sorted(heavy & sys.modules.keys()))); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=os.environ | variables
    )
    assert "search" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
