from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from client.cli.output import Output
from client.engine.status import TagsView


def test_json_is_the_only_thing_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(as_json=True)
    out.say("hello")
    out.note("careful")
    out.table(("A",), [("x",)])
    out.result((TagsView(title="Süß \udcff"),))
    told = capsys.readouterr()
    assert json.loads(told.out)[0]["title"] == "Süß \udcff"
    assert told.out.isascii()
    assert told.err == "careful\n"


def test_a_line_is_one_json_value(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).line({"text": "a\nb"})
    assert capsys.readouterr().out == '{"text": "a\\nb"}\n'


def test_a_pipe_gets_tabs_and_a_terminal_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("[red]a[/red]", "1"), ("b", "22")]
    Output(console=Console(force_terminal=False)).table(("Name", ">N"), rows)
    assert capsys.readouterr().out == "[red]a[/red]\t1\nb\t22\n"
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=40, color_system=None)
    Output(console=console).table(("Name", ">N"), rows)
    assert [line.rstrip() for line in screen.getvalue().splitlines()] == [
        "Name           N",
        "[red]a[/red]   1",
        "b             22",
    ]


@pytest.mark.parametrize(
    ("as_json", "terminal", "live"), [(False, True, True), (True, True, False), (False, False, False)]
)
def test_nothing_moves_for_programs(
    as_json: bool, terminal: bool, live: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert Output(as_json, Console(force_terminal=terminal)).live is live
