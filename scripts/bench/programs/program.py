"""What the comparison knows of a program: how it is called, what it promises, how it is started.

Starting gives a `Transfer`: a call that moves the file once, from the request to the complete file, hands
what arrived to `Place.take`, and says how long that took and how much of the processors each side used.
"""

from __future__ import annotations

import filecmp
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from scripts.bench.programs.processes import search_path


class Group(StrEnum):
    """What a program does besides moving bytes: only within a group is a comparison fair."""

    VERIFIED = "encrypted and verified"
    ENCRYPTED = "encrypted"
    PLAIN = "not encrypted"


@dataclass(frozen=True)
class Run:
    """One transfer."""

    seconds: float
    sender_cpu_s: float
    receiver_cpu_s: float


Transfer = Callable[[], Run]


class Place:
    """Where one program works: a folder of its own in memory, and the file to move."""

    def __init__(self, folder: Path, source: Path, tools: Path) -> None:
        """`tools` is the folder of the commands of the benchmark's own environment."""
        folder.mkdir()
        self.folder = folder
        self.tools = tools
        self.shared = self.sub("shared")
        self.source = self.shared / source.name
        shutil.copyfile(source, self.source)  # a hard link would be seen as a change of the file by others
        self._compared = False

    def sub(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder

    def take(self, arrived: Path) -> None:
        """Deletes what arrived, once it is sure that it is the whole file. Raises ValueError."""
        whole = arrived.stat().st_size == self.source.stat().st_size
        if not self._compared:  # byte by byte once: it takes as long as a transfer
            whole = whole and filecmp.cmp(self.source, arrived, shallow=False)
            self._compared = True
        if not whole:
            raise ValueError(f"{arrived} is not what was sent.")
        arrived.unlink()


@dataclass(frozen=True)
class Tool:
    """What must be installed: a name for people, and a command that prints its version."""

    name: str
    command: tuple[str, ...]

    def version(self, tools: Path) -> str | None:
        """None if it is not installed."""
        program = shutil.which(self.command[0], path=search_path(tools))
        if program is None:
            return None
        said = subprocess.run(
            [program, *self.command[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
        )
        found = re.search(r"\d+\.\d+(\.\d+)*", said.stdout + said.stderr)
        return found[0] if found else None


@dataclass(frozen=True)
class Program:
    """One way to move a file. `install` says how to get what it needs."""

    name: str
    group: Group
    needs: tuple[Tool, ...]
    install: str
    start: Callable[[Place], AbstractContextManager[Transfer]]

    def missing(self, tools: Path) -> tuple[str, ...]:
        """What is not installed of what it needs."""
        return tuple(tool.name for tool in self.needs if tool.version(tools) is None)

    def versions(self, tools: Path) -> str:
        """For the record: "nginx 1.22.1, curl 7.88.1"."""
        return ", ".join(f"{tool.name} {tool.version(tools)}" for tool in self.needs)
