from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.unit.client.cli.conftest import Terminal


def test_everything_that_is_kept_is_printed_line_by_line(terminal: Terminal) -> None:
    result = terminal.type("account", "export")
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["what"] for line in lines] == ["account", "offer", "offer"]


def test_an_account_is_deleted_only_after_a_yes(terminal: Terminal) -> None:
    asked = terminal.type("account", "delete", "The Index")
    assert asked.exit_code == 2
    assert "Delete your account on The Index?" in asked.stderr
    assert terminal.face.servers != ()
    result = terminal.type("account", "delete", "The Index", "--yes")
    assert result.stdout == "The Index has forgotten you, and is not used any more.\n"
    assert terminal.face.servers == ()


def test_a_server_that_is_not_used_is_named_as_such(terminal: Terminal) -> None:
    result = terminal.type("account", "export", "elsewhere")
    assert (result.exit_code, "No index server" in result.stderr) == (1, True)
