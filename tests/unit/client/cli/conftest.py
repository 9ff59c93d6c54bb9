"""Commands run in this process against a fake engine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from client.cli import follow
from client.cli.app import cli
from client.cli.run import Front
from client.engine.attach import Attached
from client.engine.profile import Profile
from p2pshare.errors import LocalTrouble
from p2pshare.links import Invite
from tests.fake_face import FakeFace


@dataclass
class Terminal:
    """A person at a shell. `here`: no other p2pshare runs, so the engine starts within the command."""

    profile: Profile
    face: FakeFace = field(default_factory=FakeFace)
    here: bool = True
    nearby: tuple[Invite, ...] = ()
    trouble: str = ""  # of starting an engine

    def type(self, *arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(cli, arguments, obj=self.front, input=stdin, prog_name="p2pshare")

    def json(self, *arguments: str) -> Any:
        result = self.type(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    @property
    def front(self) -> Front:
        return Front(self.profile, self._open, self._look)

    @asynccontextmanager
    async def _open(self, may_start: bool) -> AsyncIterator[Attached]:
        if self.trouble:
            raise LocalTrouble(self.trouble)
        if self.here and not may_start:
            raise LocalTrouble("No p2pshare runs.")
        yield Attached(self.face, self.here)

    async def _look(self) -> tuple[Invite, ...]:
        return self.nearby


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setattr(follow, "DRAW_EVERY_S", 0.001)
    return Terminal(Profile(tmp_path / "profile"))
