"""What a command prints: JSON for programs, tables for terminals, tab-separated lines for pipes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

RIGHT = ">"  # a column whose title begins with it is aligned to the right


@dataclass
class Output:
    """Results go to stdout, everything said about them to stderr."""

    as_json: bool = False
    console: Console = field(default_factory=lambda: Console(highlight=False, markup=False, emoji=False))

    @property
    def live(self) -> bool:
        """May something move on the screen?"""
        return not self.as_json and self.console.is_terminal and not self.console.is_dumb_terminal

    def result(self, view: object) -> None:
        """The one value that --json promises; nothing without --json."""
        if self.as_json:
            click.echo(json.dumps(msgspec.to_builtins(view), indent=2))

    def line(self, view: object) -> None:
        """One value of several, on one line."""
        click.echo(json.dumps(msgspec.to_builtins(view)))
        sys.stdout.flush()

    def say(self, text: str = "") -> None:
        """For people who asked for no JSON."""
        if not self.as_json:
            click.echo(text)

    def note(self, text: str) -> None:
        click.echo(text, err=True)

    def table(self, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        if self.as_json:
            return
        if self.console.is_terminal:
            self.console.print(table(titles, rows))
        else:
            for row in rows:
                click.echo("\t".join(row))


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Columns take what they need; the first that holds long texts gives way."""
    drawn = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in titles:
        right = title.startswith(RIGHT)
        drawn.add_column(
            title.removeprefix(RIGHT), justify="right" if right else "left", no_wrap=right, overflow="fold"
        )
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    return drawn
